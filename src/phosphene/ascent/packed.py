"""oneDNN's convolution with weights in its own order, as PyTorch's compiler uses it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pair = tuple[int, int]
LAST = torch.channels_last
# x, weight, bias, padding, stride, dilation, groups, activation, its numbers, its algorithm
convolve: Callable[..., Tensor] = torch.ops.mkldnn._convolution_pointwise
# weight, padding, stride, dilation, groups, input size
pack: Callable[..., Tensor] = torch.ops.mkldnn._reorder_convolution_weight
