"""CPPN: a small network from a pixel's place to its colour, so a picture of any size (lucid)."""

from __future__ import annotations

import math

import torch
from numpy.random import RandomState
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.param.base import Param, normal
from phosphene.param.optimizer import Optimizer

LAYERS, WIDTH = 8, 24
REACH = math.sqrt(3)  # coordinates of the shorter side run from -REACH to REACH
LIVELY = 1.6  # of the deeper layers in the beginning, beside lucid: found by looking
FIT_STEPS, FIT_RATE, FIT_SIDE = 400, 0.01, 64


class Cppn(Param):
    """`weight_k` `[N, out, in]` and `bias_k` `[N, out, 1]`: eight layers of 24, colours by a sigmoid.

    Each layer is followed by a = atan(x) and the pair (a / 0.67, a² / 0.6), so that the next one sees
    twice as many channels; the last layer starts at zero, a grey picture.
    """

    rate = 0.005

    def __init__(self, count: int, size: tuple[int, int], planes: int = 3) -> None:
        super().__init__(count, size, planes)
        ins = [2, *[2 * WIDTH] * LAYERS]
        outs = [WIDTH] * LAYERS + [planes]
        for layer, (wide, narrow) in enumerate(zip(ins, outs, strict=True)):
            self.register_parameter(f"weight_{layer}", nn.Parameter(torch.zeros(count, narrow, wide)))
            self.register_parameter(f"bias_{layer}", nn.Parameter(torch.zeros(count, narrow, 1)))
        self.register_buffer("places", coordinates(size), persistent=False)

    def forward(self) -> Tensor:
        x: Tensor = self.places.expand(self.count, -1, -1)  # type: ignore[operator]
        for layer in range(LAYERS + 1):
            bias = self.get_parameter(f"bias_{layer}")
            x = torch.baddbmm(bias, self.get_parameter(f"weight_{layer}"), x)
            if layer < LAYERS:
                bent = torch.atan(x)
                x = torch.cat((bent / 0.67, bent.square() / 0.6), 1)
        return torch.sigmoid(x).view(self.count, self.planes, *self.size)

    def scatter(self, randoms: list[RandomState]) -> None:
        with torch.no_grad():
            for layer in range(LAYERS):
                weight = self.get_parameter(f"weight_{layer}")
                gain = LIVELY if layer else 1.0
                weight.copy_(gain * normal(randoms, *weight.shape[1:]) / math.sqrt(weight.shape[2]))

    def fit(self, image: Tensor) -> None:
        """By Adam, from noise that is always the same: as near as so few numbers come to a picture.

        They come no nearer to a large one than to the same one small.
        """
        if max(self.size) > FIT_SIDE:
            small = tuple(max(1, round(side * FIT_SIDE / max(self.size))) for side in self.size)
            other = self.resized((small[0], small[1]))
            other.fit(F.interpolate(image, small, mode="area"))
            self.load_state_dict(other.state_dict())
            return
        self.scatter([RandomState(0) for _ in range(self.count)])
        climber = Optimizer("adam", dict(self.named_parameters()), FIT_RATE)
        for _ in range(FIT_STEPS):
            climber.clear()
            (self() - image).square().mean().backward()
            climber.step()

    def carried(self, name: str, values: Tensor, size: tuple[int, int]) -> Tensor:
        return values


def coordinates(size: tuple[int, int]) -> Tensor:
    """(x, y) of every pixel, `[2, H · W]`; pixels are square, and the middle is zero."""
    height, width = size
    step = 2 * REACH / max(1, min(size) - 1)
    y = (torch.arange(height) - (height - 1) / 2) * step
    x = (torch.arange(width) - (width - 1) / 2) * step
    return torch.stack(torch.meshgrid(y, x, indexing="ij")).flip(0).reshape(2, -1)
