"""How a film is written: the kinds of output, the codecs, and which pixels they get."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from phosphene.errors import PhospheneError
from phosphene.film.convert import FULL, HD, LIMITED, UNKNOWN, Color, is_rgb
from phosphene.film.source import Facts
from phosphene.picture import shown

REC709 = Color(1, 1, 1, LIMITED)
CONTAINERS = {  # by suffix: FFmpeg's name and the codecs, the usual one first
    ".mp4": ("mp4", ("h264", "h265", "av1")),
    ".m4v": ("mp4", ("h264", "h265", "av1")),
    ".mov": ("mov", ("h264", "h265", "prores")),
    ".mkv": ("matroska", ("h264", "h265", "av1", "prores", "ffv1")),
    ".webm": ("webm", ("av1",)),
    ".avi": ("avi", ("h264", "ffv1")),
}
ENCODERS = {"h264": "libx264", "h265": "libx265", "av1": "libsvtav1", "prores": "prores_ks", "ffv1": "ffv1"}
QUALITY = {"h264": 16.0, "h265": 18.0, "av1": 22.0}  # crf: what is lost is hardly seen
DEEPEST = {"h264": 10, "h265": 12, "av1": 10, "prores": 10, "ffv1": 16}
SEQUENCE = re.compile(r"%0?\d*d")
ONE = Fraction(1)


@dataclass(frozen=True)
class Way:
    """How a film is to be: the size of its stills, their times, colours and codec."""

    width: int  # upright
    height: int
    time_base: Fraction = Fraction(1, 90000)  # seconds per tick
    rate: Fraction = Fraction(25)  # stills per second, on average
    codec: str = ""  # h264, h265, av1, prores or ffv1; "" is the usual one of the output's suffix
    quality: float | None = None  # the codec's crf: the smaller, the better
    rotation: int = 0  # degrees counterclockwise by which players turn what is stored
    color: Color = REC709
    sample_aspect_ratio: Fraction = ONE
    bits: int = 8
    pix_fmt: str = ""  # the source's: its chroma is kept where the codec can
    metadata: Mapping[str, str] = field(default_factory=dict)
    recipe: str = ""  # JSON, kept as the film's comment

    @classmethod
    def like(cls, facts: Facts, width: int = 0, height: int = 0, **changes: Any) -> Way:
        """The way of a film like another, upright `width` x `height` where they are given."""
        color = facts.color
        if is_rgb(facts.pix_fmt):
            color = REC709
        elif facts.pix_fmt.startswith("yuvj"):
            color = replace(color, range=FULL)
        return cls(
            **{
                "width": width or facts.width,
                "height": height or facts.height,
                "time_base": facts.time_base,
                "rate": facts.rate,
                "rotation": facts.rotation,
                "color": color,
                "sample_aspect_ratio": facts.sample_aspect_ratio,
                "bits": facts.bits,
                "pix_fmt": facts.pix_fmt,
                "metadata": facts.metadata,
                **changes,
            }
        )


@dataclass(frozen=True)
class Plan:
    """What becomes of a `Way` for one output."""

    kind: str  # film, png, gif or webp
    container: str  # FFmpeg's name, "" for png
    codec: str
    pix_fmt: str
    bits: int
    way: Way
    color: Color
    rotation: int
    notes: tuple[str, ...] = ()

    @property
    def stored(self) -> tuple[int, int]:
        """(width, height) of what is encoded."""
        size = self.way.width, self.way.height
        return size if self.rotation % 180 == 0 else size[::-1]

    @property
    def halved(self) -> bool:
        """Whether colours are stored at half the size."""
        return self.kind == "webp" or (not is_rgb(self.pix_fmt) and _chroma(self.pix_fmt) != "444")

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this film from another, as JSON values."""
        way = {name: value for name, value in asdict(self.way).items() if name not in ("metadata", "recipe")}
        made = {"kind": self.kind, "container": self.container, "codec": self.codec, "pixels": self.pix_fmt}
        return {
            f"film {name}": value if isinstance(value, int | float | str | None) else str(value)
            for name, value in {**way, **made}.items()
        }


