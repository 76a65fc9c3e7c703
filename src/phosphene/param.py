"""Parametrizations: what the ascent moves, and the image that it stands for."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Pixels(nn.Module):
    """The image itself: DeepDream's parametrization."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = nn.Parameter(image.detach().clone())

    def forward(self) -> Tensor:
        return self.image

    @torch.no_grad()
    def descend(self) -> None:
        """Take the step that `backward` has left in the gradients, and clear them."""
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad)
            parameter.grad = None

    @torch.no_grad()
    def clip(self) -> None:
        """Bring every pixel back between black and white."""
        self.image.clamp_(0, 1)
