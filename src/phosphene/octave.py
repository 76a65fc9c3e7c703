"""Octaves: the sizes that a dream runs through, and how pictures go from one to the next."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.canvas import STRIP, Canvas, Kept, Rows
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


def zoomed(image: Canvas, size: Size, lost: Tensor | None = None) -> Canvas:
    """`[N, C, H, W]` at another size, as `scipy.ndimage.zoom(order=1)` does it in the notebook.

    At some sizes scipy takes the last row or column for outside of the picture, by a rounding, and
    fills it with zeros. Given `lost` `[C, 1, 1]`, so does this, with that colour.
    """
    if image.size == size:
        return image
    return image.view([*image.shape[:2], *size], _zooming(image, size, lost))


def _zooming(image: Canvas, size: Size, lost: Tensor | None) -> Rows:
    wide = torch.float32 if image.device.type == "mps" else torch.float64  # scipy places samples in doubles
    scale = (image.shape[-2] - 1) / (size[0] - 1) if size[0] > 1 else 0.0

    def rows(top: int, bottom: int) -> Tensor:
        first, last = int(scale * top), min(image.shape[-2], int(scale * (bottom - 1)) + 2)
        source = image.rows(first, last)
        whole = (first, last, bottom - top) == (0, image.shape[-2], size[0])
        grown = source.new_empty(*image.shape[:2], bottom - top, size[1])
        for channel in range(image.shape[1]):  # one at a time, as doubles are large
            plane = source[:, channel : channel + 1].to(wide)
            shape = size if whole else (last - first, size[1])
            plane = F.interpolate(plane, size=shape, mode="bilinear", align_corners=True)
            grown[:, channel : channel + 1] = plane if whole else between(plane, top, bottom, first)
        if lost is not None:
            if _misses_last(image.shape[-2], size[0]) and bottom == size[0]:
                grown[..., -1:, :] = lost
            if _misses_last(image.shape[-1], size[1]):
                grown[..., -1:] = lost
        return grown

    def between(plane: Tensor, top: int, bottom: int, first: int) -> Tensor:
        """Rows of the result out of rows that have its width already."""
        place = scale * torch.arange(top, bottom, dtype=wide, device=plane.device)
        above = place.long().clamp_max(image.shape[-2] - 1)
        below = (above + 1).clamp_max(image.shape[-2] - 1)
        weight = (place - above)[:, None]
        return plane[..., above - first, :] * (1 - weight) + plane[..., below - first, :] * weight

    return rows


def _misses_last(before: int, after: int) -> bool:
    return after > 1 and (before - 1) / (after - 1) * (after - 1) > before - 1


def resampled(image: Kept, size: Size) -> Kept:
    """A photo `[N, C, H, W]` at another size: bicubic, antialiased, 0..1."""
    if image.size == size:
        return image
    height, width = image.size
    scale = height / size[0]
    reach = 2 * max(scale, 1.0)

    def rows(top: int, bottom: int) -> Tensor:
        if (top, bottom) == (0, size[0]) and len(image.strips()) == 1:
            return _bicubic(image.rows(0, height), size).clamp(0, 1)
        step = max(1, int(STRIP / width / scale))  # where many rows shrink to one
        return torch.cat([few(start, min(start + step, bottom)) for start in range(top, bottom, step)], 2)

    def few(top: int, bottom: int) -> Tensor:
        first = max(0, int(scale * (top + 0.5) - reach + 0.5))
        last = min(height, int(scale * (bottom - 0.5) + reach + 0.5))
        source = _bicubic(image.rows(first, last), (last - first, size[1]))
        weights = _taps(top, bottom, first, last).to(source.device)
        return (weights @ source).clamp_(0, 1)

    def _taps(top: int, bottom: int, first: int, last: int) -> Tensor:
        """Each row's weights of the rows from `first` on, as `F.interpolate` has them."""
        center = scale * (torch.arange(top, bottom, dtype=torch.float64) + 0.5)[:, None]
        row = torch.arange(first, last, dtype=torch.float64)
        start = (center - reach + 0.5).clamp_min(0).floor()
        end = (center + reach + 0.5).clamp_max(height).floor()
        x = ((row + 0.5 - center) / max(scale, 1.0)).abs()
        near = (1.5 * x - 2.5) * x * x + 1
        far = ((-0.5 * x + 2.5) * x - 4) * x + 2
        weight = torch.where(x < 1, near, torch.where(x < 2, far, 0.0)) * ((row >= start) & (row < end))
        return (weight / weight.sum(1, keepdim=True)).float()

    return image.made([*image.shape[:2], *size], rows)


def _bicubic(image: Tensor, size: Size) -> Tensor:
    return F.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False)


def pyramid(image: Kept, sizes: list[Size], lost: Tensor | None = None) -> list[Kept]:
    """The photo `[N, 3, H, W]` at every octave's size, smallest first, each from the next larger."""
    if image.size != sizes[-1]:
        raise PhospheneError("E_PARAM", f"image is {image.size}, expected {sizes[-1]}")
    bases = [image]
    for size in sizes[-2::-1]:
        base = zoomed(bases[-1], size, lost)
        bases.append(base.made(base.shape, base.rows))
    return bases[::-1]
