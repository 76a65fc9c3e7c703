"""`phosphene zoom` as it is typed: the notebook's film, loops, and that it goes on."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import make_photo

import films

QUICK = ["--octaves", "1", "--steps", "2", "--seed", "3"]
DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
WEIGHTS = DATA / "weights" / "bvlc_googlenet.safetensors"


def pictures(path):
    return [picture for _, picture in films.decoded(path)]


def test_a_film_of_so_many_frames(run, photo, tmp_path):
    found = run("zoom", photo, "-o", "out.mkv", "--frames", "3", "--fps", "12.5", *QUICK, "--json")
    assert found.code == 0
    end = found.events[-1]
    assert (end["event"], end["frames"], end["gradient_evaluations"]) == ("end", 3, 6)
    assert end["flicker"] > 0
    times, look = zip(*films.decoded("out.mkv"), strict=True)
    assert [float(at) for at in times] == [0, 0.08, 0.16]
    assert look[0].shape == (64, 96, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv", "photo.png"]


@pytest.mark.skipif(not WEIGHTS.exists(), reason="needs ../shared/data: the original network")
def test_classic_is_the_notebooks_film(run):
    """One generator draws the jitter of all frames, and floats are carried from frame to frame.

    The ascent is chaotic: 1e-5 of a level before the first frame are 20 levels in the third. So the notebook
    goes on from what was carried here, and every frame is exact.
    """
    import torch
    from safetensors.torch import load_file
    from scipy import ndimage

    import notebook
    import phosphene
    from phosphene.config import Dream
    from phosphene.film.motion import CLASSIC
    from phosphene.film.zoom import Zoom, zoom
    from phosphene.presets import ZOOM, preset

    torch.set_num_threads(1)
    with Image.open(DATA / "notebook2015" / "sky1024px.jpg") as image:
        image.convert("RGB").resize((96, 72)).save("sky.png")
    typed = ["--frames", "3", "--preset", "classic", "--weights", str(WEIGHTS), "--octaves", "2"]
    typed += ["--steps", "3", "--seed", "5", "--threads", "1"]
    assert run("zoom", "sky.png", "-o", "film/", *typed).code == 0
    found = sorted(Path("film").iterdir())
    config = Dream(
        **{**ZOOM, **preset("classic"), "octaves": 2, "steps": 3, "seed": 5, "weights": str(WEIGHTS)}
    )
    lens, photo = phosphene.load("bvlc_googlenet", str(WEIGHTS)), phosphene.open_picture("sky.png").tensor()
    made = list(zoom(photo, lens, config.objective, config, Zoom(CLASSIC), frames=3))
    assert len(found) == len(made) == 3
    net, random = notebook.Net(load_file(WEIGHTS)), np.random.RandomState(5)
    with Image.open("sky.png") as image:
        frame = np.float32(image)
    height, width = frame.shape[:2]
    for path, one in zip(found, made, strict=True):
        expected, _ = notebook.deepdream(net, frame, random, octaves=2, steps=3)
        carried = 255 * one.image.permute(1, 2, 0).cpu().numpy()
        assert np.abs(carried - expected).max() < 0.5
        with Image.open(path) as image:
            assert np.abs(np.asarray(image) - carried).max() <= 0.501
        frame = ndimage.affine_transform(
            carried, [0.95, 0.95, 1], [height * 0.05 / 2, width * 0.05 / 2, 0], order=1
        )


def test_a_loop_goes_on_after_ctrl_c_and_after_being_killed(run, photo, tmp_path):
    typed = ["zoom", photo, "--frames", "24", "--loop", "--max-size", "64", *QUICK]
    assert run(*typed, "-o", "whole.mkv").code == 0
    for stop, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        with start(*typed, "-o", "out.mkv", "--resume", "--json") as dreaming:
            for line in dreaming.stdout:
                if json.loads(line)["event"] == "frame":
                    break
            dreaming.send_signal(stop)
            dreaming.communicate(timeout=60)
        assert dreaming.returncode == code
    found = run(*typed, "-o", "out.mkv", "--resume", "--json")
    assert (found.code, found.events[-1]["frames"]) == (0, 24)
    assert films.packets("out.mkv", "video") == films.packets("whole.mkv", "video")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv", "photo.png", "whole.mkv"]


def start(*typed):
    command = [sys.executable, "-m", "phosphene", *typed]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_motion_and_a_timeline(run, photo):
    still = run("zoom", photo, "-o", "a.mkv", "--codec", "ffv1", "--frames", "3", *QUICK)
    turned = run("zoom", photo, "-o", "b.mkv", "--codec", "ffv1", "--frames", "3", "--rotate", "5", *QUICK)
    Path("flight.toml").write_text(
        '[[keyframe]]\nat = 0\nzoom = 0.0\n[[keyframe]]\nat = "100%"\nzoom = 0.2\n'
    )
    typed = ["--codec", "ffv1", "--frames", "3", "--timeline", "flight.toml", *QUICK]
    assert (still.code, turned.code, run("zoom", photo, "-o", "c.mkv", *typed).code) == (0, 0, 0)
    one, two, three = pictures("a.mkv"), pictures("b.mkv"), pictures("c.mkv")
    assert (one[0] == two[0]).all()
    assert (one[0] == three[0]).all()
    assert (one[1] != two[1]).any()
    assert (one[2] != three[2]).any()


def test_a_preview_is_two_seconds_and_small(run):
    make_photo("wide.png", 32, 400)
    found = run("zoom", "wide.png", "-o", "out.mkv", "--frames", "9", "--fps", "1", "--preview", *QUICK)
    assert found.code == 0
    assert [picture.shape for picture in pictures("out.mkv")] == [(26, 320, 3)] * 2


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        (["--frames", "0"], "--frames"),
        (["--fps", "0"], "--fps"),
        (["--drift", "1"], "--drift"),
        (["--timeline", "none.toml"], "none.toml"),
        (["--codec", "mpeg1"], "mpeg1"),
    ],
)
def test_what_cannot_be_flown(run, photo, tmp_path, typed, word):
    found = run("zoom", photo, "-o", "out.mkv", *QUICK, *typed)
    assert (found.code, found.out, len(found.err.splitlines())) == (2, "", 1)
    assert word in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_what_is_there_stays_and_nothing_is_dreamed(run, photo, monkeypatch):
    from phosphene import models

    Path("out.mkv").write_bytes(b"mine")
    monkeypatch.setattr(models, "load", None)
    found = run("zoom", photo, "-o", "out.mkv", *QUICK)
    assert (found.code, "E_EXISTS" in found.err) == (2, True)
    assert Path("out.mkv").read_bytes() == b"mine"
