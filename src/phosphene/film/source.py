"""A film as it is: what it says of itself, and its stills one after the other."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from phosphene.errors import PhospheneError
from phosphene.film.clock import Clock, begun
from phosphene.film.convert import UNKNOWN, Color, Pixels
from phosphene.picture import shown
from phosphene.picture.source import open_regular

NO_FILMS = ("image2", "tty", "ansi", "hls", "concat", "dash", "lavfi", "webp")
STILL_BRANDS = {"avif", "heic", "heix", "mif1", "heif"}
ATTEMPTS = 200  # damaged packets in a row after which there is no more film
DEEPEST = 16


@dataclass(frozen=True)
class Facts:
    """What a film says of itself."""

    path: str
    width: int  # of its stills as they are seen: after the rotation
    height: int
    rotation: int  # degrees by which the stored pixels are turned, counterclockwise: 0, 90, 180, 270
    time_base: Fraction  # seconds per tick
    rate: Fraction  # stills per second, on average
    frames: int  # how many, as far as is known; 0 where it isn't
    seconds: float  # how long, as far as is known; 0 where it isn't
    start: int  # the tick of the first still, after `clock`
    bits: int  # per channel: 8, 10, 12, 16
    codec: str
    pix_fmt: str
    sample_aspect_ratio: Fraction
    color: Color
    audio: tuple[str, ...] = ()  # the codec of each stream of sound
    units: tuple[int, ...] = ()  # of time in a second, of each stream of sound
    subtitles: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    stream: int = 0  # the picture's, among all streams
    clock: Fraction | None = None  # what a recorder's clock showed as the film began, in seconds
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Still:
    """One picture of a film."""

    number: int  # 0, 1, … as taken
    pts: int  # ticks of the film's time base
    duration: int
    pixels: NDArray[Any]  # `[H, W, 3]` RGB, upright, uint8, or uint16 where the film is deeper


def look(path: str | os.PathLike[str]) -> Facts:
    """What the film at `path` says of itself; its first still is decoded for it.

    Raises E_INPUT (no such file), E_DECODE (damaged) and E_FORMAT (no film, or one without pictures).
    """
    with opened(path) as film:
        stream = picture(film, path)
        first = next(_frames(film, stream, Counter()), None)
        if first is None:
            raise PhospheneError("E_DECODE", f"{shown(path)} has no picture that can be decoded")
        codec = stream.codec_context
        base = stream.time_base or Fraction(1, 1000)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        ticks = stream.duration or 0
        seconds = float(ticks * base) if ticks else (film.duration or 0) / av.time_base
        turn = round(first.rotation / 90) * 90 % 360
        width, height = first.width, first.height
        clock = begun(film)
        others = [one for one in film.streams.video if one.index != stream.index and not _cover(one)]
        notes = [f"{len(others)} more video stream(s) are left out"] if others else []
        if first.interlaced_frame:
            notes.append("the film is interlaced: its fields are taken as one still")
        return Facts(
            path=os.fsdecode(path),
            width=height if turn % 180 else width,
            height=width if turn % 180 else height,
            rotation=turn,
            time_base=base,
            rate=rate,
            frames=stream.frames or round(seconds * rate),
            seconds=seconds,
            start=Clock(clock, base).at(_pts(first, stream.start_time or 0), 0),
            clock=clock,
            bits=min(DEEPEST, max(part.bits for part in first.format.components)),
            codec=codec.name,
            pix_fmt=first.format.name,
            sample_aspect_ratio=stream.sample_aspect_ratio or codec.sample_aspect_ratio or Fraction(1),
            color=Color(
                first.color_primaries or UNKNOWN,
                first.color_trc or UNKNOWN,
                int(first.colorspace),
                int(first.color_range),
            ),
            audio=tuple(_codec(one) for one in film.streams.audio),
            units=tuple(one.time_base.denominator for one in film.streams.audio if one.time_base),
            subtitles=tuple(_codec(one) for one in film.streams.subtitles),
            metadata=dict(film.metadata),
            stream=stream.index,
            notes=tuple(notes),
        )


def stills(
    facts: Facts,
    *,
    start: float = 0.0,
    end: float | None = None,
    every: int = 1,
    skip: int = 0,
    size: tuple[int, int] | None = None,
    notes: list[str] | None = None,
) -> Iterator[Still]:
    """The stills from `start` up to `end` seconds after the first, of which each `every`-th is taken.

    The first `skip` that are taken are decoded and not given. Each lasts until the next one that is
    taken. Packets that are damaged are passed over, and counted in `notes` at the end. `size` is
    (H, W), upright. Closing the iterator closes the file.
    """
    begin, stop = tick(facts, start), None if end is None else tick(facts, end)
    usual = max(1, round(1 / (facts.rate * facts.time_base)))
    damage: Counter[str] = Counter()
    with opened(facts.path) as film:
        stream = film.streams[facts.stream]
        assert isinstance(stream, VideoStream)
        pixels = Pixels(
            facts.color, facts.height if facts.rotation % 180 == 0 else facts.width, facts.rotation
        )
        held: tuple[int, int, Any] | None = None  # number, pts, the frame: given once it's known how long
        last, index, lasts, clock = None, -1, usual, Clock(facts.clock, facts.time_base)
        sought = begin if start > 0 and facts.clock is None else None  # such a clock can't be sought in
        for frame in _from(film, stream, sought, damage):
            lasting = frame.duration or usual
            pts = clock.at(_pts(frame, clock.shift + (usual if last is None else last + lasts)), lasting)
            if last is not None and pts <= last:  # damaged times
                pts = last + 1
            last, lasts = pts, lasting
            if start > 0 and pts < begin:
                continue
            if stop is not None and pts >= stop:
                until = pts
                break
            index += 1
            if index % every:
                continue
            if held is not None and held[0] >= skip:
                yield _still(held, pts, facts, pixels, size)
            held = index // every, pts, frame
        else:
            until = 0 if last is None else last + lasts
            whole = facts.start + (stream.duration or 0)
            if last is not None and last < whole < until + usual:  # the container knows
                until = whole
        if held is not None and held[0] >= skip:
            yield _still(held, max(held[1] + 1, until), facts, pixels, size)
    if notes is not None:
        notes.extend(f"{count} {what}" for what, count in damage.items())


def tick(facts: Facts, seconds: float) -> int:
    """The tick at `seconds` after the film's first still."""
    return facts.start + round(Fraction(seconds) / facts.time_base)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[InputContainer]:
    """The film at `path`: of the file alone, whatever other places it names."""
    name = shown(path)
    open_regular(path).close()
    if Path(path).stat().st_size == 0:
        raise PhospheneError("E_DECODE", f"{name} is empty")
    try:
        film = av.open(
            f"file:{os.fsdecode(path)}",
            "r",
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError, UnicodeError) as error:
        raise PhospheneError("E_DECODE", f"{name} can't be opened as a film: {_reason(error)}") from None
    with film:
        yield film


