"""Work ahead in a thread: what an iterator yields is made while its reader is busy with what came before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
WAIT = 0.1  # s: how often a thread looks whether it is still wanted


@contextmanager
def ahead(items: Iterator[Item], most: int = 2) -> Iterator[Iterator[Item]]:
    """The same items, up to `most` of them made beforehand; what `items` raises comes in its place.

    When the block ends so does the thread, and `items` is closed.
    """
    made: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(most)
    ended = threading.Event()

    def put(more: bool, item: Item | BaseException | None) -> bool:
        while not ended.is_set():
            try:
                made.put((more, item), timeout=WAIT)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(True, item):
                    break
            else:
                put(False, None)
        except BaseException as error:
            put(False, error)
        finally:
            getattr(items, "close", lambda: None)()

    def given() -> Iterator[Item]:
        while True:
            more, item = made.get()
            if more:
                yield item  # type: ignore[misc]
            elif isinstance(item, BaseException):
                raise item
            else:
                return

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        yield given()
    finally:
        ended.set()
        thread.join()
