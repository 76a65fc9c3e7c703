"""Who does items: the same three methods for a pool of processes here and for a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Failure:
    """Why an item wasn't done; `code` is E_WORKER where its worker died of it."""

    code: str
    text: str


class Executor(Protocol):
    """Does items with as many workers as there are `slots`."""

    slots: int

    def submit(self, item: Any) -> None:
        """Take an item on."""

    def wait(self) -> Iterator[tuple[Any, Any]]:
        """What has been done since, with its result or its Failure."""

    def close(self) -> None:
        """End the workers."""
