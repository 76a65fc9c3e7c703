"""Fourier: a spectrum whose slow waves count more than its quick ones, of uncorrelated colours (lucid)."""

from __future__ import annotations

import torch
from numpy.random import RandomState
from torch import Tensor, nn

from phosphene.param.base import Param, colored, normal, uncolored

NOISE = 0.01
QUIET = 4.0  # by which lucid divides what comes out of the spectrum


class Fourier(Param):
    """`spectrum` `[N, 3, H, W // 2 + 1, 2]`: real and imaginary parts, multiplied by 1 / frequency.

    Olah et al., Distill 2017: coefficients / max(f, 1 / max(W, H)), orthonormal inverse rFFT, / 4,
    colours correlated, sigmoid.
    """

    exact = True

    def __init__(self, count: int, size: tuple[int, int], planes: int = 3) -> None:
        super().__init__(count, size, planes)
        height, width = size
        self.spectrum = nn.Parameter(torch.zeros(count, planes, height, width // 2 + 1, 2))
        self.register_buffer("scale", 1 / frequencies(size).clamp_min(1 / max(size)), persistent=False)

    def forward(self) -> Tensor:
        waves = torch.view_as_complex(self.spectrum) * self.scale  # type: ignore[operator]  # a buffer
        return colored(torch.fft.irfft2(waves, s=self.size, norm="ortho") / QUIET)

    def scatter(self, randoms: list[RandomState]) -> None:
        with torch.no_grad():
            self.spectrum.copy_(NOISE * normal(randoms, *self.spectrum.shape[1:]))

    def fit(self, image: Tensor) -> None:
        with torch.no_grad():
            waves = torch.fft.rfft2(QUIET * uncolored(image), norm="ortho") / self.scale
            self.spectrum.copy_(torch.view_as_real(waves))

    def carried(self, name: str, values: Tensor, size: tuple[int, int]) -> Tensor:
        """The waves that both sizes have keep their coefficients: the scale grows as the picture does."""
        return waves_of(values, size)


def frequencies(size: tuple[int, int]) -> Tensor:
    """Of an rFFT's coefficients, in waves per pixel: `[H, W // 2 + 1]`."""
    height, width = size
    return torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])


def waves_of(values: Tensor, size: tuple[int, int]) -> Tensor:
    """An rFFT's coefficients `[N, C, H, W // 2 + 1, …]` for pictures of another size; new waves get zeros."""
    (height, width), rows = size, values.shape[2]
    low, columns = min(rows, height), min(values.shape[3], width // 2 + 1)
    found = values.new_zeros(*values.shape[:2], height, width // 2 + 1, *values.shape[4:])
    above, below = (low + 1) // 2, low // 2
    found[:, :, :above, :columns] = values[:, :, :above, :columns]
    found[:, :, height - below :, :columns] = values[:, :, rows - below :, :columns]
    return found
