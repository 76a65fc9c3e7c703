"""The finished film: its parts and the source's sound in one file, without encoding anything again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.packet import Packet

from phosphene.film.kinds import Plan
from phosphene.film.part import packets
from phosphene.film.sound import Sound
from phosphene.film.source import Facts, opened, tick

THEIRS = {"encoder", "major_brand", "minor_version", "compatible_brands", "comment", "duration"}
Times = list[tuple[int, int]]


class Piece(NamedTuple):
    """A whole part and (pts, duration) of its stills."""

    path: Path
    times: Times


def join(
    target: Path,
    plan: Plan,
    pieces: Sequence[Piece],
    sound: Facts | None,
    start: float,
    end: float | None,
    recipe: str = "",
) -> None:
    """Write the film to `target`; errors are those of PyAV and of the system."""
    base = plan.way.time_base
    with ExitStack() as stack:
        first = stack.enter_context(av.open(str(pieces[0].path)))
        out = stack.enter_context(
            av.open(str(target), "w", format=plan.container, container_options=_options(plan))
        )
        video: Any = out.add_stream_from_template(first.streams.video[0], opaque=True)
        video.time_base = base
        context = video.codec_context
        context.sample_aspect_ratio = plan.way.sample_aspect_ratio
        context.color_primaries, context.color_trc = plan.color.primaries, plan.color.trc
        context.colorspace, context.color_range = plan.color.matrix, plan.color.range
        if plan.codec == "h265" and plan.container in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # what Apple's players ask for
        if plan.rotation:
            video.set_display_rotation(plan.rotation if plan.rotation <= 180 else plan.rotation - 360)
        out.metadata.update({k: v for k, v in plan.way.metadata.items() if k.lower() not in THEIRS})
        comment = recipe or plan.way.recipe
        if comment:
            out.metadata["comment"] = comment
        shift = Fraction(0)
        beside: Iterator[Packet[Any]] = iter(())
        if sound is not None:
            film = stack.enter_context(opened(sound.path))
            tracks = Sound(film, out, plan.container)
            lowest = Fraction(-(2**31)) if start <= 0 else tick(sound, start) * sound.time_base
            highest = None if end is None else tick(sound, end) * sound.time_base
            if start > 0:
                shift = (tick(sound, start) - sound.start) * sound.time_base
            elif end is None:
                out.set_chapters(film.chapters())
            beside = tracks.packets(lowest, highest, shift)
        for packet in _in_turn(_pictures(pieces, base, round(shift / base)), beside, video):
            out.mux(packet)


def _options(plan: Plan) -> dict[str, str]:
    if plan.container not in ("mp4", "mov"):
        return {}
    options = {"movflags": "+faststart"}
    if plan.way.time_base.denominator >= 600:
        options["video_track_timescale"] = str(plan.way.time_base.denominator)
    return options


def _pictures(pieces: Sequence[Piece], base: Fraction, shift: int) -> Iterator[Packet[Any]]:
    for piece in pieces:
        yield from packets(piece.path, [(pts - shift, duration) for pts, duration in piece.times], base)


def _in_turn(
    pictures: Iterator[Packet[Any]], beside: Iterator[Packet[Any]], video: Any
) -> Iterator[Packet[Any]]:
    """Both, ordered by time, so that the writer needn't hold many."""
    picture, other = next(pictures, None), next(beside, None)
    while picture is not None or other is not None:
        if other is None or (picture is not None and _at(picture) <= _at(other)):
            assert picture is not None
            picture.stream = video
            yield picture
            picture = next(pictures, None)
        else:
            yield other
            other = next(beside, None)


def _at(packet: Packet[Any]) -> Fraction:
    at = packet.dts if packet.dts is not None else packet.pts
    return (at or 0) * packet.time_base
