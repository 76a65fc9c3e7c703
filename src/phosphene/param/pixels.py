"""Pixels: the image itself in windows, moved along its gradient: DeepDream's way."""

from __future__ import annotations

from torch import Tensor

from phosphene.canvas import Canvas, Kept


class Pixels:
    """An image of any size, in memory or on disk."""

    def __init__(self, image: Kept) -> None:
        self.image = image

    def __call__(self) -> Kept:
        return self.image

    shown = __call__  # what people are to see

    def kept(self) -> Kept:
        """All that `restore` needs to come back here."""
        return self.image

    def restore(self, good: Kept) -> None:
        """Go back to an earlier image, and take everybody along who holds this one."""
        self.image.become(good)  # type: ignore[arg-type]  # both are in memory, or both on disk

    def climb(self, change: Canvas, *, clip: bool) -> None:
        """Add `change`, and with `clip` bring every pixel back between black and white.

        What is in memory of `change` is overwritten; the image as it was is not.
        """
        image = self.image

        def rows(top: int, bottom: int) -> Tensor:
            moved = change.rows(top, bottom).add_(image.rows(top, bottom))
            return moved.clamp_(0, 1) if clip else moved

        self.image = image.made(image.shape, rows)
