"""`Raster`: a picture as its file stores it, on the way to a `Picture`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.errors import PhospheneError

MAX_PIXELS = 400_000_000
"""The largest picture that is opened: phone panoramas and posters pass, decompression bombs don't."""


@dataclass
class Raster:
    """Samples [H, W, C] of uint8, uint16 or float32 in a file's colour space; alpha [H, W] of the same type.

    `space` is grey, rgb, cmyk or lab; `bits` what a channel has in the file, 8 or 16; `orientation`
    EXIF's, 1 to 8; `gps` whether the metadata say where it was taken.
    """

    samples: NDArray[Any]
    alpha: NDArray[Any] | None = None
    space: str = "rgb"
    bits: int = 8
    icc: bytes | None = None
    orientation: int = 1
    gps: bool = False
    notes: list[str] = field(default_factory=list)


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Raise E_TOO_LARGE where a header announces more than `max_pixels`, E_DECODE where it announces none."""
    if width < 1 or height < 1:
        raise PhospheneError("E_DECODE", f"{name} is {width}×{height} pixels, expected at least 1×1")
    if width * height > max_pixels:
        millions = width * height / 1e6
        raise PhospheneError(
            "E_TOO_LARGE",
            f"{name} is {width}×{height} pixels, {millions:.6g} megapixels, "
            f"expected at most {max_pixels / 1e6:g}; make it smaller first",
        )


def upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of `array` [H, W, …] turned and mirrored as EXIF `orientation` asks; 1 leaves it."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return array[rows, columns]


def floats(samples: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """uint8 or uint16 samples as float32 in 0..1, float samples as they are, broadcast to `shape`."""
    top = np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1
    out = np.empty(shape, np.float32)
    np.divide(samples, np.float32(top), out=out, dtype=np.float32)
    return out
