"""Items through an executor: never more than its workers need, and three tries for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from phosphene.catalog.executor import Executor, Failure

TRIES = 3
AHEAD = 2  # items at a worker
FINAL = {"E_DECODE", "E_EXISTS", "E_FORMAT", "E_NONFINITE", "E_PARAM", "E_TOO_SMALL", "E_ZERO_GRADIENT"}


def outcomes(
    executor: Executor,
    items: Iterable[Any],
    *,
    tries: int = TRIES,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Any, Any]]:
    """Each item, as they come to their end, with its result or its last Failure.

    An item that fails is tried again, after the others that wait, unless its Failure says that it will
    be the same again. Ends early, with what is under way left undone, when `stopped`.
    """
    source = iter(items)
    again: deque[Any] = deque()
    failures: dict[int, int] = {}
    out, more = 0, True
    while not stopped():
        while out < AHEAD * executor.slots:
            if more:
                item = next(source, again)
                more = item is not again
            if not more:
                if not again:
                    break
                item = again.popleft()
            executor.submit(item)
            out += 1
        if not out:
            return
        for item, result in executor.wait():
            out -= 1
            if isinstance(result, Failure):
                count = failures[id(item)] = failures.get(id(item), 0) + 1
                if count < tries and result.code not in FINAL:
                    again.append(item)
                    continue
            failures.pop(id(item), None)
            yield item, result
