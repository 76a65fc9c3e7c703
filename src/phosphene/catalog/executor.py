"""Who does items: the same three methods for a pool of processes here and for a cluster."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from phosphene.errors import PhospheneError


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


def told(act: Callable[[], Any]) -> tuple[Any, ...]:
    """What a worker says of what it did: (True, result) or (False, code, text)."""
    try:
        return True, act()
    except PhospheneError as error:
        return False, error.code, str(error)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())[:500]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return False, "E_INTERNAL", f"{type(error).__name__}: {text} ({place})"
