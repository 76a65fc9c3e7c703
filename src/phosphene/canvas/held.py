"""A picture in memory: one window."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from phosphene.canvas.base import Canvas, Rows, Span, pieces, shape_of


class Held(Canvas):
    """A picture in memory: `image` `[N, C, H, W]`."""

    def __init__(self, image: Tensor) -> None:
        self.image = image
        self.shape = shape_of(image.shape)
        self.device = image.device

    def strips(self) -> Sequence[Span]:
        return [(0, self.shape[-2])]

    def rows(self, top: int, bottom: int) -> Tensor:
        return self.image[..., top:bottom, :]

    def view(self, shape: Sequence[int], rows: Rows) -> Held:
        return Held(rows(0, shape[-2]))

    made = view

    def become(self, other: Held) -> None:
        """Be that picture from now on."""
        self.image = other.image

    def empty(self) -> Held:
        return Held(torch.empty(self.shape, device=self.device))

    def crop(self, top: int, left: int, height: int, width: int) -> Tensor:
        """A window of the picture, which goes on at its other side: `[N, C, height, width]`."""
        if (height, width) == self.size:
            return self.image.roll((-top, -left), (-2, -1))
        window = self.image.new_empty(*self.shape[:2], height, width)
        for (y, x), (rows, columns) in pieces(self, top, left, height, width):
            part = self.image[..., slice(*rows), slice(*columns)]
            window[..., y : y + part.shape[-2], x : x + part.shape[-1]] = part
        return window

    def paste(self, top: int, left: int, window: Tensor) -> None:
        """Write a window that `crop` would give."""
        if tuple(window.shape[-2:]) == self.size:
            self.image = window.roll((top, left), (-2, -1))
            return
        for (y, x), (rows, columns) in pieces(self, top, left, *window.shape[-2:]):
            part = self.image[..., slice(*rows), slice(*columns)]
            part.copy_(window[..., y : y + part.shape[-2], x : x + part.shape[-1]])

    def expect(self, top: int, height: int) -> None:
        """Those rows will be read soon."""
