"""Pictures that are dreamed on disk as they don't fit into memory."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import QUICK

from phosphene import memory
from phosphene.cli import dreaming, main, places
from phosphene.picture import open_picture, read_recipe

TILED = ["--tile", "32", "--halo", "32", "--scale", "2"]


@pytest.fixture
def on_disk(monkeypatch):
    """As if no picture fitted into memory."""
    monkeypatch.setattr(memory, "ROOM", 0)


def listing():
    return sorted(path.name for path in Path().iterdir())


def pixels(name):
    return open_picture(name).pixels


@pytest.mark.parametrize("output", ["png", "tif", "jpg", "webp"])
def test_the_picture_is_the_one_from_memory(run, photo, monkeypatch, output):
    assert run("dream", photo, "-o", "memory.png", *QUICK, *TILED).code == 0
    monkeypatch.setattr(memory, "ROOM", 0)
    found = run("dream", photo, "-o", f"disk.{output}", *QUICK, *TILED, "--json")
    assert found.code == 0 and found.events[-1]["peak_bytes"] > 0
    apart = np.abs(pixels(f"disk.{output}") - pixels("memory.png"))
    assert apart.max() < 0.01 if output in ("png", "tif") else apart.mean() < 0.02
    assert json.loads(read_recipe(Path(f"disk.{output}")))["dream"]["scale"] == 2
    assert listing() == sorted(["memory.png", f"disk.{output}", "photo.png"])


def test_deep_zoom(run, photo, on_disk):
    assert run("dream", photo, "-o", "a.dzi", *QUICK, *TILED).code == 0
    assert listing() == ["a.dzi", "a_files", "photo.png"]
    assert run("dream", photo, "-o", "a.dzi", *QUICK, *TILED).code == 2
    assert run("dream", photo, "-o", "a.dzi", *QUICK, *TILED, "--overwrite").code == 0
    shutil.rmtree("a_files")
    Path("a.dzi").unlink()
    Path("a_files").mkdir()
    found = run("dream", photo, "-o", "a.dzi", *QUICK, *TILED)
    assert found.code == 2 and "E_EXISTS" in found.err


def test_the_plan_says_where_the_picture_is(run, photo, monkeypatch):
    for place, room in (("memory", memory.ROOM), ("disk", 0)):
        monkeypatch.setattr(memory, "ROOM", room)
        plan = run("dream", photo, "-o", "a.png", *QUICK, "--dry-run", "--json").events[-1]
        assert plan["canvas"] == place and plan["predicted_peak_bytes"] > 0
    assert "the picture on disk" in run("dream", photo, "-o", "a.png", *QUICK, "--dry-run").out


def test_a_photo_that_is_too_large_for_memory_is_read_in_strips(run, photo, monkeypatch):
    run("dream", photo, "-o", "memory.png", *QUICK, *TILED)
    monkeypatch.setattr(places, "SMALL", 0)
    monkeypatch.setattr(places, "SHARE", 0)
    assert run("dream", photo, "-o", "disk.png", *QUICK, *TILED).code == 0
    assert np.abs(pixels("disk.png") - pixels("memory.png")).max() < 0.01
    plan = run("dream", photo, "-o", "a.png", *QUICK, "--dry-run", "--json").events[-1]
    assert plan["canvas"] == "disk" and plan["predicted_seconds"] > 0


def test_too_little_disk_is_said_before_the_first_step(run, photo, on_disk, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    found = run("dream", photo, "-o", "a.png", *QUICK, *TILED)
    assert found.code == 2 and found.err.startswith("phosphene: E_DISK: a dream of 192×128 px takes 0.0 GB")
    assert listing() == ["photo.png"]


def test_a_killed_run_goes_on_where_it_was(run, photo, on_disk, monkeypatch):
    """In the same bytes, and on disk even where there is memory now."""
    settings = ["dream", photo, "--octaves", "2", "--steps", "3", "--seed", "3", *TILED]
    assert run(*settings, "-o", "whole.png").code == 0

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    keep = ["-o", "out.png", "--resume", "--checkpoint-every", "0"]
    with monkeypatch.context() as only_here, pytest.raises(Killed):
        only_here.setattr(dreaming, "_save", killed)
        run(*settings, *keep)
    monkeypatch.setattr(memory, "ROOM", 0.7)
    assert ".out.png.checkpoint" in listing()
    assert "going on from" in run(*settings, *keep).err
    assert np.array_equal(pixels("out.png"), pixels("whole.png"))
    assert listing() == ["out.png", "photo.png", "whole.png"]


def test_standard_output_gets_a_png(photo, on_disk, capfdbinary):
    assert main(["dream", photo, "-o", "-", *QUICK, *TILED]) == 0
    assert capfdbinary.readouterr().out.startswith(b"\x89PNG")
