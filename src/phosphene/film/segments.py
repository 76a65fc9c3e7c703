"""A film in pieces that begin at cuts, so that each can be dreamed somewhere else."""

from __future__ import annotations

from dataclasses import dataclass

from phosphene.film.source import Facts, stills
from phosphene.film.video import flows


@dataclass(frozen=True)
class Segment:
    """From `start` up to `end` seconds into the film; `end` is None for the last. `frames` stills."""

    start: float
    end: float | None
    frames: int


def segments(facts: Facts, size: tuple[int, int] | None = None, *, least: float = 0.0) -> list[Segment]:
    """The film's scenes, joined until each piece lasts `least` seconds.

    As nothing is carried over a cut, the pieces' dreams, one after the other, are the whole film's; for
    that `size` (H, W) is the dream's.
    """
    firsts: list[tuple[float, int]] = []  # seconds, number
    count = 0
    for still, way in flows(stills(facts, size=size)):
        seconds = float((still.pts - facts.start) * facts.time_base)
        if way is None and (not firsts or seconds - firsts[-1][0] >= least):
            firsts.append((seconds, still.number))
        count = still.number + 1
    ends = [*firsts[1:], (None, count)]
    return [
        Segment(start, end, last - first) for (start, first), (end, last) in zip(firsts, ends, strict=True)
    ]
