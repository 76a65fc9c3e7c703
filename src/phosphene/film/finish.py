"""The finished film: its parts and the source's sound in one file, without encoding anything again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from phosphene.film.kinds import Plan
from phosphene.film.part import packets
from phosphene.film.sound import Sound
from phosphene.film.source import Facts, opened, tick

THEIRS = {"encoder", "major_brand", "minor_version", "compatible_brands", "comment", "duration"}
MOST_UNITS = 10_000_000
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
) -> tuple[str, ...]:
    """Write the film to `target`, and say what is lost; errors are those of PyAV and of the system.

    Sound that the container won't take, as it is damaged, is passed over.
    """
    base, damaged = plan.way.time_base, 0
    with ExitStack() as stack:
        part = stack.enter_context(av.open(str(pieces[0].path)))
        out = stack.enter_context(
            av.open(str(target), "w", format=plan.container, container_options=_options(plan, sound))
        )
        video: Any = out.add_stream_from_template(part.streams.video[0], opaque=True)
        video.time_base = 1 / plan.way.rate if plan.container == "avi" else base
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
        first, shift = pieces[0].times[0][0], 0
        if start > 0:  # the first still comes when the source's first did
            shift = first - (sound.start if sound else 0)
        beside: Iterator[Packet[Any]] = iter(())
        if sound is not None:
            film = stack.enter_context(opened(sound.path))
            tracks = Sound(film, out, plan.container)
            since = first * base if start > 0 else None
            until = None if end is None else tick(sound, end) * sound.time_base
            if since is None and until is None:
                out.set_chapters(film.chapters())
            beside = tracks.packets(since, until, shift * base)
        pictures = _pictures(pieces, base, shift)
        if plan.container == "avi":
            pictures = _for_avi(pictures, part.streams.video[0], video)
        for packet in _in_turn(pictures, beside, video):
            try:
                out.mux(packet)
            except ValueError:
                if packet.stream is video:
                    raise
                damaged += 1
    return (f"{damaged} damaged packet(s) of the sound are left out",) if damaged else ()


def steady(plan: Plan, pieces: Sequence[Piece]) -> bool:
    """Whether the stills come at the film's rate, give or take half a still."""
    times = [pts for piece in pieces for pts, _ in piece.times]
    return all(
        abs((pts - times[0]) * plan.way.time_base * plan.way.rate - index) < Fraction(1, 2)
        for index, pts in enumerate(times)
    )


def _for_avi(pictures: Iterator[Packet[Any]], stream: Any, video: Any) -> Iterator[Packet[Any]]:
    """The packets one tick after the other, H.264 with start codes and without a header."""
    codes = None
    if stream.codec_context.name == "h264":
        codes, video.codec_context.extradata = BitStreamFilterContext("h264_mp4toannexb", stream), None
    for index, packet in enumerate(pictures):
        for one in codes.filter(packet) if codes else (packet,):
            one.time_base, one.pts, one.dts, one.duration = video.time_base, index, index, 1
            yield one


def _options(plan: Plan, sound: Facts | None) -> dict[str, str]:
    if plan.container in ("matroska", "webm"):
        return {"avoid_negative_ts": "disabled"}  # sound that begins before the picture doesn't move it
    if plan.container not in ("mp4", "mov"):
        return {}
    units = [plan.way.time_base.denominator, *(sound.units if sound else ())]
    movie = math.lcm(*units)  # in it the file says when each stream begins; 1/1000 s if nothing is said
    options = {"movflags": "+faststart", "movie_timescale": str(movie if movie < MOST_UNITS else 90_000)}
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
