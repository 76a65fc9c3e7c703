"""Between a film's frames and RGB, by the film's own matrix and range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

Array = NDArray[Any]

UNKNOWN, LIMITED, FULL = 2, 1, 2  # of primaries, trc and matrix; the ranges
WHITE = 255 << 8  # what swscale takes for white in 16 bits
HD = 720  # rows from which a film that doesn't say so is Rec. 709
SPACES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
EXACT = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)


@dataclass(frozen=True)
class Color:
    """What a film says of its colours, in the numbers of ITU-T H.273; 2 is unspecified, a range of 0 too."""

    primaries: int = UNKNOWN
    trc: int = UNKNOWN
    matrix: int = UNKNOWN
    range: int = 0


def space(color: Color, height: int) -> Colorspace:
    """The matrix of a film; 709 from 720 lines up and else 601 where it is unspecified."""
    return SPACES.get(color.matrix, Colorspace.ITU709 if height >= HD else Colorspace.ITU601)


def is_rgb(pix_fmt: str) -> bool:
    """Whether the format's planes are red, green and blue, which no matrix has mixed."""
    return av.VideoFormat(pix_fmt).is_rgb or "pal8" in pix_fmt


def levels(color: Color, pix_fmt: str) -> ColorRange:
    """The range of a film's numbers: full for RGB, grey and the old yuvj formats, else what it says."""
    if is_rgb(pix_fmt) or pix_fmt.startswith(("yuvj", "gray", "ya8", "ya16", "mono")):
        return ColorRange.JPEG
    return ColorRange.JPEG if color.range == FULL else ColorRange.MPEG


def _scaled(pixels: Array, white: int, to: int) -> Array:
    """uint16 `pixels` with `white` where `to` is asked for."""
    if white == to:
        return pixels
    moved = np.minimum(pixels.astype(np.float32) * np.float32(to / white), 65535)
    levels: Array = np.rint(moved).astype(np.uint16)
    return levels


class Pixels:
    """Frames to RGB pixels."""

    def __init__(self, color: Color, height: int, rotation: int) -> None:
        self.color, self.height, self.rotation = color, height, rotation
        self.by = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, bits: int, size: tuple[int, int] | None = None) -> Array:
        """`[H, W, 3]` RGB, upright: uint8, or uint16 for more than 8 bits. `size` is (H, W)."""
        turns = self.rotation // 90 % 4
        height, width = size or (0, 0)
        if turns % 2:
            height, width = width, height
        out = self.by.reformat(
            frame,
            width=width or None,
            height=height or None,
            format="rgb24" if bits == 8 else "rgb48le",
            src_colorspace=space(self.color, self.height),
            src_color_range=levels(self.color, frame.format.name),
            dst_color_range=ColorRange.JPEG,
            interpolation=EXACT,
            threads=1,
        )
        pixels: Array = out.to_ndarray()
        if pixels.dtype == np.uint16 and not is_rgb(frame.format.name):
            full = levels(self.color, frame.format.name) == ColorRange.JPEG
            white = ((1 << bits) - 1) << (16 - bits) if full else WHITE
            pixels = _scaled(pixels, white, 65535)
        return np.ascontiguousarray(np.rot90(pixels, turns))


class Frames:
    """RGB pixels to frames."""

    def __init__(self, color: Color, height: int, rotation: int, pix_fmt: str) -> None:
        self.color, self.height, self.rotation, self.pix_fmt = color, height, rotation, pix_fmt
        self.by = VideoReformatter()

    def __call__(self, pixels: Array) -> av.VideoFrame:
        """The frame of `[H, W, 3]` RGB, upright, uint8 or uint16, turned as it is stored."""
        stored = np.ascontiguousarray(np.rot90(pixels, -(self.rotation // 90) % 4))
        if stored.dtype == np.uint16 and not is_rgb(self.pix_fmt):
            stored = _scaled(stored, 65535, WHITE)
        kind = "rgb24" if stored.dtype == np.uint8 else "rgb48le"
        frame = av.VideoFrame.from_ndarray(stored, kind)
        frame.color_range = ColorRange.JPEG
        return self.by.reformat(
            frame,
            format=self.pix_fmt,
            dst_colorspace=space(self.color, self.height),
            dst_color_range=levels(self.color, self.pix_fmt),
            interpolation=EXACT,
            threads=1,
        )
