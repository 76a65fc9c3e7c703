"""Words for what a picture should have little of: subtract them. Scores are sums over channels, per pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.objective import Objective, Term

GREY = 0.5


def tv() -> Objective:
    """Total variation: Σ|x_{y+1} − x_y| + Σ|x_{x+1} − x_x|."""

    def measure(image: Tensor) -> Tensor:
        down = F.pad((image[:, :, 1:] - image[:, :, :-1]).abs(), (0, 0, 0, 1))
        across = F.pad((image[:, :, :, 1:] - image[:, :, :, :-1]).abs(), (0, 1, 0, 0))
        return (down + across).sum(1)

    return Objective((Term("tv()", "input", measure),))


def l1() -> Objective:
    """Distance from grey: Σ|x − ½|."""
    return Objective((Term("l1()", "input", lambda image: (image - GREY).abs().sum(1)),))


def l2() -> Objective:
    """Squared distance from grey: Σ(x − ½)²."""
    return Objective((Term("l2()", "input", lambda image: (image - GREY).square().sum(1)),))


def blur() -> Objective:
    """½Σ(x − blurred x)², the blurred picture held still: lucid's `blur_input_each_step`.

    The kernel is [[½ ½ ½] [½ 1 ½] [½ ½ ½]], divided by what of it lies in the picture.
    """

    def measure(image: Tensor) -> Tensor:
        return (image - blurred(image.detach())).square().sum(1) / 2

    return Objective((Term("blur()", "input", measure),))


def blurred(image: Tensor) -> Tensor:
    kernel = torch.full((1, 1, 3, 3), 0.5, dtype=image.dtype, device=image.device)
    kernel[..., 1, 1] = 1
    planes = image.flatten(0, 1)[:, None]
    total = F.conv2d(torch.ones_like(planes[:1]), kernel, padding=1)
    return (F.conv2d(planes, kernel, padding=1) / total).view_as(image)
