"""What is done to a gradient between the network and the step.

Every function takes and gives `[N, 3, H, W]`, image by image: a batch never mixes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

STRIP = 512  # px: rows that are smoothed at a time


def mean_size(g: Tensor) -> Tensor:
    """mean|g| of each image over all channels and pixels: `[N, 1, 1, 1]`."""
    return g.abs().mean(dim=(1, 2, 3), keepdim=True)


def unit(g: Tensor) -> Tensor:
    """`g` with each image's mean|g| brought to 1; zero stays zero."""
    return g / mean_size(g).clamp_min(torch.finfo(g.dtype).tiny)


def balanced(parts: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The gradients of several layers, each brought to mean size 1 and weighed; one stays as it is.

    After crowsonkb/deep_dream, but with the norm taken over the whole image. A part that is zero
    adds nothing. The parts are overwritten, as a large picture's take much memory.
    """
    if len(parts) == 1:
        return parts[0]
    for g, weight in zip(parts, weights, strict=True):
        g.div_(mean_size(g).clamp_min(torch.finfo(g.dtype).tiny)).mul_(weight)
    return reduce(Tensor.add_, parts)


def gaussian(g: Tensor, sigma: float) -> Tensor:
    """`g` smoothed by a Gaussian of `sigma` px, cut off at 4 sigma, edges repeated; in strips."""
    radius = int(4 * sigma + 0.5)
    if radius == 0:
        return g
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(g.dtype).to(g.device)
    channels = g.shape[1]
    column, row = kernel.view(1, 1, -1, 1), kernel.view(1, 1, 1, -1)
    smooth = torch.empty_like(g)
    height = g.shape[-2]
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        first, last = max(0, top - radius), min(height, bottom + radius)
        beyond = first - (top - radius), bottom + radius - last
        strip = F.pad(g[..., first:last, :], (radius, radius, *beyond), mode="replicate")
        strip = F.conv2d(strip, column.expand(channels, -1, -1, -1), groups=channels)
        smooth[..., top:bottom, :] = F.conv2d(strip, row.expand(channels, -1, -1, -1), groups=channels)
    return smooth


def falling_sigma(smooth: float, step: int, steps: int) -> float:
    """The smoothing in step `step` of `steps`: from `smooth` down, never under 0.3 px; 0 stays 0."""
    return smooth * (1 - step / steps) + 0.3 if smooth else 0.0


def laplacian(g: Tensor, levels: int) -> Tensor:
    """Laplacian gradient normalisation: every frequency band of `g` brought to the same RMS.

    The TensorFlow notebook of 2016: kernel `outer([1, 4, 6, 4, 1]) / 256`, `lo` = convolution of
    stride 2 with SAME padding, `hi` = what the transposed convolution of `lo` doesn't give back,
    every band divided by `max(RMS, 1e-10)`, then merged. A level that would be under one pixel
    is left out.
    """
    bands = []
    for _ in range(min(levels, int(math.log2(max(2, min(g.shape[-2:])))))):
        low = _down(g)
        bands.append(g - _up(low, g.shape[-2:]))
        g = low
    merged = _unit_rms(g)
    for band in reversed(bands):
        merged = _up(merged, band.shape[-2:]) + _unit_rms(band)
    return merged


def _kernel(like: Tensor) -> Tensor:
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=like.dtype, device=like.device)
    return (torch.outer(row, row) / 256).expand(like.shape[1], 1, 5, 5)


def _same(size: int) -> tuple[int, int]:
    total = 3 if size % 2 == 0 else 4
    return total // 2, total - total // 2


def _down(g: Tensor) -> Tensor:
    (top, bottom), (left, right) = _same(g.shape[-2]), _same(g.shape[-1])
    return F.conv2d(F.pad(g, (left, right, top, bottom)), _kernel(g), stride=2, groups=g.shape[1])


def _up(low: Tensor, size: torch.Size) -> Tensor:
    grown = F.conv_transpose2d(low, 4 * _kernel(low), stride=2, groups=low.shape[1])
    (top, _), (left, _) = _same(size[0]), _same(size[1])
    return grown[..., top : top + size[0], left : left + size[1]]


def _unit_rms(band: Tensor) -> Tensor:
    return band / band.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-10)
