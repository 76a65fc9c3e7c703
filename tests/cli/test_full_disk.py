"""A small file system that is full or may not be written, under everything that the command line writes."""

import os
import subprocess
import sys

import pytest
from tiny import QUICK, make_photo

import films


@pytest.fixture
def disk(tmp_path):
    """A file system of 12 MB; `fill(left)` leaves so many bytes free, `mode("ro")` forbids to write."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options):
        return subprocess.run(["mount", *options, str(place)], capture_output=True).returncode == 0

    if (
        not sys.platform.startswith("linux")
        or os.geteuid()
        or not mount("-t", "tmpfs", "-o", "size=12m", "test")
    ):
        pytest.skip("needs the right to mount a small file system")

    class Disk:
        name = "disk"

        def fill(self, left):
            stat = os.statvfs(place)
            (place / "filler").write_bytes(bytes(max(0, stat.f_bavail * stat.f_frsize - left)))

        def free(self):
            (place / "filler").unlink()

        def mode(self, mode):
            assert mount("-o", f"remount,{mode}")

        def holds(self):
            return sorted(path.name for path in place.iterdir() if path.name != "filler")

    yield Disk()
    subprocess.run(["umount", str(place)], check=True)


CATALOG = ["--layers", "conv_stem", "--units", "0:4", "--size", "32", "--crops", "32", "--workers", "1"]
UNITS = ["efficientnet_lite0", "blocks.0.0:0-1", "--size", "48", "--no-figures"]
WRITES = {  # command, the output, bytes that are left
    "picture": (["dream", "photo.png", *QUICK], "out.png", 4096),
    "tiff": (["dream", "photo.png", "--scale", "2", *QUICK], "out.tif", 8192),
    "deep zoom": (["dream", "photo.png", "--scale", "4", *QUICK], "out.dzi", 8192),
    "folder": (["dream", "photo.png", *QUICK], "dreams/", 4096),
    "sheet": (["visualize", *UNITS, *QUICK], "sheet.png", 4096),
    "film": (["video", "film.mkv", *QUICK], "film.mp4", 8192),
    "zoom": (["zoom", "photo.png", "--frames", "4", *QUICK], "zoom.mp4", 8192),
    "stills": (["zoom", "photo.png", "--frames", "4", *QUICK], "stills/", 8192),
    "catalog": (["catalog", "efficientnet_lite0", *CATALOG, "--steps", "2"], "site", 200_000),
}


@pytest.fixture
def sources(tmp_path):
    make_photo(tmp_path / "photo.png")
    films.make(tmp_path / "film.mkv", count=4, size=(96, 54))


def told(found, code):
    assert found.code == 2, found.out + found.err
    assert f"{code}: " in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize("what", WRITES)
def test_full(run, disk, sources, what):
    command, output, left = WRITES[what]
    typed = [*command, "-o", f"disk/{output}"]
    disk.fill(left)
    told(run(*typed), "E_DISK")
    if what not in ("catalog", "folder", "stills"):
        assert output not in disk.holds()
    disk.free()
    found = run(*typed)
    assert found.code == 0, found.err
    assert output.strip("/") in disk.holds()
    assert [name for name in disk.holds() if name.startswith(".") or name.endswith((".part", ".parts"))] == []


@pytest.mark.parametrize("what", WRITES)
def test_read_only(run, disk, sources, what):
    command, output, _ = WRITES[what]
    disk.mode("ro")
    told(run(*command, "-o", f"disk/{output}"), "E_OUTPUT")
    assert disk.holds() == []
    disk.mode("rw")


def test_a_checkpoint_that_has_no_room_costs_nothing(run, disk, sources):
    disk.fill(4096)
    always = ["--checkpoint", "disk/state", "--checkpoint-every", "0"]
    found = run("dream", "photo.png", "-o", "out.png", *always, *QUICK)
    assert found.code == 0
    assert "note: " in found.err
    assert "checkpoint" in found.err
    assert disk.holds() == []


def test_caches_that_have_no_room_cost_nothing(run, disk, sources, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "disk")
    disk.fill(0)
    assert run("dream", "photo.png", "-o", "out.png", *QUICK).code == 0
    assert run("layers", "efficientnet_lite0").code == 0
