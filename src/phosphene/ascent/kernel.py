"""The weights of a convolution, folded and packed, and how they are applied in both directions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.ascent.packed import LAST, Pair, convolve, pack
from phosphene.ascent.stem import FEW, Stem

convolution_backward: Callable[..., tuple[Tensor, ...]] = torch.ops.aten.convolution_backward


class Kernel:
    """A convolution's weights with a batch norm folded in, applied by PyTorch's own functions: for a GPU.

    `same`: padding as in TensorFlow, by the picture's size.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.Module | None) -> None:
        weight, bias = folded(conv, norm)
        self.weight, self.bias = weight, bias
        self.stride: Pair = _pair(conv.stride)
        self.dilation: Pair = _pair(conv.dilation)
        self.groups = conv.groups
        self.same = type(conv).__name__ == "Conv2dSame"
        self.padding: Pair = (0, 0) if self.same else _pair(conv.padding)
        self._extra: dict[Pair, Tensor] = {}

    def forward(self, x: Tensor, clamp: tuple[float, float] | None) -> Tensor:
        """`[N, I, H, W]` -> `[N, O, H', W']`, channels-last, limited to `clamp`."""
        padding, extra = self._pads(x.shape)
        y = F.conv2d(
            x.contiguous(memory_format=LAST),
            self._extended(extra),
            self.bias,
            self.stride,
            padding,
            self.dilation,
            self.groups,
        )
        return y if clamp is None else y.clamp_(*clamp)

    def backward(self, grad: Tensor, size: torch.Size) -> Tensor:
        """The gradient at the input of that `size`, from that at the output; both channels-last."""
        padding, extra = self._pads(size)
        shape = torch.empty(size, dtype=grad.dtype, device=grad.device, memory_format=LAST)
        ways = self.stride, padding, self.dilation, False, (0, 0), self.groups, (True, False, False)
        found: Tensor = convolution_backward(grad, shape, self._extended(extra), None, *ways)[0]
        return found

    def _pads(self, size: torch.Size) -> tuple[Pair, Pair]:
        """Zeros on each side of the picture, and before the kernel where one side needs one fewer."""
        if not self.same:
            return self.padding, (0, 0)
        total = [
            max(
                (-(-size[2 + i] // self.stride[i]) - 1) * self.stride[i] + self._reach(i) + 1 - size[2 + i], 0
            )
            for i in (0, 1)
        ]
        extra = (total[0] % 2, total[1] % 2)
        return (total[0] // 2 + extra[0], total[1] // 2 + extra[1]), extra

    def _reach(self, axis: int) -> int:
        return self.dilation[axis] * (self.weight.shape[2 + axis] - 1)

    def _extended(self, extra: Pair) -> Tensor:
        """The weights with zeros before them."""
        if extra not in self._extra:
            self._extra[extra] = (
                self.weight if extra == (0, 0) else F.pad(self.weight, (extra[1], 0, extra[0], 0))
            )
        return self._extra[extra]


class Packed(Kernel):
    """The same by oneDNN: for a processor.

    Packed weights are made when first needed and shared by everything that is fused from the same
    convolution.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.Module | None) -> None:
        super().__init__(conv, norm)
        self._packed: dict[object, Tensor] = {}
        self._stems: dict[Pair, Stem] = {}

    def forward(self, x: Tensor, clamp: tuple[float, float] | None) -> Tensor:
        x = x.contiguous(memory_format=LAST)
        padding, extra = self._pads(x.shape)
        packed = self._forward_weights(extra, padding, x.shape)
        attribute, scalars = activation(clamp)
        return convolve(
            x, packed, self.bias, padding, self.stride, self.dilation, self.groups, attribute, scalars, ""
        )

    def backward(self, grad: Tensor, size: torch.Size) -> Tensor:
        padding, extra = self._pads(size)
        if self.weight.shape[1] <= FEW and self.groups == 1 and self.dilation == (1, 1):
            before = (padding[0] - extra[0], padding[1] - extra[1])
            if before not in self._stems:
                self._stems[before] = Stem(self.weight, self.stride, before)
            return self._stems[before].backward(grad, size)
        reach = [d * (k + e - 1) for k, d, e in zip(self.weight.shape[2:], self.dilation, extra, strict=True)]
        back = (reach[0] - padding[0], reach[1] - padding[1])
        if self.stride == (1, 1) and min(back) >= 0:
            packed = self._backward_weights(extra, back, grad.shape)
            return convolve(grad, packed, None, back, (1, 1), self.dilation, self.groups, "none", [], "")
        rest = tuple(
            size[2 + i] - ((grad.shape[2 + i] - 1) * self.stride[i] - 2 * padding[i] + reach[i] + 1)
            for i in (0, 1)
        )
        return F.conv_transpose2d(
            grad, self._extended(extra), None, self.stride, padding, rest, self.groups, self.dilation
        )

    def _forward_weights(self, extra: Pair, padding: Pair, size: torch.Size) -> Tensor:
        key = ("forward", extra)
        if key not in self._packed:
            self._packed[key] = pack(
                self._extended(extra), padding, self.stride, self.dilation, self.groups, list(size)
            )
        return self._packed[key]

    def _backward_weights(self, extra: Pair, padding: Pair, size: torch.Size) -> Tensor:
        key = ("backward", extra)
        if key not in self._packed:
            weight = turned(self._extended(extra), self.groups)
            self._packed[key] = pack(weight, padding, (1, 1), self.dilation, self.groups, list(size))
        return self._packed[key]


def activation(clamp: tuple[float, float] | None) -> tuple[str, list[float]]:
    if clamp is None:
        return "none", []
    return ("relu", []) if clamp == (0, torch.inf) else ("hardtanh", list(clamp))


def folded(conv: nn.Conv2d, norm: nn.Module | None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution and the batch norm after it, worked out in doubles."""
    weight, bias = conv.weight.detach(), None if conv.bias is None else conv.bias.detach()
    if norm is None:
        return weight, bias
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() if bias is None else bias.double() - norm.running_mean.double()
    shift = shift * scale if norm.bias is None else shift * scale + norm.bias.double()
    folded_weight = weight.double() * scale.view(-1, 1, 1, 1)
    return folded_weight.to(weight).contiguous(memory_format=LAST), shift.to(weight).detach()


def turned(weight: Tensor, groups: int) -> Tensor:
    """The weights that carry a gradient back: in and out exchanged within groups, both axes reversed."""
    out, into, height, width = weight.shape
    parts = weight.view(groups, out // groups, into, height, width).transpose(1, 2).flip(3, 4)
    return parts.reshape(groups * into, out // groups, height, width)


def _pair(value: object) -> Pair:
    assert isinstance(value, tuple) and len(value) == 2
    return int(value[0]), int(value[1])
