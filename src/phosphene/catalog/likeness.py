"""What a picture looks like in a few numbers, wherever in it things are: to find pictures that are alike."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 64  # px that a picture is looked at with
BANDS, WAYS = 5, 8  # octaves of frequency, directions
COLOR = 2.0  # of colours beside texture, whose numbers have length 1
FLAT = 1.0  # the length of what rounding to 8 bits leaves, which is no texture
Array = np.ndarray[Any, Any]


def signature(image: Tensor) -> Array:
    """Of a picture `[3, H, W]`, 0..1: `[46]`, the texture (how strong each band of frequency is in each
    direction) and the colours (mean and deviation of light, of red against green, of blue against both).
    """
    small = F.interpolate(image[None].float().cpu(), (SIDE, SIDE), mode="bilinear", antialias=True)[0]
    red, green, blue = small.double()
    planes = torch.stack([(red + green + blue) / 3, red - green, blue - (red + green) / 2]).flatten(1).numpy()
    light = (planes[0] - planes[0].mean()).reshape(SIDE, SIDE)
    fade = np.hanning(SIDE)
    power = np.abs(np.fft.rfft2(light * fade[:, None] * fade)) ** 2
    texture = np.sqrt(np.bincount(_bins().ravel(), power.ravel(), BANDS * WAYS + 1)[:-1])
    texture /= max(float(np.linalg.norm(texture)), FLAT)
    return np.concatenate([texture, COLOR * planes.mean(1), COLOR * planes.std(1)])


@cache
def _bins() -> Array:
    """Where each frequency belongs: band and direction; the last for those that belong nowhere."""
    y, x = np.fft.fftfreq(SIDE, 1 / SIDE)[:, None], np.fft.rfftfreq(SIDE, 1 / SIDE)[None]
    radius = np.hypot(y, x)
    band = np.floor(np.log2(np.maximum(radius, 0.5))).astype(int)
    way = np.floor((np.arctan2(y, x) / np.pi + 0.5) * WAYS + 0.5).astype(int) % WAYS
    return np.where((band >= 0) & (band < BANDS), band * WAYS + way, BANDS * WAYS)
