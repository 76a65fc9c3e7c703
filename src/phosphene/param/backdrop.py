"""What stands behind a picture that lets it through: something else in every step (lucid)."""

from __future__ import annotations

import torch
from numpy.random import RandomState
from torch import Tensor
from torch.nn import functional as F

COARSE = 6  # blots along a side
OPAQUE = 0.9


def backdrop(like: Tensor, seed: int, step: int) -> Tensor:
    """Soft blots of random colours, `[1, 3, H, W]`, the same whenever the step is taken."""
    drawn = RandomState([seed, step, 2]).uniform(0, 1, (1, 3, COARSE, COARSE))
    return F.interpolate(torch.from_numpy(drawn).to(like), like.shape[-2:], mode="bicubic").clamp(0, 1)


def over(picture: Tensor, behind: Tensor | float) -> Tensor:
    """`[N, 4, H, W]`, the last plane how opaque it is, over something: `[N, 3, H, W]`."""
    color, opacity = picture[:, :3], picture[:, 3:]
    return color * opacity + behind * (1 - opacity)


def opaque(image: Tensor) -> Tensor:
    """A picture with a fourth plane: opaque, but for what it takes to become less so."""
    return torch.cat((image, torch.full_like(image[:, :1], OPAQUE)), 1)
