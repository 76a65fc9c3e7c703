"""Animated GIF and WebP from the parts of a film, one still after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.filter import Graph

from phosphene.film.finish import Piece
from phosphene.film.kinds import Plan

CS, MS = Fraction(1, 100), Fraction(1, 1000)
PALETTE_STILLS = 200  # of which GIF's colours are chosen, all along the film
SHORTEST = 2  # hundredths of a second: browsers show what is shorter for a tenth


def write(target: Path, plan: Plan, pieces: Sequence[Piece]) -> tuple[str, ...]:
    """Write the animation, which loops, to `target`; what there is to say about it."""
    base = plan.way.time_base
    unit = CS if plan.kind == "gif" else MS
    times = [span for piece in pieces for span in piece.times]
    ticks = [round((pts - times[0][0]) * base / unit) for pts, _ in times]
    ticks.append(round((times[-1][0] + times[-1][1] - times[0][0]) * base / unit))
    lasts = [max(1, after - now) for now, after in pairwise(ticks)]
    if plan.kind == "gif":
        _gif(target, plan, pieces, lasts)
        if min(lasts) < SHORTEST:
            return ("GIF can't show more than 50 stills a second: browsers will be slower; use --every 2",)
        return ()
    _webp(target, plan, pieces, lasts)
    return ()


def _gif(target: Path, plan: Plan, pieces: Sequence[Piece], lasts: list[int]) -> None:
    step = max(1, len(lasts) // PALETTE_STILLS)
    size = plan.stored
    choice = Graph()
    source = _input(choice, size, "bgra")
    generate = choice.add("palettegen", "stats_mode=full:reserve_transparent=0")
    sink = choice.add("buffersink")
    choice.link_nodes(source, generate, sink).configure()
    for index, still in enumerate(_stills(pieces)):
        if index % step == 0:
            source.push(_timed(still.reformat(format="bgra"), index))
    source.push(None)
    palette: Any = sink.pull()
    use = Graph()
    picture = _input(use, size, "bgra")
    colours = _input(use, (palette.width, palette.height), palette.format.name)
    apply = use.add("paletteuse", "dither=bayer:bayer_scale=3:diff_mode=rectangle")
    result = use.add("buffersink")
    picture.link_to(apply, 0, 0)
    colours.link_to(apply, 0, 1)
    apply.link_to(result)
    use.configure()
    colours.push(_timed(palette, 0))
    colours.push(None)
    with av.open(
        str(target),
        "w",
        format="gif",
        container_options={"loop": "0", "final_delay": str(lasts[-1])},
    ) as out:
        stream = _stream(out, "gif", size, "pal8", CS, plan)
        at = 0
        for still, last in zip(_stills(pieces), lasts, strict=True):
            picture.push(_timed(still.reformat(format="bgra"), at))
            frame: Any = result.pull()
            _mux(out, stream, frame, at, last, CS)
            at += last
        out.mux(stream.encode(None))


def _webp(target: Path, plan: Plan, pieces: Sequence[Piece], lasts: list[int]) -> None:
    quality = 90 if plan.way.quality is None else plan.way.quality
    with av.open(str(target), "w", format="webp", container_options={"loop": "0"}) as out:
        stream = _stream(out, "libwebp_anim", plan.stored, "bgra", MS, plan)
        stream.options = {"quality": f"{quality:g}", "lossless": "0"}
        at = 0
        for still, last in zip(_stills(pieces), lasts, strict=True):
            _mux(out, stream, still.reformat(format="bgra"), at, last, MS)
            at += last
        out.mux(stream.encode(None))


def _stream(out: Any, codec: str, size: tuple[int, int], pix_fmt: str, unit: Fraction, plan: Plan) -> Any:
    stream = out.add_stream(codec, rate=plan.way.rate)
    stream.width, stream.height = size
    stream.pix_fmt = pix_fmt
    stream.time_base = stream.codec_context.time_base = unit
    return stream


def _mux(out: Any, stream: Any, frame: av.VideoFrame, at: int, last: int, unit: Fraction) -> None:
    frame.pts, frame.time_base, frame.duration = at, unit, last
    out.mux(stream.encode(frame))


def _input(graph: Graph, size: tuple[int, int], pix_fmt: str) -> Any:
    return graph.add_buffer(width=size[0], height=size[1], format=av.VideoFormat(pix_fmt), time_base=CS)


def _timed(frame: av.VideoFrame, at: int) -> av.VideoFrame:
    frame.pts, frame.time_base = at, CS
    return frame


def _stills(pieces: Sequence[Piece]) -> Iterator[av.VideoFrame]:
    for piece in pieces:
        with av.open(str(piece.path)) as file:
            yield from file.decode(video=0)
