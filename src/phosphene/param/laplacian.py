"""Laplacian: a pyramid of pictures, each half the size of the last, added up (lucid)."""

from __future__ import annotations

import torch
from numpy.random import RandomState
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.param.base import Param, colored, normal, uncolored

LEVELS = 4
NOISE = 0.1


class Laplacian(Param):
    """`level_k` `[N, 3, ⌈H / 2^k⌉, ⌈W / 2^k⌉]`, enlarged and added; colours correlated, sigmoid."""

    rate = 0.03
    exact = True

    def __init__(self, count: int, size: tuple[int, int], planes: int = 3) -> None:
        super().__init__(count, size, planes)
        for level, side in enumerate(levels(size)):
            self.register_parameter(f"level_{level}", nn.Parameter(torch.zeros(count, planes, *side)))

    def forward(self) -> Tensor:
        total = sum(enlarged(level, self.size) for level in self.parameters())
        assert isinstance(total, Tensor)
        return colored(total)

    def scatter(self, randoms: list[RandomState]) -> None:
        with torch.no_grad():
            for level in self.parameters():
                level.copy_(NOISE * normal(randoms, *level.shape[1:]))

    def fit(self, image: Tensor) -> None:
        """Each level holds what the smaller ones leave over, so the sum is the picture."""
        with torch.no_grad():
            rest = uncolored(image)
            for level in reversed(list(self.parameters())):
                level.copy_(F.interpolate(rest, size=level.shape[-2:], mode="area"))
                rest = rest - enlarged(level, self.size)

    def carried(self, name: str, values: Tensor, size: tuple[int, int]) -> Tensor:
        level = int(name.removeprefix("level_"))
        return enlarged(values, levels(size)[level])


def levels(size: tuple[int, int]) -> list[tuple[int, int]]:
    """The sizes, largest first."""
    height, width = size
    return [(-(-height // 2**level), -(-width // 2**level)) for level in range(LEVELS)]


def enlarged(level: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(level.shape[-2:]) == size:
        return level
    return F.interpolate(level, size=size, mode="bilinear", align_corners=False)
