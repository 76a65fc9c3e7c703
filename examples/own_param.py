"""A parametrization of one's own: a picture made of a few waves, whose directions and colours are learned.

python examples/own_param.py [LAYER CHANNEL]
"""

import sys

import numpy
import torch

import phosphene
from phosphene.param import Param
from phosphene.picture import Picture

WAVES = 32


class Waves(Param):
    def __init__(self, count: int, size: tuple[int, int], planes: int = 3) -> None:
        super().__init__(count, size, planes)
        self.waves = torch.nn.Parameter(torch.zeros(count, WAVES, 3 + planes))  # y, x, phase, colours

    def forward(self) -> torch.Tensor:
        y, x = (torch.linspace(-1, 1, side) for side in self.size)
        way = 12 * self.waves[..., :2]
        angle = way[..., :1, None] * y[:, None] + way[..., 1:, None] * x + 6 * self.waves[..., 2, None, None]
        return torch.einsum("nwhx,nwc->nchx", angle.sin(), self.waves[..., 3:]).mul(0.7).sigmoid()

    def scatter(self, randoms: list) -> None:
        starts = [random.normal(size=self.waves.shape[1:]) for random in randoms]
        self.waves.data = torch.tensor(numpy.stack(starts), dtype=torch.float32)


phosphene.plugins.add("param", "waves", Waves)
layer, channel = sys.argv[1:] or ("blocks.2.1", "7")
settings = phosphene.Dream(param="waves", octaves=1, steps=96, jitter=4, seed=1)
lens = phosphene.load("efficientnet_lite0")
for seen in phosphene.visualize(f"{layer}:{channel}", lens, settings, size=160):
    phosphene.save_picture("waves.png", Picture(seen.image.permute(1, 2, 0).numpy()), overwrite=True)
