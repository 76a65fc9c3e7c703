"""What is done to a gradient between the network and the step.

Every function takes and gives a picture `[N, 3, H, W]` in windows, image by image: a batch never mixes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.canvas import Canvas, Held

STRIP = 512  # px: rows that are smoothed at a time


def mean_size(g: Canvas) -> Tensor:
    """mean|g| of each image over all channels and pixels: `[N, 1, 1, 1]`."""
    return _mean(g, Tensor.abs)


def unit(g: Canvas) -> Canvas:
    """`g` with each image's mean|g| brought to 1; zero stays zero."""
    size = mean_size(g).clamp_min(torch.finfo(torch.float32).tiny)
    return g.view(g.shape, lambda top, bottom: g.rows(top, bottom) / size)


def scaled(g: Canvas, average: Tensor, size: float, weight: Canvas | None) -> Canvas:
    """`g`, overwritten where it is in memory: its mean `average` brought to `size`, times the mask."""

    def rows(top: int, bottom: int) -> Tensor:
        factor = size * (1.0 if weight is None else weight.rows(top, bottom))
        return g.rows(top, bottom).div_(average).mul_(factor)

    return g.view(g.shape, rows)


def balanced(parts: Sequence[Canvas], weights: Sequence[float | Sequence[float]]) -> Canvas:
    """The gradients of several layers, each brought to mean size 1 and weighed; one stays as it is.

    A part's weight is one for all images, or one for each.

    After crowsonkb/deep_dream, but with the norm taken over the whole image. A part that is zero
    adds nothing. Parts in memory are overwritten, as a large picture's take much.
    """
    if len(parts) == 1:
        return parts[0]
    sizes = [mean_size(g).clamp_min(torch.finfo(torch.float32).tiny) for g in parts]
    factors = [
        weight if isinstance(weight, float) else torch.tensor(weight).view(-1, 1, 1, 1).to(size)
        for weight, size in zip(weights, sizes, strict=True)
    ]

    def rows(top: int, bottom: int) -> Tensor:
        total, *others = (
            g.rows(top, bottom).div_(size).mul_(factor)
            for g, size, factor in zip(parts, sizes, factors, strict=True)
        )
        for other in others:
            total.add_(other)
        return total

    return parts[0].view(parts[0].shape, rows)


def gaussian(g: Canvas, sigma: float) -> Canvas:
    """`g` smoothed by a Gaussian of `sigma` px, cut off at 4 sigma, edges repeated; in strips."""
    radius = int(4 * sigma + 0.5)
    if radius == 0:
        return g
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(g.device, torch.float32)
    channels, height = g.shape[1], g.shape[-2]
    column = kernel.view(1, 1, -1, 1).expand(channels, -1, -1, -1)
    row = kernel.view(1, 1, 1, -1).expand(channels, -1, -1, -1)

    def rows(start: int, end: int) -> Tensor:
        smooth = (
            torch.empty_like(g.image)
            if isinstance(g, Held)
            else torch.empty(*g.shape[:2], end - start, g.shape[-1], device=g.device)
        )
        for top in range(start, end, STRIP):
            bottom = min(top + STRIP, end)
            first, last = max(0, top - radius), min(height, bottom + radius)
            beyond = first - (top - radius), bottom + radius - last
            strip = F.pad(g.rows(first, last), (radius, radius, *beyond), mode="replicate")
            strip = F.conv2d(strip, column, groups=channels)
            smooth[..., top - start : bottom - start, :] = F.conv2d(strip, row, groups=channels)
        return smooth

    return g.view(g.shape, rows)


def falling_sigma(smooth: float, step: int, steps: int) -> float:
    """The smoothing in step `step` of `steps`: from `smooth` down, never under 0.3 px; 0 stays 0."""
    return smooth * (1 - step / steps) + 0.3 if smooth else 0.0


def laplacian(g: Canvas, levels: int) -> Canvas:
    """Laplacian gradient normalisation: every frequency band of `g` brought to the same RMS.

    The TensorFlow notebook of 2016: kernel `outer([1, 4, 6, 4, 1]) / 256`, `lo` = convolution of
    stride 2 with SAME padding, `hi` = what the transposed convolution of `lo` doesn't give back,
    every band divided by `max(RMS, 1e-10)`, then merged. A level that would be under one pixel
    is left out.
    """
    bands = []
    for _ in range(min(levels, int(math.log2(max(2, min(g.size)))))):
        low = g.made([*g.shape[:2], *(-(-side // 2) for side in g.size)], partial(_down, g))
        bands.append(g.view(g.shape, partial(_rest, g, low)))
        g = low
    merged = _unit_rms(g)
    for band in reversed(bands):
        merged = band.view(band.shape, partial(_joined, merged, _unit_rms(band)))
    return merged


def _rest(g: Canvas, low: Canvas, top: int, bottom: int) -> Tensor:
    return g.rows(top, bottom) - _up(low, g.size, top, bottom)


def _joined(low: Canvas, band: Canvas, top: int, bottom: int) -> Tensor:
    return _up(low, band.size, top, bottom) + band.rows(top, bottom)


def _kernel(like: Tensor) -> Tensor:
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=like.dtype, device=like.device)
    return (torch.outer(row, row) / 256).expand(like.shape[1], 1, 5, 5)


def _same(size: int) -> tuple[int, int]:
    total = 3 if size % 2 == 0 else 4
    return total // 2, total - total // 2


def _down(g: Canvas, top: int, bottom: int) -> Tensor:
    """Rows of the next smaller level: each from five, of which those beyond the picture are zero."""
    height, width = g.size
    start = 2 * top - _same(height)[0]
    end = 2 * bottom + 3 - _same(height)[0]
    first, last = max(0, start), min(height, end)
    rows = F.pad(g.rows(first, last), (*_same(width), first - start, end - last))
    return F.conv2d(rows, _kernel(rows), stride=2, groups=rows.shape[1])


def _up(low: Canvas, size: tuple[int, int], top: int, bottom: int) -> Tensor:
    """Rows of the next larger level, of `size`: each from the two or three that lie around it."""
    (above, _), (left, _) = _same(size[0]), _same(size[1])
    first = max(0, (top + above - 3) // 2)
    last = min(low.shape[-2], (bottom + above + 1) // 2)
    rows = low.rows(first, last)
    grown = F.conv_transpose2d(rows, 4 * _kernel(rows), stride=2, groups=rows.shape[1])
    start = top + above - 2 * first
    return grown[..., start : start + bottom - top, left : left + size[1]]


def _unit_rms(band: Canvas) -> Canvas:
    rms = _mean(band, Tensor.square).sqrt().clamp_min(1e-10)
    return band.view(band.shape, lambda top, bottom: band.rows(top, bottom) / rms)


def _mean(g: Canvas, of: Callable[[Tensor], Tensor]) -> Tensor:
    """The mean over channels and pixels of what `of` makes of them: `[N, 1, 1, 1]`."""
    means = [
        (of(g.rows(top, bottom)).mean(dim=(1, 2, 3), keepdim=True), bottom - top)
        for top, bottom in g.strips()
    ]
    if len(means) == 1:
        return means[0][0]
    total = sum(mean.double() * rows for mean, rows in means)
    return (total / g.shape[-2]).float()  # type: ignore[union-attr]