def picture(film: InputContainer, path: str | os.PathLike[str]) -> VideoStream:
    """The stream of pictures; E_FORMAT where there is none, or where they don't move."""
    name = shown(path)
    formats = film.format.name.split(",")
    brand = film.metadata.get("major_brand", "").strip()
    if brand in STILL_BRANDS or any(one.endswith("_pipe") or one in NO_FILMS for one in formats):
        raise PhospheneError(
            "E_FORMAT", f"{name} is no film but {film.format.name}; dream pictures with 'phosphene dream'"
        )
    moving = [one for one in film.streams.video if not _cover(one)]
    if not moving:
        raise PhospheneError("E_FORMAT", f"{name} has no pictures, only {_kinds(film)}; name a film")
    best = film.streams.best("video")
    stream = best if best in moving and isinstance(best, VideoStream) else moving[0]
    if stream.codec_context is None:
        raise PhospheneError("E_FORMAT", f"{name} is of a codec that this FFmpeg can't decode")
    return stream


def _from(
    film: InputContainer, stream: VideoStream, begin: int | None, damage: Counter[str]
) -> Iterator[av.VideoFrame]:
    """The frames from a key frame before `begin` on, or all."""
    if begin is None:
        yield from _frames(film, stream, damage)
        return
    with suppress(av.FFmpegError):
        film.seek(begin, stream=stream)
        frames = _frames(film, stream, damage)
        first = next(frames, None)
        if first is not None and first.pts is not None and first.pts <= begin and not first.is_corrupt:
            yield first
            yield from frames
            return
    with suppress(av.FFmpegError):
        film.seek(stream.start_time or 0, stream=stream)
    yield from _frames(film, stream, damage)


def _frames(film: InputContainer, stream: VideoStream, damage: Counter[str]) -> Iterator[av.VideoFrame]:
    packets, failed = film.demux(stream), 0
    while failed < ATTEMPTS:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, ValueError):
            damage["place(s) of the film couldn't be read"] += 1
            failed += 1
            packets = film.demux(stream)
            continue
        if packet is None:
            return
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError):
            damage["damaged packet(s) are passed over"] += 1
            failed += 1
            continue
        for frame in frames:
            failed = 0
            if frame.is_corrupt:
                damage["still(s) are damaged"] += 1
            yield frame


def _still(
    held: tuple[int, int, Any], until: int, facts: Facts, pixels: Pixels, size: tuple[int, int] | None
) -> Still:
    number, pts, frame = held
    return Still(number, pts, until - pts, pixels(frame, facts.bits, size or (facts.height, facts.width)))


def _pts(frame: av.VideoFrame, otherwise: int) -> int:
    return frame.pts if frame.pts is not None else frame.dts if frame.dts is not None else otherwise


def _cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & stream.disposition.attached_pic)


def _codec(stream: Any) -> str:
    return stream.codec_context.name if stream.codec_context is not None else "unknown"


def _kinds(film: InputContainer) -> str:
    kinds = Counter(one.type for one in film.streams)
    return " and ".join(f"{count} stream(s) of {kind}" for kind, count in kinds.items()) or "nothing"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)[:200] or type(error).__name__
