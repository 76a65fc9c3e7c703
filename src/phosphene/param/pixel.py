"""Pixel: the picture itself, for an optimiser."""

from __future__ import annotations

import torch
from numpy.random import RandomState
from torch import Tensor, nn

from phosphene.param.base import Param, normal
from phosphene.param.laplacian import enlarged

NOISE = 0.01


class Pixel(Param):
    """`values` `[N, 3, H, W]`, brought back between black and white after every step."""

    rate = 0.01
    exact = True

    def __init__(self, count: int, size: tuple[int, int], planes: int = 3) -> None:
        super().__init__(count, size, planes)
        self.values = nn.Parameter(torch.full((count, planes, *size), 0.5))

    def forward(self) -> Tensor:
        return self.values.clone()

    def scatter(self, randoms: list[RandomState]) -> None:
        with torch.no_grad():
            self.values.copy_((0.5 + NOISE * normal(randoms, *self.values.shape[1:])).clamp(0, 1))

    def fit(self, image: Tensor) -> None:
        with torch.no_grad():
            self.values.copy_(image)

    def carried(self, name: str, values: Tensor, size: tuple[int, int]) -> Tensor:
        return enlarged(values, size)

    @torch.no_grad()
    def project(self) -> None:
        self.values.clamp_(0, 1)
