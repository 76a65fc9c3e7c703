"""Local response normalisation across channels (Krizhevsky et al. 2012), forward and backward.

y = x / s^beta, s = k + alpha/size · Σ x², the sum over a window of `size` neighbouring channels.
`F.local_response_norm` computes the same by avg_pool3d, which takes a third of GoogLeNet's time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

STRIP = 2**19


class ResponseNorm(nn.Module):
    """`[N, C, H, W]` -> the same shape; the defaults are BVLC GoogLeNet's."""

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size is {size}, expected an odd number")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = _Normalise.apply(x, self.size, self.alpha / self.size, self.beta, self.k)
        return out

    def extra_repr(self) -> str:
        return f"size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class _Normalise(torch.autograd.Function):
    """dx = g·s^-beta - 2·beta·alpha/size · x · Σ (g·y/s); half precision is widened, as x² overflows it.

    Done in strips that stay in the cache from the first operation to the last.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, rate: float, beta: float, k: float) -> Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        s, y = torch.empty_like(wide), torch.empty_like(x)
        for x_, s_, y_ in strips(wide, s, y):
            s_.copy_(window_sum(x_ * x_, size).mul_(rate).add_(k))
            y_.copy_(power(s_, beta).mul_(x_))
        ctx.save_for_backward(wide, s)
        ctx.size, ctx.beta, ctx.factor = size, beta, 2 * beta * rate
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        x, s = ctx.saved_tensors
        dx = torch.empty_like(x, dtype=grad.dtype)
        for x_, s_, grad_, dx_ in strips(x, s, grad, dx):
            direct = power(s_, ctx.beta).mul_(grad_)
            across = window_sum((direct * x_).div_(s_), ctx.size).mul_(x_)
            dx_.copy_(direct.sub_(across, alpha=ctx.factor))
        return dx, None, None, None, None


def strips(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of the same rows of each `[N, C, H, …]`, about `STRIP` numbers of each at a time."""
    x = tensors[0]
    rows = max(1, STRIP * x.shape[2] // max(1, x.numel())) if x.dim() > 2 else 1
    return zip(
        *(torch.split(tensor, rows, 2) if x.dim() > 2 else [tensor] for tensor in tensors), strict=True
    )


def power(s: Tensor, beta: float) -> Tensor:
    """s^-beta; by square roots where that will do, which is ten times faster."""
    if beta == 0.75:
        root = s.rsqrt()
        return root.sqrt().mul_(root)
    return s.pow(-beta)


def window_sum(x: Tensor, size: int) -> Tensor:
    """For every channel of `[N, C, …]` the sum over the `size` channels around it, zeros beyond the ends."""
    total = x.clone()
    for distance in range(1, size // 2 + 1):
        total[:, distance:] += x[:, :-distance]
        total[:, :-distance] += x[:, distance:]
    return total
