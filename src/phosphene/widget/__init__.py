"""A dream that grows in a notebook's cell; what it needs of anywidget is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from phosphene.frame import Frame
    from phosphene.widget.view import Watch

__all__ = ["watch"]


def watch(frames: Iterator[Frame]) -> Watch:
    """Show the frames of `dream(...)` as they grow, in a notebook's cell. E_FORMAT without anywidget."""
    if not find_spec("anywidget"):
        raise PhospheneError(
            "E_FORMAT", "the notebook's view needs anywidget; pip install 'phosphene[notebook]'"
        )
    from phosphene.widget.view import Watch

    return Watch(frames)