def plan(output: str, way: Way) -> Plan:
    """How `output` is made; E_FORMAT for a suffix, a codec or a size that can't be."""
    kind, suffix = kind_of(output)
    if kind != "film":
        color, deep = Color(1, 13, 0, FULL), kind == "png" and way.bits > 8
        pixels = {"png": "rgb48le" if deep else "rgb24"}.get(kind, "bgr0")
        codec = "png" if kind == "png" else "ffv1"
        return Plan(kind, "" if kind == "png" else kind, codec, pixels, 16 if deep else 8, way, color, 0)
    container, codecs = CONTAINERS[suffix]
    codec = way.codec or codecs[0]
    if codec not in codecs:
        able = ", ".join(name for name, (_, those) in CONTAINERS.items() if codec in those)
        raise PhospheneError(
            "E_FORMAT",
            f"got codec {codec!r} for {suffix}, expected one of {', '.join(codecs)}"
            + (f"; {codec} goes into {able}" if able else ""),
        )
    notes = []
    rotation = way.rotation % 360 if container in ("mp4", "mov", "matroska") else 0
    bits = min(way.bits, DEEPEST[codec])
    if codec == "prores":
        bits = 10
    elif bits < way.bits:
        notes.append(f"{way.bits} bits become {bits}, the most that {codec} has here")
    size = (way.width, way.height) if rotation % 180 == 0 else (way.height, way.width)
    pix_fmt, bits, note = _pixels(codec, way.pix_fmt, bits, *size)
    notes += [note] if note else []
    if way.sample_aspect_ratio != 1 and container not in ("mp4", "mov") and codec not in ("h264", "h265"):
        notes.append(f"{codec} in {suffix} is shown with square pixels, which the source's aren't")
    color = way.color
    if is_rgb(pix_fmt):
        color = Color(way.color.primaries, way.color.trc, 0, FULL)
    elif color.matrix == 0:
        color = REC709
    elif codec == "prores" and color.matrix == UNKNOWN:  # its files have to say
        color = replace(color, matrix=1 if size[1] >= HD else 6)
    return Plan("film", container, codec, pix_fmt, bits, way, color, rotation, tuple(notes))


def kind_of(output: str) -> tuple[str, str]:
    """(film, png, gif or webp; the suffix) of an output's name; E_FORMAT where it can't be told."""
    suffix = Path(output).suffix.lower()
    if output.endswith("/") or Path(output).is_dir():
        return "png", ".png"
    if suffix == ".png" and len(SEQUENCE.findall(Path(output).name)) == 1:
        return "png", suffix
    if suffix in (".gif", ".webp"):
        return suffix[1:], suffix
    if suffix in CONTAINERS:
        return "film", suffix
    raise PhospheneError(
        "E_FORMAT",
        f"{shown(output)} is no name for a film; expected one that ends with "
        f"{' '.join(CONTAINERS)} .gif .webp, a folder (FOLDER/) or pictures (NAME%05d.png)",
    )


def _pixels(codec: str, source: str, bits: int, width: int, height: int) -> tuple[str, int, str]:
    """The pixel format of a codec, its bits, and what there is to say about it."""
    sub = _chroma(source)
    if codec == "prores":
        if width % 2:
            raise PhospheneError(
                "E_FORMAT", f"ProRes has even widths only, got {width}; choose another codec"
            )
        return "yuv422p10le", 10, ""
    if codec == "ffv1":
        if not source or is_rgb(source):
            deep = next(one for one in (8, 10, 12, 14, 16) if one >= bits)
            return ("bgr0" if deep == 8 else f"gbrp{deep}le"), deep, ""
        deep = next(one for one in (8, 10, 12, 16) if one >= bits)
        return f"yuv{sub}p" + ("" if deep == 8 else f"{deep}le"), deep, ""
    deep = next(one for one in (8, 10, 12) if one >= bits)
    end, note = "" if deep == 8 else f"{deep}le", ""
    if codec == "av1":
        note = "" if sub == "420" or not source else "AV1 has its colours at half the size (4:2:0) here"
        sub = "420"
        if width % 2 or height % 2:
            raise PhospheneError(
                "E_FORMAT", f"AV1 has even sizes only here, got {width}x{height}; choose another codec"
            )
    elif (sub == "420" and height % 2) or (sub != "444" and width % 2):
        sub, note = "444", f"{width}x{height} is odd: its colours are kept at full size (4:4:4)"
    return f"yuv{sub}p{end}", deep, note


def _chroma(source: str) -> str:
    """How the colours of a pixel format are to be sampled: 420, 422 or 444; 420 for RGB and grey."""
    if not source or is_rgb(source):
        return "420"
    parts = av.VideoFormat(source, 16, 16).components
    if len(parts) < 3:
        return "420"
    return {(16, 16): "444", (8, 16): "422"}.get((parts[1].width, parts[1].height), "420")


def abilities() -> dict[str, str]:
    """What FFmpeg's libraries can do on this machine, by name, in words."""
    version = ".".join(map(str, av.library_versions["libavcodec"]))
    there = [codec for codec, encoder in ENCODERS.items() if encoder in av.codecs_available]
    return {"libavcodec": version, "codecs": ", ".join(there)}


def options(codec: str, quality: float | None) -> dict[str, str]:
    """An encoder's options: fixed, threads too, so that the same stills always give the same packets."""
    crf = f"{QUALITY.get(codec, 0.0) if quality is None else quality:g}"
    if codec in QUALITY and not (0 <= float(crf) <= 63 and math.isfinite(float(crf))):
        raise PhospheneError("E_PARAM", f"got quality {crf}, expected a crf of 0 to 63")
    return {
        "h264": {"crf": crf, "preset": "medium", "bf": "0"},
        "h265": {
            "crf": crf,
            "preset": "fast",
            "x265-params": "bframes=0:frame-threads=2:pools=4:log-level=none",
        },
        "av1": {"crf": str(round(float(crf))), "preset": "8", "svtav1-params": "lp=4"},
        "prores": {"profile": "hq", "vendor": "apl0"},
        "ffv1": {"g": "1", "slicecrc": "1"},
    }[codec]
