"""Work on a Ray cluster whose workers, raylets and driver are killed: what is lost, and what it costs.

`python -m benchmarks chaos --turns 3`. In each turn a fresh cluster of three nodes has a folder of photos to
dream on, and a killer; afterwards the pictures are those of an undisturbed run, byte for byte, or it fails.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.raylets import QUIET, ROOT, Raylets, raylets

PHOTOS = 24
SETTINGS = ("--octaves", "1", "--seed", "3", "--device", "cpu", "--threads", "1")
EVERY = 4.0  # s between two kills, about
LONGEST = 900.0  # s


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """The report; no plots."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _photos(folder / "photos")
        settings = (*SETTINGS, "--steps", str(options.steps * 10))
        began = time.monotonic()
        good = sorted(str(path.relative_to(folder)) for path in (folder / "photos").iterdir())
        _finish(_dream(folder, "alone/", settings, *good))
        rows = [f"| one process, without Ray | {time.monotonic() - began:.0f} s | | |"]
        alone = _made(folder / "alone")
        with raylets(3) as cluster:
            for workers in (1, 2):
                began = time.monotonic()
                out = f"workers{workers}/"
                _finish(_dream(folder, out, settings, "photos", *_on(cluster, workers)))
                rows.append(f"| {workers} worker(s) | {time.monotonic() - began:.0f} s | | |")
                assert _made(folder / out) == alone, "other bytes than without Ray"
        for turn in range(options.turns):
            began = time.monotonic()
            killed, again = _turn(folder, f"turn{turn}/", settings, random.Random(turn), alone)
            said = ", ".join(f"{count} × {what}" for what, count in killed.items())
            rows.append(f"| killed: {said} | {time.monotonic() - began:.0f} s | {again} | 0 |")
    head = f"{PHOTOS} photos of 160×120, {options.steps * 10} steps, three nodes of one processor\n\n"
    head += "| | time | finished pictures made again | lost |\n|---|---|---|---|\n"
    return f"# Chaos\n\n{head}" + "\n".join(rows) + "\n", {}


def _turn(
    folder: Path, out: str, settings: tuple[str, ...], dice: random.Random, alone: dict[str, bytes]
) -> tuple[dict[str, int], int]:
    """How many of what were killed, and how many finished pictures were written again."""
    killed = {"worker": 0, "raylet": 0, "driver": 0}
    stamps: dict[str, int] = {}
    again = 0
    with raylets(3) as cluster:
        driver = _dream(folder, out, settings, "photos", *_on(cluster, 0))
        end, due = time.monotonic() + LONGEST, time.monotonic() + EVERY
        while True:
            code = driver.poll()
            for path in (folder / out).glob("*.png"):
                stamp = path.stat().st_mtime_ns
                again += stamps.setdefault(path.name, stamp) != stamp
                stamps[path.name] = stamp
            if code is not None:
                assert code == 0, driver.stderr and driver.stderr.read()
                break
            assert time.monotonic() < end, "it hangs"
            if time.monotonic() > due and stamps:
                what = dice.choices(list(killed), [4, 1, 1])[0]
                if what == "worker" and (workers := cluster.workers()):
                    os.kill(dice.choice(workers), signal.SIGKILL)
                elif what == "raylet" and not killed["raylet"]:
                    os.kill(cluster.pids[2], signal.SIGKILL)
                elif what == "driver":
                    driver.kill()
                    driver.communicate()
                    driver = _dream(folder, out, settings, "photos", *_on(cluster, 0))
                else:
                    continue
                killed[what] += 1
                due = time.monotonic() + dice.uniform(0.5, 1.5) * EVERY
            time.sleep(0.1)
        driver.communicate()
    assert _made(folder / out) == alone, "not what an undisturbed run makes"
    left = [path.name for path in (folder / out).iterdir() if path.suffix != ".png"]
    assert not left, f"left behind: {left}"
    return killed, again


def _photos(folder: Path) -> None:
    folder.mkdir()
    for number in range(PHOTOS):
        noise = np.random.default_rng(number).integers(0, 256, (8, 10, 3), dtype=np.uint8)
        photo = Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)
        photo.save(folder / f"{number:02d}.png")


def _on(cluster: Raylets, workers: int) -> list[str]:
    return ["--ray", cluster.address, *(["--workers", str(workers)] if workers else [])]


def _dream(folder: Path, out: str, settings: tuple[str, ...], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "phosphene", "dream", "-o", out, *settings, *more],
        cwd=folder,
        env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str]) -> None:
    _, error = process.communicate()
    assert process.returncode == 0, error


def _made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}
