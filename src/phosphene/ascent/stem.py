"""The gradient at the picture: back through a convolution of very few channels.

As a convolution it would fill 3 of a vector's lanes. So the rows are done as a convolution over
rows, whose channels are a block of the picture each: (row of the stride, columns the kernel
reaches, colour). What is left is to add up the blocks where they overlap sideways.
"""

from __future__ import annotations

import torch
from torch import Tensor

from phosphene.ascent.packed import LAST, Pair, convolve, pack

FEW = 4  # channels


class Stem:
    """The backward of a convolution with `weight` `[O, C, kh, kw]`, padded by `before` on top and left."""

    def __init__(self, weight: Tensor, stride: Pair, before: Pair) -> None:
        out, self.channels, height, width = weight.shape
        self.stride, self.before = stride, before
        rows, columns = stride
        self.blocks = -(-width // columns)
        shifts = [[(ky - before[0] - row) / rows for ky in range(height)] for row in range(rows)]
        whole = [int(shift) for phase in shifts for shift in phase if shift.is_integer()]
        self.first, self.last = min(whole), max(whole)  # out row rows·u + row gets from row u - shift
        taps = weight.new_zeros(rows, self.blocks * columns, self.channels, out, self.last - self.first + 1)
        for row, phase in enumerate(shifts):
            for ky, shift in enumerate(phase):
                if shift.is_integer():
                    taps[row, :width, :, :, self.last - int(shift)] = weight[:, :, ky].permute(2, 1, 0)
        self.weight = pack(taps.flatten(0, 2)[..., None].contiguous(), (0, 0), (1, 1), (1, 1), 1, None)

    def backward(self, grad: Tensor, size: torch.Size) -> Tensor:
        """`[N, O, H', W']` channels-last -> `[N, C, H, W]` of `size`."""
        (rows, columns), (batch, _, height, width) = self.stride, grad.shape
        count = -(-size[2] // rows)
        pad = max(self.last, count - 1 - self.first - (height - 1), 0)
        parts = convolve(grad, self.weight, None, (pad, 0), (1, 1), (1, 1), 1, "none", [], "")
        parts = parts.permute(0, 2, 3, 1)[:, pad - self.last :][:, :count]  # N, count, W', channels
        parts = parts.reshape(batch, count, width, rows, self.blocks, columns * self.channels)
        parts = parts.permute(4, 0, 1, 3, 2, 5)
        wide = max(width + self.blocks, -(-(size[3] + self.before[1]) // columns))
        image = grad.new_zeros(batch, count, rows, wide, columns * self.channels)
        for block in range(self.blocks):
            image[:, :, :, block : block + width] += parts[block]
        image = image.view(batch, count * rows, wide * columns, self.channels)
        image = image[:, : size[2], self.before[1] : self.before[1] + size[3]]
        return image.permute(0, 3, 1, 2).contiguous(memory_format=LAST)
