"""Redirected gradients: a way out for units that are dead on the picture that they start from (lucid).

A ReLU gives no gradient where it is zero, so nothing can wake such a unit. While this lasts, a ReLU
that lets nothing of an image's gradient through lets all of it through, but what would push inputs
that are too low still lower, or those that are too high still higher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

STEPS = 16  # of an octave, in which gradients may be redirected

_active: ContextVar[bool] = ContextVar("redirected", default=False)


@contextmanager
def redirected() -> Iterator[None]:
    """Redirect gradients of what runs inside, which takes the plain path through a network."""
    before = _active.set(True)
    try:
        with _Redirecting():
            yield
    finally:
        _active.reset(before)


def active() -> bool:
    """Whether gradients are redirected now."""
    return _active.get()


class _Ramp(torch.autograd.Function):
    """x between 0 and `top`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, top: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.top = top
        return x.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        through = g * ((x > 0) & (x < ctx.top))
        away = ((x < 0) & (g < 0)) | ((x > ctx.top) & (g > 0))
        dead = ~through.flatten(1).any(1).view(-1, *[1] * (x.dim() - 1))
        return torch.where(dead, g.masked_fill(away, 0), through), None


def _relu(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return _Ramp.apply(x, float("inf"))  # type: ignore[no-any-return]


def _relu6(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return _Ramp.apply(x, 6.0)  # type: ignore[no-any-return]


def _hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0, *_: Any, **__: Any) -> Tensor:
    if min_val == 0:
        return _Ramp.apply(x, float(max_val))  # type: ignore[no-any-return]
    return x.clamp(min_val, max_val)


RAMPS: dict[Any, Callable[..., Tensor]] = {
    **dict.fromkeys((torch.relu, torch.relu_, F.relu, Tensor.relu, Tensor.relu_), _relu),
    F.relu6: _relu6,
    torch._C._nn.relu6: _relu6,
    torch._C._nn.relu6_: _relu6,
    **dict.fromkeys((F.hardtanh, torch._C._nn.hardtanh, torch._C._nn.hardtanh_), _hardtanh),
}


class _Redirecting(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return RAMPS.get(func, func)(*args, **(kwargs or {}))
