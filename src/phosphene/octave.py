"""Octaves: the sizes that a dream runs through, and how pictures go from one to the next."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.config import MAX_OCTAVES, Dream
from phosphene.errors import PhospheneError

SMALLEST = 200  # px: where the smallest side of the smallest octave ends up, or a little under
Size = tuple[int, int]


def output_size(height: int, width: int, config: Dream) -> Size:
    """The dream's size for a photo of `height` × `width`: `max_size` shrinks first, then `scale`."""
    longer = max(height, width)
    ratio = min(1.0, config.max_size / longer) if config.max_size else 1.0
    ratio *= config.scale
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def octave_count(height: int, width: int, config: Dream) -> int:
    """`config.octaves`, or as many as bring the smallest side to about 200 px, rather less than more."""
    if config.octaves:
        return config.octaves
    more = math.ceil(math.log(min(height, width) / SMALLEST) / math.log(config.octave_scale) - 0.05)
    return min(1 + max(0, more), MAX_OCTAVES)


def octave_sizes(height: int, width: int, config: Dream) -> list[Size]:
    """The octaves' sizes for an output of `height` × `width`, smallest first.

    Each is the next larger one divided by `octave_scale`, rounded half to even, as
    `scipy.ndimage.zoom` rounds in the 2015 notebook.
    """
    sizes = [(height, width)]
    for _ in range(octave_count(height, width, config) - 1):
        height, width = (max(1, round(side * (1.0 / config.octave_scale))) for side in (height, width))
        sizes.append((height, width))
    return sizes[::-1]


def zoomed(image: Tensor, size: Size, lost: Tensor | None = None) -> Tensor:
    """`[N, C, H, W]` at another size, as `scipy.ndimage.zoom(order=1)` does it in the notebook.

    At some sizes scipy takes the last row or column for outside of the picture, by a rounding, and
    fills it with zeros. Given `lost` `[C, 1, 1]`, so does this, with that colour.
    """
    if tuple(image.shape[-2:]) == size:
        return image
    wide = torch.float32 if image.device.type == "mps" else torch.float64  # scipy places samples in doubles
    grown = image.new_empty(*image.shape[:2], *size)
    for channel in range(image.shape[1]):  # one at a time, as doubles are large
        plane = image[:, channel : channel + 1].to(wide)
        grown[:, channel : channel + 1] = F.interpolate(plane, size=size, mode="bilinear", align_corners=True)
    if lost is not None:
        if _misses_last(image.shape[-2], size[0]):
            grown[..., -1:, :] = lost
        if _misses_last(image.shape[-1], size[1]):
            grown[..., -1:] = lost
    return grown


def _misses_last(before: int, after: int) -> bool:
    return after > 1 and (before - 1) / (after - 1) * (after - 1) > before - 1


def resampled(image: Tensor, size: Size) -> Tensor:
    """A photo `[N, C, H, W]` at another size: bicubic, antialiased, 0..1."""
    if tuple(image.shape[-2:]) == size:
        return image
    return F.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def pyramid(image: Tensor, sizes: list[Size], lost: Tensor | None = None) -> list[Tensor]:
    """The photo `[N, 3, H, W]` at every octave's size, smallest first, each from the next larger."""
    if tuple(image.shape[-2:]) != sizes[-1]:
        raise PhospheneError("E_PARAM", f"image is {tuple(image.shape[-2:])}, expected {sizes[-1]}")
    bases = [image]
    for size in sizes[-2::-1]:
        bases.append(zoomed(bases[-1], size, lost))
    return bases[::-1]
