"""Light, dark and colour."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def luma(image: Tensor) -> Tensor:
    """The light of an RGB image `[N, 3, H, W]`: `[N, 1, H, W]`, same range."""
    weights = torch.tensor(LUMA, device=image.device, dtype=image.dtype).view(1, 3, 1, 1)
    return (image * weights).sum(1, keepdim=True)


def with_color_of(dream: Tensor, photo: Tensor) -> Tensor:
    """The light of `dream` with the colour differences of `photo`, both `[N, 3, H, W]` 0..1.

    In YCbCr that is the dream's Y with the photo's Cb and Cr. Where that leaves the range, the
    colour is paled just enough to stay inside, so the light is always the dream's.
    """
    light = luma(dream)
    color = photo - luma(photo)
    room = torch.where(color > 0, 1 - light, light) / color.abs().clamp_min(1e-6)
    return (light + color * room.amin(1, keepdim=True).clamp(0, 1)).clamp(0, 1)
