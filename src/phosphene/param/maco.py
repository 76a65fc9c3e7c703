"""MaCo: the phases of a picture whose magnitudes are those of natural photos (Fel et al. 2023)."""

from __future__ import annotations

import math

import torch
from numpy.random import RandomState
from torch import Tensor, nn

from phosphene.param.base import Param, colored, normal, uncolored
from phosphene.param.fourier import frequencies, waves_of

# Natural photos have amplitudes of about 1 / f^EXPONENT in each uncorrelated channel: fitted by
# `python tools/spectrum.py` to the photos that scikit-image ships.
EXPONENT = (1.4, 1.35, 1.07, 1.4)  # the fourth, for opacity, as the first, which is mostly light


class Maco(Param):
    """`phase` `[N, 3, H, W // 2 + 1]` in radians; called, phases with 1 / f^a as magnitudes.

    Inverse rFFT, each channel to mean 0 and deviation 1, colours correlated, sigmoid.
    Magnitudes never change: such a picture can't be any picture.
    """

    rate = 0.1  # at 1, 128 steps came to some 60 % of the activation
    optimizer = "nadam"

    def __init__(self, count: int, size: tuple[int, int], planes: int = 3) -> None:
        super().__init__(count, size, planes)
        height, width = size
        self.phase = nn.Parameter(torch.zeros(count, planes, height, width // 2 + 1))
        self.register_buffer("magnitude", magnitude(size)[:planes], persistent=False)

    def forward(self) -> Tensor:
        waves = torch.polar(self.magnitude.expand_as(self.phase), self.phase)  # type: ignore[operator]
        channels = torch.fft.irfft2(waves, s=self.size, norm="ortho")
        return colored(standardised(channels))

    def scatter(self, randoms: list[RandomState]) -> None:
        """Normal phases of deviation π: with the paper's 1 all waves begin in step, a white corner."""
        with torch.no_grad():
            self.phase.copy_(math.pi * standardised(normal(randoms, *self.phase.shape[1:])))

    def fit(self, image: Tensor) -> None:
        """The picture's phases: its outlines, with other contrasts."""
        with torch.no_grad():
            self.phase.copy_(torch.fft.rfft2(uncolored(image), norm="ortho").angle())

    def carried(self, name: str, values: Tensor, size: tuple[int, int]) -> Tensor:
        """The waves that both sizes have keep their phases; new ones start at zero."""
        return waves_of(values, size)


def magnitude(size: tuple[int, int]) -> Tensor:
    """Of natural photos, up to a factor: `[4, H, W // 2 + 1]`; no mean."""
    f = frequencies(size).clamp_min(1 / max(size))
    found = torch.stack([f.pow(-exponent) for exponent in EXPONENT])
    found[:, 0, 0] = 0
    return found


def standardised(channels: Tensor) -> Tensor:
    """Mean 0 and deviation 1 of each channel of each picture."""
    centred = channels - channels.mean((2, 3), keepdim=True)
    return centred / centred.square().mean((2, 3), keepdim=True).sqrt().clamp_min(1e-8)
