"""What is copied from the studio makes the same again: the command line, and the program in Python."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phosphene.cli import main
from studios import PHOTO, ended

BRIEF = {"steps": 2, "octaves": 1, "seed": 5}
DREAM = {**BRIEF, "max_size": 96}
JOBS = {
    "a dream": {"photo": "cat", "settings": DREAM},
    "another network's own objective": {"photo": "cat", "settings": DREAM | {"model": "efficientnet_lite0"}},
    "a mask": {"photo": "cat", "mask": "mask", "settings": DREAM},
    "a guide": {"photo": "cat", "guide": "flowers", "settings": DREAM},
    "a guide at a layer, and a mask": {
        "photo": "cat",
        "guide": "flowers",
        "mask": "mask",
        "settings": DREAM | {"objective": "blocks.3.2", "keep_color": True},
    },
    "a unit": {"kind": "visualize", "size": 48, "settings": BRIEF | {"objective": "blocks.2.1:3"}},
    "a guide from noise": {"kind": "visualize", "size": 48, "guide": "flowers", "settings": BRIEF},
}
NAMES = {"cat": "-my cat.png", "mask": 'my "mask".png', "flowers": "flowers' & more.png"}


@pytest.fixture
def desk(tmp_path, monkeypatch, one_thread):
    """A folder with the pictures in it, by the names that they had."""
    monkeypatch.chdir(tmp_path)
    with Image.open(PHOTO) as photo:
        photo.resize((90, 60)).save(NAMES["cat"])
        photo.transpose(Image.Transpose.ROTATE_90).resize((50, 70)).save(NAMES["flowers"])
    ramp = np.tile(np.linspace(0, 255, 45, dtype=np.uint8), (30, 1))
    Image.fromarray(ramp).save(NAMES["mask"])
    return tmp_path


def sent(visitor, name):
    content = Path(name).read_bytes()
    return visitor.post("/api/uploads", params={"name": name}, content=content).json()["id"]


def made(visitor, body):
    uploads = {part: sent(visitor, NAMES[body[part]]) for part in ("photo", "mask", "guide") if part in body}
    answer = visitor.post("/api/jobs", json=body | uploads)
    assert answer.status_code == 201, answer.text
    job = ended(visitor, answer.json()["id"])
    assert job["state"] == "done", job["error"]
    return job["id"]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=int)


@pytest.mark.parametrize("name", JOBS)
def test_a_copy_makes_the_same_picture(visitor, desk, name):
    job = made(visitor, JOBS[name])
    (desk / "studio.png").write_bytes(visitor.get(f"/api/jobs/{job}/picture").content)
    texts = visitor.get(f"/api/jobs/{job}/command").json()
    assert main([*shlex.split(texts["command"])[1:], "--quiet"]) == 0
    assert (pixels("dream.png") == pixels("studio.png")).all(), texts["command"]
    (desk / "dream.png").unlink()
    exec(compile(texts["python"], "copied", "exec"), {})
    assert (pixels("dream.png") == pixels("studio.png")).all(), texts["python"]


def test_a_copy_makes_the_same_film(visitor, desk):
    av = pytest.importorskip("av")
    body = {"kind": "zoom", "photo": "cat", "mask": "mask", "frames": 5, "loop": True}
    job = made(visitor, body | {"settings": DREAM, "motion": {"rotate": 3, "target": [0.3, 0.4]}})
    (desk / "film.mp4").write_bytes(visitor.get(f"/api/jobs/{job}/picture?format=mp4").content)
    texts = visitor.get(f"/api/jobs/{job}/command").json()
    assert main([*shlex.split(texts["command"])[1:], "--quiet"]) == 0

    def stills(path):
        with av.open(str(path)) as film:
            return [still.to_ndarray(format="rgb24").astype(int) for still in film.decode(video=0)]

    film = stills("film.mp4")
    assert len(film) == 5 and all((a == b).all() for a, b in zip(film, stills("dream.mp4"), strict=True))
    exec(compile(texts["python"], "copied", "exec"), {})
    own = [pixels(desk / f"{number:04}.png") for number in range(5)]
    assert all(abs(a - b).mean() < 8 for a, b in zip(film, own, strict=True))  # H.264 lies between

    body = {
        "kind": "video",
        "film": sent(visitor, "film.mp4"),
        "every": 2,
        "settings": DREAM | {"max_size": 45},
    }
    job = made(visitor, body)
    (desk / "studio.mp4").write_bytes(visitor.get(f"/api/jobs/{job}/picture?format=mp4").content)
    texts = visitor.get(f"/api/jobs/{job}/command").json()
    for path in (desk / "dream.mp4", *desk.glob("000?.png")):
        path.unlink()
    assert main([*shlex.split(texts["command"])[1:], "--quiet"]) == 0
    film = stills("studio.mp4")
    assert len(film) == 3 and all((a == b).all() for a, b in zip(film, stills("dream.mp4"), strict=True))
    exec(compile(texts["python"], "copied", "exec"), {})
    own = [pixels(desk / f"{number:04}.png") for number in range(3)]
    assert all(abs(a - b).mean() < 8 for a, b in zip(film, own, strict=True))


def test_a_mask_needs_a_photo(visitor, desk):
    mask = sent(visitor, NAMES["mask"])
    answer = visitor.post("/api/jobs", json={"kind": "visualize", "size": 48, "mask": mask})
    assert (answer.status_code, answer.json()["code"]) == (400, "E_PARAM")
