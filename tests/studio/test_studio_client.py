"""A script that uses the studio, over a real socket."""

import io

import pytest
from PIL import Image

from phosphene.errors import PhospheneError
from phosphene.studio.client import Client
from studios import LONG, PHOTO, SMALL, Studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    found = Studio(tmp_path_factory.mktemp("studio"), "--token", "secret")
    yield found
    found.stop()


@pytest.fixture
def client(studio):
    with Client(studio.url, "secret") as found:
        yield found


def test_a_dream_is_watched_and_saved(client, tmp_path):
    upload = client.upload(PHOTO)
    assert (upload["kind"], upload["name"]) == ("picture", "photo.jpg")
    job = client.dream(upload, **SMALL)
    frames = list(job.frames())
    assert job.state == "done" and frames[-1].jpeg.startswith(b"\xff\xd8")
    assert (frames[-1].octave, frames[-1].step) == (frames[-1].octaves, SMALL["steps"])
    with Image.open(job.save(tmp_path / "dream.png")) as image:
        assert image.width == 96
    with Image.open(job.save(tmp_path / "dream.jpg")) as image:
        assert image.format == "JPEG"
    with pytest.raises(PhospheneError) as caught:
        job.save(tmp_path / "dream.png")
    assert caught.value.code == "E_EXISTS"
    with pytest.raises(PhospheneError) as caught:
        job.save(tmp_path / "dream.mp4")
    assert caught.value.code == "E_FORMAT"
    assert job.recipe()["dream"]["seed"] == 1 and job.command().startswith("phosphene dream photo.jpg")
    assert "seed=1" in job.python()
    more = job.more(seed=2).wait()
    assert client.compare(job, more)["differs"][-1] == {"name": "seed", "a": 1, "b": 2}
    assert [one.id for one in client.jobs()][:2] == [more.id, job.id] == [client.job(more.id).id, job.id]
    more.remove()
    assert more.id not in [one.id for one in client.jobs()]


def test_a_unit_and_a_zoom(client, tmp_path):
    unit = client.visualize("blocks.2.1:3", size=48, model="efficientnet_lite0", steps=2).wait()
    assert Image.open(io.BytesIO(unit.picture())).size == (48, 48)
    settings = {"model": "efficientnet_lite0", "steps": 1, "octaves": 1, "max_size": 64}
    film = client.zoom(client.upload(PHOTO), frames=3, motion={"zoom": 0.1}, **settings).wait()
    path = film.save(tmp_path / "film.mp4")
    assert path.stat().st_size > 500 and film.now["frame"] == 3
    again = client.video(client.upload(path), end=0.1, **settings).wait()
    assert again.state == "done"


def test_it_pauses_goes_on_and_ends(client):
    job = client.dream(client.upload(PHOTO), **LONG)
    asked = False
    for frame in job.frames():
        if frame.step > 1 and not asked:
            asked = bool(job.pause())
    assert job.state == "paused"
    job.resume()
    next(job.frames())
    job.cancel()
    assert job.wait().state == "cancelled"


def test_faults_are_told(studio, client):
    with pytest.raises(PhospheneError) as caught:
        client.dream("0" * 32)
    assert caught.value.code == "E_MISSING"
    job = client.dream(client.upload(PHOTO), objective="nothing")
    with pytest.raises(PhospheneError) as caught:
        job.wait()
    assert caught.value.code == "E_LAYER"
    with Client(studio.url, "wrong") as stranger, pytest.raises(PhospheneError) as caught:
        stranger.about()
    assert caught.value.code == "E_TOKEN"
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(PhospheneError) as caught:
        nobody.about()
    assert caught.value.code == "E_OFFLINE"


def test_a_network_is_walked_through(client):
    model = "efficientnet_lite0"
    layer = next(row for row in client.layers(model) if row["name"] == "blocks.2.1")
    some = client.channels(model, "blocks.2.1", 38)
    assert [one["channel"] for one in some] == [38, 39]
    assert client.classes(model, "tabby")[0] == {"number": 281, "name": "tabby, tabby cat"}
    photo = client.upload(PHOTO)
    pictures = [client.sketch(layer), client.sketch(some[0]), client.sketch(some[0], photo)]
    assert len(set(pictures)) == 3
    for picture in pictures:
        with Image.open(io.BytesIO(picture)) as image:
            assert image.format == "WEBP"
