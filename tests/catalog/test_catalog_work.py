"""A worker's own part: whose files it takes, and that it refuses those of another plan."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from phosphene import evidence, load
from phosphene.catalog import plan as planning
from phosphene.catalog.record import items
from phosphene.catalog.store import Store
from phosphene.catalog.work import Work
from phosphene.config import Dream
from phosphene.errors import PhospheneError

MODEL = "efficientnet_lite0"


@pytest.fixture(scope="module")
def lens():
    return load(MODEL)


@pytest.fixture
def planned(lens, tmp_path, monkeypatch):
    """Of one unit, in a folder whose photos are named from where one is."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(2):
        Image.effect_noise((96, 80), 20 + 60 * number).convert("RGB").save(f"photos/{number}.png")
    return planning.make(
        lens,
        Dream(model=MODEL, steps=1, seed=0),
        Dream(model=MODEL, steps=1, octaves=1),
        pattern="conv_stem",
        which=(0, 1, 1),
        wanted=["dream", "photos"],
        crops=16,
        folder="photos",
    )


def test_names_mean_the_same_in_every_folder(planned, lens, tmp_path, monkeypatch):
    site = Store("site", make=True)
    monkeypatch.chdir("/")
    work = Work(planned.to_json(), site.place)
    found = {item.kind: work.do(item).units[0] for item in items(planned)}
    assert [image.role for image in found["dream"].images] == ["dream"]
    assert found["photos"].images[0].photo.partition(",")[0] in ("0.png", "1.png")
    for unit in found.values():
        for image in unit.images:
            assert (tmp_path / "site" / "images" / image.sha[:2] / f"{image.sha}.webp").is_file()
    site.close()
    path = tmp_path / "own.pt"
    torch.save(lens.module.state_dict(), path)
    monkeypatch.chdir(tmp_path)
    made = planning.make(lens, Dream(weights="own.pt"), Dream(), pattern="conv_stem", wanted=["noise"])
    assert made.noise.weights == made.dream.weights == str(path)


def test_what_a_site_among_the_photos_makes_is_no_photo(planned):
    site = Store("photos/site", make=True)
    for item in items(planned):  # the dream first, whose pictures then lie among the photos
        assert Work(planned.to_json(), site.place).do(item).units
    site.close()
    assert list(Path("photos/site").rglob("*.webp"))
    names = [path.name for path in evidence.photo_files("photos")]
    assert sorted(names) == ["0.png", "1.png"]


def test_a_site_without_its_whole_path_is_refused(planned):
    with pytest.raises(PhospheneError, match="site is 'site', expected its whole path"):
        Work(planned.to_json(), "site")


def test_a_photo_that_is_none_is_told_before_anything_is_made(planned, lens, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(PhospheneError, match=r"broken\.png is no picture"):
        planning.make(lens, planned.noise, planned.dream, wanted=["dream"], picture="broken.png")


def test_files_that_are_others_on_this_node(planned, tmp_path):
    place = str(tmp_path / "site")
    with pytest.raises(PhospheneError, match="weights: others on") as caught:
        Work(planned.model_copy(update={"weights_sha256": "0" * 64}).to_json(), place)
    assert caught.value.code == "E_WEIGHTS"
    Image.effect_noise((96, 80), 90).convert("RGB").save("photos/0.png")
    work = Work(planned.to_json(), place)
    for item in items(planned):
        with pytest.raises(PhospheneError, match=r"others on .* than were planned with; plan again"):
            work.do(item)
