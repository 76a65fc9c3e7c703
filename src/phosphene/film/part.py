"""A part of a film: a few stills by an encoder of their own, in a file that appears whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from phosphene.film.convert import Frames
from phosphene.film.kinds import ENCODERS, Plan, options
from phosphene.picture import atomic

LENGTH = 24  # stills in a part: what a killed run encodes again at most
MS = Fraction(1, 1000)
THREADS = 4  # of an encoder, everywhere: x264's packets depend on how many there are


class Part:
    """The part of a film that is being filled; `close` makes `path` of it, unless it is left half full."""

    def __init__(self, path: Path, plan: Plan) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 has no other way to be asked for silence
        self.path, self.count, self.written = path, 0, 0
        self.half = path.with_name(path.name + ".half")
        width, height = plan.stored
        self.frames = Frames(plan.color, height, plan.rotation, plan.pix_fmt)
        rate = plan.way.rate.limit_denominator(100_000)
        self.file: OutputContainer = av.open(str(self.half), "w", format="matroska")
        stream: Any = self.file.add_stream(
            ENCODERS[plan.codec], rate=rate, options=options(plan.codec, plan.way.quality)
        )
        stream.width, stream.height, stream.pix_fmt = width, height, plan.pix_fmt
        context = stream.codec_context
        context.time_base, context.max_b_frames, context.gop_size = 1 / rate, 0, LENGTH
        context.thread_count = THREADS
        context.sample_aspect_ratio = plan.way.sample_aspect_ratio
        context.color_primaries, context.color_trc = plan.color.primaries, plan.color.trc
        context.colorspace, context.color_range = plan.color.matrix, plan.color.range
        self.stream = stream

    def add(self, pixels: NDArray[Any]) -> None:
        """Encode one more still, `[H, W, 3]` RGB, upright."""
        frame = self.frames(pixels)
        frame.pts, frame.time_base = self.count, self.stream.codec_context.time_base
        self._write(self.stream.encode(frame))
        self.count += 1

    def close(self) -> Path:
        """The finished part."""
        self._write(self.stream.encode(None))
        self.file.close()
        if self.written != self.count:
            raise AssertionError(f"{self.count} stills gave {self.written} packets")
        with self.half.open("rb+") as file:
            os.fsync(file.fileno())
        atomic.publish(self.half, self.path, overwrite=True)
        return self.path

    def leave(self) -> None:
        """Close the file without making anything of it."""
        with suppress(av.FFmpegError, OSError):
            self.file.close()
        self.half.unlink(missing_ok=True)

    def _write(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:  # the stills' own times are kept elsewhere: Matroska would round them
            packet.stream, packet.time_base = self.stream, MS
            packet.pts = packet.dts = 40 * self.written
            self.file.mux(packet)
            self.written += 1


def packets(path: Path, times: list[tuple[int, int]], base: Fraction) -> Iterator[Packet[Any]]:
    """The packets of a part with (pts, duration) in ticks of `base`."""
    with av.open(str(path)) as file:
        found = (packet for packet in file.demux(file.streams.video[0]) if packet.size)
        for packet, (pts, duration) in zip(found, times, strict=True):
            packet.time_base = base
            packet.pts = packet.dts = pts
            packet.duration = duration
            yield packet
