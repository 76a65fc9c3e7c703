"""Convolution and activation in one step, and the gradient of its input alone.

Forward is oneDNN's convolution with the activation as its last touch, on weights that were put into
oneDNN's own order once. The activation's derivative is read off the output, so nothing else is
kept. Backward, at stride one, is again a convolution: with the weights turned round.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from phosphene.ascent.kernel import Kernel

hardtanh, threshold = torch.ops.aten.hardtanh_backward, torch.ops.aten.threshold_backward
Clamp = tuple[float, float]  # what an activation leaves: (0, inf) is ReLU, (0, 6) is ReLU6


class Convolution(torch.nn.Module):
    """`[N, I, H, W]` -> `[N, O, H', W']`: clamp(kernel * x + bias), channels-last.

    `own_gradient`: what arrives in backward is nobody else's and may be written to.
    """

    def __init__(self, kernel: Kernel, clamp: Clamp | None) -> None:
        super().__init__()
        self.kernel, self.clamp, self.own_gradient = kernel, clamp, False

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = _Apply.apply(x, self)
        return out


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Convolution) -> Tensor:
        y = step.kernel.forward(x, step.clamp)
        ctx.step, ctx.size = step, x.shape
        ctx.save_for_backward(*((y,) if step.clamp else ()))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        step: Convolution = ctx.step
        if step.clamp:
            grad = masked(grad, ctx.saved_tensors[0], step.clamp, step.own_gradient)
        return step.kernel.backward(grad.contiguous(memory_format=torch.channels_last), ctx.size), None


def masked(grad: Tensor, y: Tensor, clamp: Clamp, own: bool) -> Tensor:
    """`grad` where the clamped `y` lies inside its bounds, 0 elsewhere; in place if it is our `own`."""
    op, bounds = (hardtanh, clamp) if clamp[1] < torch.inf else (threshold, clamp[:1])
    out: Tensor = op.grad_input(grad, y, *bounds, grad_input=grad) if own else op(grad, y, *bounds)
    return out
