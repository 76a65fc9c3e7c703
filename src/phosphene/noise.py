"""Noise: what a picture grows from when there is no photo."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from numpy.random import RandomState
from torch import Tensor

GREY = 0.5


@dataclass(frozen=True)
class Noise:
    """No photo: `count` pictures of height × width px from noise. Equal `numbers` are equal noise."""

    count: int
    height: int
    width: int
    numbers: tuple[int, ...] = ()

    @property
    def starts(self) -> tuple[int, ...]:
        """The number of each picture's noise."""
        return self.numbers or tuple(range(self.count))

    def image(self, deviation: float, seed: int) -> Tensor:
        """Normal noise `[N, 3, H, W]` about zero, for pixels."""
        shape = 3, self.height, self.width
        found = (RandomState([seed, number]).normal(0, deviation, shape) for number in self.starts)
        return torch.stack([torch.from_numpy(one).float() for one in found])
