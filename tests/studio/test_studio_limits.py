"""What nobody may take from the others: the disk, the sockets, the folder; and what is kept in the end."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections import namedtuple

import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from phosphene.errors import PhospheneError
from phosphene.studio import bodies, room
from phosphene.studio.decode import looked_at
from studios import LONG, PHOTO, Studio, ended, until

Disk = namedtuple("Disk", "total used free")


@pytest.mark.parametrize(
    "total, free, enough",
    [
        (10**6, 50_000, True),
        (10**6, 49_999, False),
        (10**12, 5 * 10**8, True),
        (10**12, 5 * 10**8 - 1, False),
    ],
)
def test_a_part_of_the_disk_stays_free(monkeypatch, tmp_path, total, free, enough):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: Disk(total, total - free, free))
    with (
        contextlib.nullcontext() if enough else pytest.raises(PhospheneError, match="MB of the studio's disk")
    ):
        room.check(tmp_path)


def test_an_upload_is_ended_when_it_takes_too_much_of_the_disk(monkeypatch, tmp_path):
    free = iter([10**9, 10**9, 0])
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: Disk(10**12, 0, next(free)))
    taken = []

    class Endless:
        async def stream(self):
            while True:
                taken.append(1_000_000)
                yield bytes(1_000_000)

    with pytest.raises(PhospheneError) as caught:
        asyncio.run(bodies.received(Endless(), tmp_path / "a", 10**9))
    assert caught.value.code == "E_DISK" and sum(taken) <= 2 * bodies.CHECKED + 1_000_000


def test_one_visitor_has_so_many_sockets(studio, visitor):
    address = f"ws://127.0.0.1:{studio.port}/api/live"
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(connect(address, additional_headers=cookie)) for _ in range(20)]
        with (
            connect(address, additional_headers=cookie) as one_more,
            pytest.raises(ConnectionClosed) as caught,
        ):
            one_more.recv(timeout=20)
        assert caught.value.rcvd.code == 1013
        with connect(address) as other:
            other.send("{}")
            assert json.loads(other.recv(timeout=20))["type"] == "error"
        lines[0].close()

        def again():
            with connect(address, additional_headers=cookie) as line, contextlib.suppress(ConnectionClosed):
                line.send("{}")
                return json.loads(line.recv(timeout=20))["type"] == "error"

        until(again)


def test_a_folder_is_one_studios(studio, tmp_path):
    command = [sys.executable, "-m", "phosphene", "studio", "--no-open", "--port", "0", "--data"]
    found = subprocess.run([*command, str(studio.folder)], capture_output=True, text=True, timeout=120)
    assert found.returncode == 2 and found.stdout == "" and found.stderr.count("\n") == 1
    assert found.stderr.startswith("phosphene: E_EXISTS: another studio")
    assert f"at port {studio.port};" in found.stderr and "--data" in found.stderr


@pytest.mark.parametrize("kind, kept", [("dream", "png"), ("zoom", "mp4")])
def test_what_is_cancelled_while_it_is_paused_is_kept(visitor, kind, kept):
    upload = visitor.post("/api/uploads", content=PHOTO.read_bytes()).json()["id"]
    settings = {**LONG, "octaves": 1, "steps": 1 if kind == "zoom" else 2000}
    body = {"kind": kind, "photo": upload, "frames": 2000, "settings": settings}
    job = visitor.post("/api/jobs", json=body).json()["id"]
    far = "frame" if kind == "zoom" else "step"
    until(lambda: (visitor.get(f"/api/jobs/{job}").json()[far] or 0) > 2)
    visitor.post(f"/api/jobs/{job}/pause")
    ended(visitor, job, "paused")
    assert visitor.post(f"/api/jobs/{job}/cancel").status_code == 200
    seen = ended(visitor, job)
    assert seen["state"] == "cancelled" and seen[far] > 2
    assert visitor.get(f"/api/jobs/{job}/picture?format={kept}").status_code == 200
    assert visitor.get(f"/api/jobs/{job}/recipe").status_code == 200


def test_scores_outlive_the_studio_which_ends_quietly(tmp_path):
    studio = Studio(tmp_path / "kept")
    with studio.visitor() as visitor:
        upload = visitor.post("/api/uploads", content=PHOTO.read_bytes()).json()["id"]
        body = {"photo": upload, "settings": {**LONG, "steps": 40}}
        job = visitor.post("/api/jobs", json=body).json()["id"]
        scores = ended(visitor, job)["scores"]
        assert scores
        studio.process.send_signal(signal.SIGTERM)
        assert studio.process.wait(60) == 143
        studio.process.stdout.close()
        studio.start()
        assert visitor.get(f"/api/jobs/{job}").json()["scores"] == scores
    studio.stop()


def test_a_form_with_a_picture_in_it_is_no_film(tmp_path):
    """FFmpeg takes parts with pictures in them for a film."""
    head = b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: image/jpeg\r\n\r\n'
    (tmp_path / "form").write_bytes(head + PHOTO.read_bytes() + b"\r\n--x--\r\n")
    assert looked_at(str(tmp_path / "form"))["error"][0] == "E_FORMAT"


def test_a_film_that_does_not_say_how_long_it_is(tmp_path):
    """As browsers record them."""
    av = pytest.importorskip("av")
    path = tmp_path / "live.webm"
    with path.open("wb") as file, av.open(file, "w", format="webm", options={"live": "1"}) as film:
        stream = film.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(15):
            still = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (number * 16, 90, 90)))
            film.mux(stream.encode(still))
        film.mux(stream.encode())
    assert looked_at(str(path))["film"] == {"frames": 15, "seconds": 1.5, "fps": 10.0}
