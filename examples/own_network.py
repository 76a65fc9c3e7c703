"""A network of one's own, which needn't even be trained: eight Gabor filters, eight directions.

python examples/own_network.py [PHOTO]

Each filter sees strokes of one direction. Dreamed on, the photo becomes a drawing in such strokes.
"""

import math
import sys

import torch
from torch import nn

import phosphene


def gabor(angle: float, wavelength: float = 6.0, size: int = 13) -> torch.Tensor:
    """A wave under a Gaussian, [3, size, size], the same in all colours and zero on average."""
    y, x = torch.meshgrid(*[torch.arange(size) - size // 2] * 2, indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    wave = torch.cos(2 * math.pi * along / wavelength) * torch.exp(-(x**2 + y**2) / wavelength**2)
    return (wave - wave.mean()).expand(3, size, size)


strokes = nn.Conv2d(3, 8, 13, padding=6, padding_mode="circular", bias=False)
strokes.weight.data = torch.stack([gabor(math.pi * i / 8) for i in range(8)])
network = nn.Sequential(strokes, nn.ReLU())

path = sys.argv[1] if len(sys.argv) > 1 else "examples/photo.jpg"
photo = phosphene.open_picture(path)
lens = phosphene.Lens(network, name="strokes", mean=(0.5, 0.5, 0.5))
settings = phosphene.Dream(max_size=640, strength=0.5, seed=1)
for frame in phosphene.dream(photo.tensor(), "1", lens, settings):
    print(frame.octave, frame.step, frame.score.item())
phosphene.save_picture("strokes.png", photo.with_tensor(frame.full()), overwrite=True)
