"""Small films for the tests: a photo over which a window moves."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from PIL import Image

PHOTO = Path(__file__).resolve().parents[1] / "examples" / "photo.jpg"


@cache
def photo(width, height):
    with Image.open(PHOTO) as image:
        return np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))


def pan(count, width=160, height=90, bits=8):
    """`count` stills of a window that moves by (2, 1) px: `[H, W, 3]` RGB."""
    wide = photo(width + 2 * count, height + count)
    for i in range(count):
        still = np.ascontiguousarray(wide[i : i + height, 2 * i : 2 * i + width])
        yield still if bits == 8 else still.astype(np.uint16) * 257


def make(
    path,
    codec="libx264",
    count=12,
    *,
    size=(160, 90),
    pix_fmt="yuv420p",
    rate=25,
    base=None,
    times=None,
    sound="",
    rotation=0,
    options=None,
    color=None,
    range_=0,
    sar=None,
    sounds=1,
    languages=(),
    **more,
):
    """A film at `path`; `times` are the ticks of its stills, `color` is the matrix."""
    base = base or 1 / Fraction(rate)
    width, height = size
    with av.open(str(path), "w", **more) as film:
        stream = film.add_stream(codec, rate=rate, options=options or {}, time_base=base)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = base
        if color:
            stream.colorspace = stream.color_primaries = stream.color_trc = color
        if range_:
            stream.color_range = range_
        if sar:
            stream.codec_context.sample_aspect_ratio = sar
        if rotation:
            stream.set_display_rotation(rotation)
        audio = [film.add_stream(sound, rate=48000, layout="mono") for _ in range(sounds if sound else 0)]
        for track, language in zip(audio, languages, strict=False):
            track.metadata["language"] = language
        deep = (
            not pix_fmt.startswith(("yuvj", "rgb8", "bgr")) and av.VideoFormat(pix_fmt).components[0].bits > 8
        )
        matrix = {1: 1, 9: 9}.get(color, 5)
        for i, still in enumerate(pan(count, width, height, 16 if deep else 8)):
            frame = av.VideoFrame.from_ndarray(still, "rgb48le" if deep else "rgb24").reformat(
                format=pix_fmt, dst_colorspace=matrix, src_color_range=2, dst_color_range=range_ or 1
            )
            frame.pts, frame.time_base = (times[i] if times else i), base
            film.mux(stream.encode(frame))
            for one, track in enumerate(audio):
                for packet in track.encode(_tone(i, count, rate, one)):
                    film.mux(packet)
        film.mux(stream.encode())
        for track in audio:
            film.mux(track.encode())
    return path


def _tone(i, count, rate, one):
    each = round(48000 / rate)
    t = np.arange(i * each, (i + 1) * each) / 48000
    frame = av.AudioFrame.from_ndarray(
        (0.3 * np.sin(2 * np.pi * (440 + 110 * one) * t)).astype(np.float32)[None], "fltp", "mono"
    )
    frame.sample_rate, frame.pts, frame.time_base = 48000, i * each, Fraction(1, 48000)
    return frame


def packets(path, kind="audio", index=0):
    """(pts in seconds, bytes) of each packet of a stream."""
    with av.open(str(path)) as film:
        stream = film.streams.get({kind: index})[0]
        return [(p.pts * p.time_base, bytes(p)) for p in film.demux(stream) if p.size]


def decoded(path):
    """(pts in seconds, RGB as the film's own format gives it) of each still."""
    with av.open(str(path)) as film:
        return [(f.pts * f.time_base, f.to_ndarray(format="rgb24")) for f in film.decode(video=0)]


def look(path):
    """The kinds of a film's streams."""
    with av.open(str(path)) as film:
        return [stream.type for stream in film.streams]
