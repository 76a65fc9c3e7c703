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

PHOTOS = 16
SIZE = 240, 180  # (width, height)
SETTINGS = ("--octaves", "1", "--seed", "3", "--device", "cpu", "--threads", "1")
EVERY = 2  # pictures between two kills, at most
LONGEST = 900.0  # s


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """The report; no plots."""
    rows: list[str] = []

    def row(*cells: str) -> None:
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _photos(folder / "photos")
        settings = (*SETTINGS, "--steps", str(options.steps * 10))
        good = sorted(str(path.relative_to(folder)) for path in (folder / "photos").iterdir())
        seconds = _seconds(_dream(folder, "alone/", settings, *good), 1)
        row("one process, without Ray", f"{seconds:.2f} s a picture", "", "0")
        alone = _made(folder / "alone")
        with raylets(3) as cluster:
            for workers in (1, 2):
                out = f"workers{workers}/"
                driver = _dream(folder, out, settings, "photos", *_on(cluster, workers))
                seconds = _seconds(driver, workers)
                row(f"{workers} worker(s)", f"{seconds:.2f} s a picture", "", "0")
                assert _made(folder / out) == alone, "other bytes than without Ray"
        for turn in range(options.turns):
            began = time.monotonic()
            killed, again = _turn(folder, f"turn{turn}/", settings, random.Random(turn), alone)
            said = ", ".join(f"{count} × {what}" for what, count in killed.items())
            row(f"killed: {said}", f"{time.monotonic() - began:.0f} s in all", str(again), "0")
    head = f"{PHOTOS} photos of {SIZE[0]}×{SIZE[1]}, {options.steps * 10} steps, three nodes\n\n"
    head += "| | time | finished pictures made again | lost |\n|---|---|---|---|\n"
    return f"# Chaos\n\n{head}" + "\n".join(rows) + "\n", {}


def _seconds(process: subprocess.Popen[str], workers: int) -> float:
    """What a picture takes, once all workers have given their first."""
    assert process.stdout
    ends = [time.monotonic() for _ in process.stdout]
    _, error = process.communicate()
    assert process.returncode == 0, error
    return (ends[-1] - ends[workers - 1]) / (len(ends) - workers)


def _turn(
    folder: Path, out: str, settings: tuple[str, ...], dice: random.Random, alone: dict[str, bytes]
) -> tuple[dict[str, int], int]:
    """How many of what were killed, and how many finished pictures were written again."""
    killed = {"worker": 0, "raylet": 0, "driver": 0}
    stamps: dict[str, int] = {}
    again = 0
    with raylets(3) as cluster:
        driver = _dream(folder, out, settings, "photos", *_on(cluster, 0))
        end, due = time.monotonic() + LONGEST, 1
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
            if len(stamps) >= due:
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
                due = len(stamps) + dice.randint(1, EVERY)
            time.sleep(dice.uniform(0.05, 0.5))
        driver.communicate()
    assert _made(folder / out) == alone, "not what an undisturbed run makes"
    left = [path.name for path in (folder / out).iterdir() if path.suffix != ".png"]
    assert not left, f"left behind: {left}"
    return killed, again


def _photos(folder: Path) -> None:
    folder.mkdir()
    for number in range(PHOTOS):
        noise = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        photo = Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC)
        photo.save(folder / f"{number:02d}.png")


def _on(cluster: Raylets, workers: int) -> list[str]:
    return ["--ray", cluster.address, *(["--workers", str(workers)] if workers else [])]


def _dream(folder: Path, out: str, settings: tuple[str, ...], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "phosphene", "dream", "-o", out, *settings, *more],
        cwd=folder,
        env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}
