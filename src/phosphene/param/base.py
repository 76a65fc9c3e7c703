"""Param: numbers that an optimiser moves, and the pictures that they stand for."""

from __future__ import annotations

from typing import ClassVar

import torch
from numpy.random import RandomState
from torch import Tensor, nn

EDGE = 1e-4  # how far from black and white a picture is kept, whose logit must be finite

# Square root of the covariance of natural images' colours (lucid), as columns: colour = CORRELATED · channels
_ROOT = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
CORRELATED = _ROOT / torch.linalg.vector_norm(_ROOT, dim=0).max()


class Param(nn.Module):
    """`count` pictures of `size` (height, width); called, it gives them: `[N, 3, H, W]`, 0..1.

    With four `planes` the last one is how opaque they are: `[N, 4, H, W]`. The first dimension of every
    parameter is the picture's, so that pictures never mix.
    """

    rate: ClassVar[float] = 0.05  # a learning rate of Adam that suits it
    optimizer: ClassVar[str] = "adam"
    exact: ClassVar[bool] = False  # whether it can be any picture: `fit` comes as near as rounding allows

    def __init__(self, count: int, size: tuple[int, int], planes: int = 3) -> None:
        super().__init__()
        self.count, self.size, self.planes = count, size, planes

    def scatter(self, randoms: list[RandomState]) -> None:
        """Start from noise: each picture from the next numbers of its own generator."""
        raise NotImplementedError

    def fit(self, image: Tensor) -> None:
        """Start from pictures `[N, 3 or 4, H, W]`, 0..1, of this size."""
        raise NotImplementedError

    def carried(self, name: str, values: Tensor, size: tuple[int, int]) -> Tensor:
        """What becomes of the parameter `name`, or of one of its moments, in pictures of another size."""
        raise NotImplementedError

    def resized(self, size: tuple[int, int]) -> Param:
        """The same pictures with more or fewer pixels."""
        other = type(self)(self.count, size, self.planes).to(next(self.parameters()).device)
        with torch.no_grad():
            for name, values in self.named_parameters():
                other.get_parameter(name).copy_(self.carried(name, values, size))
        return other

    def project(self) -> None:
        """Bring the parameters back to where they may be, after a step."""


def normal(randoms: list[RandomState], *shape: int) -> Tensor:
    """Normal noise `[N, *shape]`, each picture's from its own generator."""
    return torch.stack([torch.from_numpy(random.normal(size=shape)).float() for random in randoms])


def colored(channels: Tensor) -> Tensor:
    """Uncorrelated channels `[N, 3, H, W]` as a picture: colours correlated as in nature, then a sigmoid.

    A fourth channel has nothing to do with the others.
    """
    mixed = torch.einsum("rc,nchw->nrhw", CORRELATED.to(channels), channels[:, :3])
    return torch.sigmoid(mixed if channels.shape[1] == 3 else torch.cat((mixed, channels[:, 3:]), 1))


def uncolored(image: Tensor) -> Tensor:
    """The channels that `colored` makes `image` of, whose black and white are moved in by EDGE."""
    back = torch.linalg.inv(CORRELATED.double()).to(image)
    values = torch.logit(image.clamp(EDGE, 1 - EDGE))
    mixed = torch.einsum("cr,nrhw->nchw", back, values[:, :3])
    return mixed if values.shape[1] == 3 else torch.cat((mixed, values[:, 3:]), 1)
