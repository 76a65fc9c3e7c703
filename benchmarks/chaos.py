"""Work on a Ray cluster whose workers, raylets and driver are killed: what is lost, and what it costs.

`python -m benchmarks chaos --turns 3`. In each turn a fresh cluster of three nodes has a folder of photos to
dream on, or a catalog to make, and a killer; afterwards what was made is that of an undisturbed run, byte for
byte, or it fails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.raylets import QUIET, ROOT, Raylets, raylets

PHOTOS = 16
SIZE = 240, 180  # (width, height)
EVERY = 2  # pictures between two kills, at most
LONGEST = 900.0  # s


@dataclass(frozen=True)
class Job(ABC):
    """A command, and what it leaves in `folder / out`."""

    folder: Path
    steps: int

    @abstractmethod
    def words(self, out: str) -> list[str]:
        """The command that makes `out`, but for where it works."""

    @abstractmethod
    def finished(self, out: str) -> dict[str, int]:
        """When each result that is there was written, in ns."""

    @abstractmethod
    def made(self, out: str) -> dict[str, object]:
        """All that must be as an undisturbed run leaves it."""

    @abstractmethod
    def left(self, out: str) -> list[str]:
        """What shouldn't be there."""

    def begin(self, out: str, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "phosphene", *self.words(out), *more],
            cwd=self.folder,
            env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Photos(Job):
    """A folder of photos."""

    def words(self, out: str) -> list[str]:
        settings = ["--octaves", "1", "--seed", "3", "--device", "cpu", "--threads", "1"]
        return ["dream", "photos", "--recursive", "-o", f"{out}/", *settings, "--steps", str(self.steps)]

    def finished(self, out: str) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (self.folder / out).glob("*.png")}

    def made(self, out: str) -> dict[str, object]:
        return {path.name: path.read_bytes() for path in (self.folder / out).glob("*.png")}

    def left(self, out: str) -> list[str]:
        return [path.name for path in (self.folder / out).iterdir() if path.suffix != ".png"]


class Catalog(Job):
    """Every channel of two layers: pictures from noise, and crops of photos."""

    def words(self, out: str) -> list[str]:
        what = ["--layers", "conv_stem,blocks.0.0", "--size", "96", "--crops", "64", "--device", "cpu"]
        return ["catalog", "efficientnet_lite0", "-o", out, *what, "--steps", str(self.steps)]

    def finished(self, out: str) -> dict[str, int]:
        """Of each item: a record that is there, or that the manifest has."""
        with contextlib.suppress(sqlite3.Error), contextlib.closing(self._manifest(out)) as base:
            return {
                name: int(at) for name, at in base.execute("select name, round(seconds * 1e9) from items")
            }
        return {}

    def made(self, out: str) -> dict[str, object]:
        with contextlib.closing(self._manifest(out)) as base:
            units = base.execute(
                "select key, kind, layer, channel, score, percentile from units order by key"
            )
            found: dict[str, object] = {"units": units.fetchall()}
        for path in sorted((self.folder / out).rglob("*")):
            if path.suffix in (".webp", ".js", ".html", ".css"):
                found[str(path.relative_to(self.folder / out))] = path.read_bytes()
        return found

    def left(self, out: str) -> list[str]:
        site = self.folder / out
        return [str(path) for path in site.rglob("*") if path.suffix in (".part", ".lock")] + [
            str(path) for path in site.glob("records/*")
        ]

    def _manifest(self, out: str) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.folder / out / 'manifest.sqlite'}?mode=ro", uri=True)


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """The report; no plots."""
    rows: list[str] = []

    def row(*cells: str) -> None:
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _photos(folder / "photos")
        photos, catalog = Photos(folder, options.steps * 10), Catalog(folder, options.steps * 4)
        jobs: tuple[Job, ...] = (photos, catalog)
        alone: dict[Job, dict[str, object]] = {}
        for job in jobs:
            what, began = type(job).__name__.lower(), time.monotonic()
            _end(job.begin(f"alone-{what}"))
            alone[job] = job.made(f"alone-{what}")
            row(f"{what}, without Ray", f"{time.monotonic() - began:.0f} s", "", "0")
        for turn in range(options.turns):
            for job, made in alone.items():
                what, began = type(job).__name__.lower(), time.monotonic()
                killed, again = _turn(job, f"{what}{turn}", random.Random(turn), made)
                said = ", ".join(f"{count} × {who}" for who, count in killed.items())
                row(f"{what}, killed: {said}", f"{time.monotonic() - began:.0f} s", str(again), "0")
    head = f"{PHOTOS} photos of {SIZE[0]}×{SIZE[1]}, {photos.steps} steps; a catalog of 64 channels, "
    head += f"{catalog.steps} steps; three nodes\n\n"
    head += "| | time | finished results made again | lost |\n|---|---|---|---|\n"
    return f"# Chaos\n\n{head}" + "\n".join(rows) + "\n", {}


def _end(driver: subprocess.Popen[str]) -> None:
    _, error = driver.communicate()
    assert driver.returncode == 0, error


def _turn(job: Job, out: str, dice: random.Random, alone: dict[str, object]) -> tuple[dict[str, int], int]:
    """How many of what were killed, and how many finished results were made again."""
    killed = {"worker": 0, "raylet": 0, "driver": 0}
    stamps: dict[str, int] = {}
    again = 0
    with raylets(3) as cluster:
        on = ("--ray", cluster.address)
        driver = job.begin(out, *on)
        end, due = time.monotonic() + LONGEST, 1
        while True:
            code = driver.poll()
            for name, stamp in job.finished(out).items():
                again += stamps.setdefault(name, stamp) != stamp
                stamps[name] = stamp
            if code is not None:
                _end(driver)
                break
            assert time.monotonic() < end, "it hangs"
            if len(stamps) >= due:
                what = dice.choices(list(killed), [4, 1, 1])[0]
                if not _killed(what, killed, cluster, driver, dice):
                    continue
                if what == "driver":
                    driver = job.begin(out, *on)
                killed[what] += 1
                due = len(stamps) + dice.randint(1, EVERY)
            time.sleep(dice.uniform(0.05, 0.5))
    assert job.made(out) == alone, "not what an undisturbed run makes"
    assert not job.left(out), f"left behind: {job.left(out)}"
    return killed, again


def _killed(
    what: str, killed: dict[str, int], cluster: Raylets, driver: subprocess.Popen[str], dice: random.Random
) -> bool:
    """Whether there was one to kill; of three nodes, one raylet is."""
    if what == "worker" and (workers := cluster.workers()):
        os.kill(dice.choice(workers), signal.SIGKILL)
    elif what == "raylet" and not killed["raylet"]:
        os.kill(cluster.pids[2], signal.SIGKILL)
    elif what == "driver":
        driver.kill()
        driver.communicate()
    else:
        return False
    return True


def _photos(folder: Path) -> None:
    folder.mkdir()
    for number in range(PHOTOS):
        noise = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        photo = Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC)
        photo.save(folder / f"{number:02d}.png")
