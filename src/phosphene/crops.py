"""Random crops of a picture, all resized to one size: what a network that embeds pictures looks at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.random import RandomState
from torch import Tensor
from torch.nn import functional as F

OVER = 0.25  # of a crop's side that it may be drawn beyond an edge, then moved back: so edges count, too

Box = tuple[int, int, int]  # top, left, side


def boxes(height: int, width: int, size: int, count: int, random: RandomState) -> list[Box]:
    """`count` squares inside a picture: as large as it at most, half of what isn't enlarged at least."""
    short = min(height, width)
    least = max(1, min(short, size) // 2)
    found = []
    for _ in range(count):
        side = int(random.randint(least, short + 1))
        top, left = (
            int(min(max(0, round(random.uniform(-OVER * side, length - side + OVER * side))), length - side))
            for length in (height, width)
        )
        found.append((top, left, side))
    return found


def cut(image: Tensor, boxes: Sequence[Box], size: int) -> Tensor:
    """The squares of `image` `[N, 3, H, W]` at `size` px: `[len(boxes) · N, 3, size, size]`."""
    return torch.cat([resized(image[:, :, y : y + side, x : x + side], size) for y, x, side in boxes])


def resized(image: Tensor, size: int) -> Tensor:
    """All of it, `[N, 3, size, size]`, smoothly."""
    if image.shape[-2:] == (size, size):
        return image
    return F.interpolate(image, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
