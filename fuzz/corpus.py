"""What mutants are made of: a good file of every kind that is read, and ways to damage it."""

from __future__ import annotations

import random
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "picture")]  # the files that the tests make

import picture_files as pictures  # noqa: E402

import films as makers  # noqa: E402

FILMS = {  # kind: ending, and what the tests' maker of films is told
    "mp4, h264": (".mp4", {}),
    "mp4, hevc": (".mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
    "mp4, with sound": (".mp4", {"sound": "aac"}),
    "mkv, ffv1": (".mkv", {"codec": "ffv1"}),
    "webm, vp9": (".webm", {"codec": "libvpx-vp9"}),
    "mov, prores": (".mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
    "avi, mpeg4": (".avi", {"codec": "mpeg4"}),
    "gif": (".gif", {"codec": "gif", "pix_fmt": "rgb8"}),
}
KINDS = {
    **dict.fromkeys(pictures.SEEDS, "picture"),
    **dict.fromkeys((f"film {name}" for name in FILMS), "film"),
}


def ending(kind: str) -> str:
    """Of a file of that kind; pictures are told by what is in them."""
    return FILMS[kind.removeprefix("film ")][0] if KINDS[kind] == "film" else ".png"


@cache
def good(kind: str) -> bytes:
    """A file with nothing wrong."""
    if KINDS[kind] == "picture":
        return bytes(pictures.seed(kind))
    suffix, how = FILMS[kind.removeprefix("film ")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"film{suffix}")
        makers.make(path, count=6, size=(64, 48), **how)
        return path.read_bytes()


def mutant(kind: str, number: int) -> bytes:
    """The file with something wrong, the same for the same number."""
    rng, data = random.Random(f"{kind} {number}"), good(kind)
    choice = rng.random()
    if number < 3:
        return data[: len(data) * (10, 50, 99)[number] // 100]
    if choice < 0.7:
        return bytes(pictures.mutant(data, rng))
    start, length = rng.randrange(len(data)), rng.choice((4, 64, 1024))
    block = data[start : start + length]
    if choice < 0.8:  # a length that lies
        return (
            data[:start]
            + rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)))
            + data[start + 4 :]
        )
    if choice < 0.9:  # something twice
        return data[:start] + block + data[start:]
    other = rng.randrange(len(data))
    return data[:other] + block + data[other + len(block) :]
