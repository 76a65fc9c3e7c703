"""A film in pieces that begin at cuts, so that each can be dreamed somewhere else."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from phosphene.errors import PhospheneError
from phosphene.film.finish import Piece, join
from phosphene.film.kinds import Way, plan
from phosphene.film.reel import faults
from phosphene.film.source import Facts, opened, picture, stills, tick
from phosphene.film.video import flows
from phosphene.picture import atomic


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


def joined(
    dreams: Sequence[str | os.PathLike[str]],
    pieces: Sequence[Segment],
    output: str | os.PathLike[str],
    facts: Facts,
    *,
    overwrite: bool = False,
    recipe: str = "",
    sound: bool = True,
) -> tuple[str, ...]:
    """One film `output` of the dreams of a film's segments, in order, with its sound; nothing is encoded.

    `recipe` is kept as its comment. What there is to say about the sound is returned.
    E_INPUT for a dream of another length, E_FORMAT for one that isn't written as the first is.
    """
    looks, found = [], []
    for path, segment in zip(dreams, pieces, strict=True):
        begin = tick(facts, segment.start)
        with opened(path) as film:
            stream = picture(film, path)
            context = stream.codec_context
            looks.append((context.name, context.width, context.height, context.pix_fmt, context.extradata))
            base = stream.time_base or Fraction(1)
            times = [(packet.pts or 0, packet.duration or 0) for packet in film.demux(stream) if packet.size]
        if len(times) != segment.frames:
            raise PhospheneError(
                "E_INPUT", f"{path} has {len(times)} stills, expected {segment.frames}; dream it again"
            )
        if looks[-1] != looks[0]:
            raise PhospheneError(
                "E_FORMAT", f"{path} isn't written as {dreams[0]} is; use one codec, quality and size"
            )
        ticks, first = base / facts.time_base, times[0][0]
        moved = [(begin + round((pts - first) * ticks), round(lasts * ticks)) for pts, lasts in times]
        found.append(Piece(Path(path), moved))
    with opened(dreams[0]) as film:
        shape = picture(film, dreams[0]).codec_context
        codec = {"hevc": "h265", "libdav1d": "av1"}.get(shape.name, shape.name)
        way = Way.like(facts, codec=codec)
        if facts.rotation == 0 or (shape.width, shape.height) == (facts.width, facts.height):
            way = Way.like(facts, shape.width, shape.height, codec=codec)
    target = atomic.check(output, overwrite)
    part = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.part")
    beside = facts if sound and (facts.audio or facts.subtitles) else None
    try:
        with faults(output):
            notes = join(part, plan(os.fspath(output), way), found, beside, 0.0, None, recipe)
            atomic.publish(part, target, overwrite)
    finally:
        with suppress(OSError):
            part.unlink()
    return notes
