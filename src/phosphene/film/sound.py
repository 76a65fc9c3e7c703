"""The sound and the subtitles of a film: copied packet for packet, never decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from phosphene.errors import PhospheneError
from phosphene.film.clock import Clock, begun
from phosphene.film.source import Facts, opened

FAILURES = (av.FFmpegError, ValueError)
ATTEMPTS = 200


def check(facts: Facts, container: str, suffix: str) -> tuple[str, ...]:
    """What a container can't hold of a film's sound, E_FORMAT, or of its subtitles, which is said."""
    notes = []
    with opened(facts.path) as film:
        for stream in film.streams.audio:
            if not _holds(container, stream):
                other = "" if container == "matroska" else "write .mkv, or "
                raise PhospheneError(
                    "E_FORMAT",
                    f"{suffix} can't hold the film's sound ({_codec(stream)}) as it is; "
                    f"{other}give --no-sound",
                )
        lost = [_codec(one) for one in film.streams.subtitles if not _holds(container, one)]
        if lost:
            notes.append(f"{suffix} can't hold the subtitles ({', '.join(lost)}): they are left out")
    return tuple(notes)


class Sound:
    """The streams beside the picture, in a film that is being written."""

    def __init__(self, film: InputContainer, out: OutputContainer, container: str) -> None:
        self.film, self.to = film, dict[int, Stream]()
        for stream in (*film.streams.audio, *film.streams.subtitles):
            if _holds(container, stream):
                copy = out.add_stream_from_template(stream, opaque=True)
                copy.metadata.update(_kept(stream.metadata))
                copy.disposition = stream.disposition
                self.to[stream.index] = copy

    def packets(self, start: Fraction | None, end: Fraction | None, shift: Fraction) -> Iterator[Packet[Any]]:
        """The packets from `start` up to `end`, in seconds of the source, all of them `shift` earlier."""
        streams = [self.film.streams[index] for index in self.to]
        showed = begun(self.film)
        clocks = {one.index: Clock(showed, one.time_base or Fraction(1)) for one in streams}
        found, failed = self.film.demux(*streams) if streams else iter(()), 0
        while failed < ATTEMPTS:
            try:
                packet = next(found, None)
            except FAILURES:
                failed, found = failed + 1, self.film.demux(*streams)
                continue
            if packet is None:
                return
            at = packet.pts if packet.pts is not None else packet.dts
            if not packet.size or at is None:
                continue
            clock = clocks[packet.stream_index]
            failed, seconds = 0, clock.at(at, packet.duration or 0) * packet.time_base
            if (start is not None and seconds < start) or (end is not None and seconds >= end):
                continue
            ticks = round(shift / packet.time_base) + clock.shift
            packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
            packet.stream = self.to[packet.stream_index]
            yield packet


def _holds(container: str, stream: Stream) -> bool:
    """Whether the container takes the stream: its header is written to nowhere."""
    if stream.codec_context is None:
        return False
    try:
        with av.open(io.BytesIO(), "w", format=container) as out:
            if stream.type == "subtitle":
                out.add_stream("libx264" if container != "webm" else "libsvtav1", rate=25)
            out.add_stream_from_template(stream, opaque=True)
            out.start_encoding()
    except FAILURES:
        return False
    return True


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if stream.codec_context is not None else "unknown"


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name.lower() not in ("encoder", "duration")}
