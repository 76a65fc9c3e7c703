"""Ctrl-C and SIGTERM: the first one saves what there is, the second one ends at once.

Until a dream has begun there is nothing to save, and whoever is being interrupted (an import in the
middle of a native library, a network that is being read) isn't to be trusted with an exception: the
process leaves on the spot. While a dream runs, the first signal is only remembered; the loop asks
`stop.signal` after each step. The second raises KeyboardInterrupt, so that temporary files
are removed on the way out.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """What has been asked for so far: `signal` is 0 or the first signal's number."""

    def __init__(self) -> None:
        self.signal = 0
        self.dreaming = False
        self.breaking = False
        self.asked: Callable[[], None] | None = None  # tells the person that the step is being finished

    @property
    def code(self) -> int:
        """The exit code: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.signal

    def handle(self, number: int, _frame: FrameType | None) -> None:
        if self.breaking:
            self.signal, self.breaking = number, False
            raise KeyboardInterrupt
        if not self.dreaming:
            os._exit(128 + number)
        if self.signal:
            self.dreaming = False
            raise KeyboardInterrupt
        self.signal = number
        if self.asked:
            self.asked()


stop = Stop()


@contextmanager
def handled(for_good: bool = False) -> Iterator[None]:
    """Take the two signals over for one command, except where they are ignored on purpose (nohup, &).

    `for_good` keeps them to the process's end, as Python's own way out can be interrupted too.
    """
    stop.signal, stop.dreaming, stop.breaking = 0, False, False
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        if before[number] != signal.SIG_IGN:
            signal.signal(number, stop.handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            if not for_good:
                signal.signal(number, handler)


@contextmanager
def saving(asked: Callable[[], None]) -> Iterator[Stop]:
    """While this lasts, the first signal asks for what there is."""
    stop.dreaming, stop.asked = True, asked
    try:
        yield stop
    finally:
        stop.dreaming = False


@contextmanager
def breaking() -> Iterator[None]:
    """While this lasts, the first signal is a KeyboardInterrupt: what waits for others doesn't wait on."""
    stop.breaking = True
    try:
        yield
    finally:
        stop.breaking = False
