"""What every canvas can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from phosphene.canvas.disk import Kept

STRIP = 2**20  # px: a picture on disk is read and written so much at a time
Span = tuple[int, int]
Shape = tuple[int, int, int, int]
Rows = Callable[[int, int], Tensor]  # top and bottom row -> [N, C, bottom - top, W]


class Canvas(ABC):
    """A picture `[N, C, H, W]`, float32, that is read in windows."""

    shape: Shape
    device: torch.device

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.shape[-2], self.shape[-1]

    @abstractmethod
    def strips(self) -> Sequence[Span]:
        """The windows to go through it by, from the top: rows from and to."""

    @abstractmethod
    def rows(self, top: int, bottom: int) -> Tensor:
        """Its rows, `[N, C, bottom - top, W]`; of a picture in memory they are its own."""

    @abstractmethod
    def view(self, shape: Sequence[int], rows: Rows) -> Canvas:
        """A picture of that shape that `rows` gives, kept where it takes no disk."""

    @abstractmethod
    def made(self, shape: Sequence[int], rows: Rows) -> Kept:
        """A picture of that shape that `rows` has given: kept as this one is."""

    @abstractmethod
    def empty(self) -> Kept:
        """A picture to fill, of the same shape and kind."""

    def plus(self, other: Canvas) -> Canvas:
        """The sum of two pictures."""
        return self.view(self.shape, lambda top, end: self.rows(top, end) + other.rows(top, end))

    def minus(self, other: Canvas) -> Canvas:
        """The difference of two pictures."""
        return self.view(self.shape, lambda top, end: self.rows(top, end) - other.rows(top, end))


def strips(height: int, width: int, pixels: int = 0) -> list[Span]:
    """Rows from and to, about `pixels` (STRIP) at a time."""
    step = max(1, (pixels or STRIP) // width)
    return [(top, min(top + step, height)) for top in range(0, height, step)]


def shape_of(shape: Sequence[int]) -> Shape:
    count, channels, height, width = shape
    return count, channels, height, width


def pieces(
    canvas: Canvas, top: int, left: int, height: int, width: int
) -> Iterator[tuple[tuple[int, int], tuple[Span, Span]]]:
    """The parts of a window that goes on at the picture's other side: (y, x) in it, (rows, columns) there."""
    for y, rows in _around(top, height, canvas.shape[-2]):
        for x, columns in _around(left, width, canvas.shape[-1]):
            yield (y, x), (rows, columns)


def _around(start: int, length: int, whole: int) -> Iterator[tuple[int, Span]]:
    done = 0
    while done < length:
        first = (start + done) % whole
        last = min(whole, first + length - done)
        yield done, (first, last)
        done += last - first
