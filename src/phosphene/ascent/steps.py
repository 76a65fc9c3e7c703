"""The steps of a tape: convolutions with what follows them, concatenation, and everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from phosphene.ascent.kernel import Kernel
from phosphene.ascent.packed import LAST
from phosphene.ascent.tape import Grad

hardtanh, threshold = torch.ops.aten.hardtanh_backward, torch.ops.aten.threshold_backward
Clamp = tuple[float, float]  # what an activation leaves: (0, inf) is ReLU, (0, 6) is ReLU6


@dataclass(frozen=True)
class Convolution:
    """`[N, I, H, W]` -> `[N, O, H', W']`: clamp(kernel * x + bias + added), channels-last.

    oneDNN's convolution has the activation as its last touch; what is added is added in place, as
    oneDNN takes twice as long where it adds itself. The activation's derivative is read off the
    output, so nothing else is kept.
    """

    kernel: Kernel
    clamp: Clamp | None

    def forward(self, x: Tensor, added: Tensor | None = None, *, keep: bool) -> tuple[Tensor, Any]:
        y = self.kernel.forward(x, None if added is not None else self.clamp)
        if added is not None:
            y += added
            if self.clamp:
                y.clamp_(*self.clamp)
        return y, (x.shape, y if self.clamp else None, added is not None)

    def backward(self, kept: Any, grad: Grad) -> list[Grad]:
        size, y, has_added = kept
        g, own = grad
        if self.clamp:
            g, own = masked(g, y, self.clamp, own), True
        g = g.contiguous(memory_format=LAST)
        found = [Grad(self.kernel.backward(g, size), own=True)]
        return [*found, Grad(g, own)] if has_added else found


def masked(grad: Tensor, y: Tensor, clamp: Clamp, own: bool) -> Tensor:
    """`grad` where the clamped `y` lies inside its bounds, 0 elsewhere; in place if it is our `own`."""
    op, bounds = (hardtanh, clamp) if clamp[1] < torch.inf else (threshold, clamp[:1])
    out: Tensor = op.grad_input(grad, y, *bounds, grad_input=grad) if own else op(grad, y, *bounds)
    return out


class Concatenation:
    """`[N, C_i, H, W]` … -> `[N, ΣC_i, H, W]`."""

    def forward(self, *parts: Tensor, keep: bool) -> tuple[Tensor, list[int]]:
        return torch.cat(parts, 1), [part.shape[1] for part in parts]

    def backward(self, kept: list[int], grad: Grad) -> list[Grad]:
        return [Grad(part, own=False) for part in grad.value.split(kept, 1)]


class Addition:
    """The sum of two maps of the same shape."""

    def forward(self, a: Tensor, b: Tensor, *, keep: bool) -> tuple[Tensor, Any]:
        return a + b, (a.shape, b.shape)

    def backward(self, kept: Any, grad: Grad) -> list[Grad]:
        return [Grad(grad.value.sum_to_size(shape), own=False) for shape in kept]


class Slot(int):
    """The place of a step's n-th input among its arguments."""


class Other:
    """Any other step; autograd knows its derivative."""

    def __init__(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.call, self.args, self.kwargs = call, args, kwargs

    def forward(self, *inputs: Any, keep: bool) -> tuple[Any, Any]:
        if any(isinstance(value, (tuple, list)) and any(_is_tensor(v) for v in value) for value in inputs):
            raise TypeError("a step that takes several tensors as one")
        if keep:
            inputs = tuple(_leaf(value) for value in inputs)

        def fill(value: Any) -> Any:
            return inputs[value] if isinstance(value, Slot) else value

        with torch.set_grad_enabled(keep):
            out = self.call(
                *fx.node.map_aggregate(self.args, fill), **fx.node.map_aggregate(self.kwargs, fill)
            )
        return _detached(out), (inputs, out)

    def backward(self, kept: Any, grad: Grad) -> list[Grad | None]:
        inputs, out = kept
        value = grad.value
        outs, given = (
            ([out], [value]) if isinstance(value, Tensor) else ([out[i] for i in value], [*value.values()])
        )
        ways = [(one, grad) for one, grad in zip(outs, given, strict=True) if _climbs(one)]
        leaves = [leaf for leaf in inputs if _climbs(leaf)]
        if not ways or not leaves:  # the network lets no gradient through
            return [None] * len(inputs)
        again = torch._C._autograd._get_current_graph_task_keep_graph()
        ends, pulls = zip(*ways, strict=True)
        found = iter(torch.autograd.grad(ends, leaves, pulls, retain_graph=again, allow_unused=True))
        grads = [next(found) if _climbs(leaf) else None for leaf in inputs]
        return [None if g is None else Grad(g, own=False) for g in grads]


class Item(Other):
    """One of the tensors that a step gives."""

    def forward(self, *inputs: Any, keep: bool) -> tuple[Any, Any]:
        if isinstance(inputs[0], Tensor):
            return super().forward(*inputs, keep=keep)
        return inputs[0][self.args[1]], None

    def backward(self, kept: Any, grad: Grad) -> list[Grad | None]:
        return super().backward(kept, grad) if kept else [Grad({self.args[1]: grad.value}, own=False)]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _climbs(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _leaf(value: Any) -> Any:
    return value.detach().requires_grad_(value.is_floating_point()) if _is_tensor(value) else value


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    return type(value)(map(_detached, value)) if type(value) in (tuple, list) else value
