"""Workers on this machine: a process each, which loads once and gets one item at a time.

A worker that dies takes nothing with it but a try of the item it was at. One whose parent has died ends at
once, so that whoever comes next finds the field empty.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

from phosphene.catalog.executor import Failure, told
from phosphene.errors import PhospheneError

PATIENCE = 0.5  # s that `wait` waits at most before it gives its caller the word
STARTS = 3  # deaths of a worker while it starts, in a row, after which there is none
NOTHING = object()
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Hand:
    process: Any
    pipe: Any
    started: bool = False
    item: Any = NOTHING


def _serve(pipe: Any, threads: int) -> None:
    """A worker's life. All it is told comes through the pipe, so that torch finds the threads set."""
    for name in THREADS:
        os.environ[name] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to decide about
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_orphaned, daemon=True).start()
    held: list[Any] = []

    def load() -> None:
        if prepare := pipe.recv():
            prepare()
        task, settings = pipe.recv()
        held.append(task(**settings))
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)

    said = told(load)
    pipe.send(said)
    while said[0]:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(told(lambda: held[0].do(item)))  # noqa: B023


def _orphaned() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


@contextmanager
def early(workers: int, threads: int, prepare: Callable[[], Any]) -> Iterator[list[_Hand]]:
    """Workers for a later Pool, which `prepare` while the caller finds out what there is to do."""
    hands = [_begun(threads, prepare) for _ in range(workers)]
    try:
        yield hands
    finally:
        _ended(hands)


def _begun(threads: int, prepare: Callable[[], Any] | None = None) -> _Hand:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
    process.start()
    theirs.close()
    with suppress(OSError):  # dead: `wait` will find out
        ours.send(prepare)
    return _Hand(process, ours)


def _ended(hands: list[_Hand]) -> None:
    """End them, whatever they are at."""
    for hand in hands:
        hand.process.terminate()
    for hand in hands:
        hand.process.join(5)
        if hand.process.is_alive():
            hand.process.kill()
            hand.process.join()
        hand.pipe.close()
    hands.clear()


class Pool:
    """An Executor of so many processes; `task` and its `settings` are pickled, and built in each of them.
    Those of `begun` are taken first.
    """

    def __init__(
        self,
        task: Callable[..., Any],
        settings: Mapping[str, Any],
        *,
        workers: int = 1,
        threads: int = 1,
        begun: list[_Hand] | None = None,
    ) -> None:
        self.task, self.settings, self.threads = task, dict(settings), threads
        self.begun = [] if begun is None else begun
        self.queue: deque[Any] = deque()
        self.ready = 0.0  # when the last of them was; 0 = not yet
        self.starts = 0  # workers that died while they started, since one didn't
        self.hands = [self._hired() for _ in range(workers)]
        self.slots = workers

    def submit(self, item: Any) -> None:
        self.queue.append(item)
        self._feed()

    def wait(self) -> Iterator[tuple[Any, Any]]:
        """What has been done, after half a second at most; nothing if that was nothing.

        Raises what kept the workers from starting if none is left.
        """
        found = []
        ready = connection.wait([hand.pipe for hand in self.hands], PATIENCE)
        for hand in [hand for hand in self.hands if hand.pipe in ready]:
            try:
                good, *said = hand.pipe.recv()
            except (EOFError, OSError):
                found += self._died(hand)
                continue
            if not hand.started:
                self._started(hand, good, said)
                continue
            found.append((hand.item, said[0] if good else Failure(*said)))
            hand.item = NOTHING
        self._feed()
        yield from found

    @property
    def all_ready(self) -> bool:
        return all(hand.started for hand in self.hands)

    def close(self) -> None:
        """End the workers, whatever they are at."""
        _ended(self.hands)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hired(self) -> _Hand:
        hand = self.begun.pop() if self.begun else _begun(self.threads)
        with suppress(OSError):  # dead: `wait` will find out
            hand.pipe.send((self.task, self.settings))
        return hand

    def _feed(self) -> None:
        for hand in self.hands:
            if self.queue and hand.started and hand.item is NOTHING:
                hand.item = self.queue.popleft()
                with suppress(OSError):  # dead: `wait` will find out
                    hand.pipe.send(hand.item)

    def _started(self, hand: _Hand, good: bool, said: list[Any]) -> None:
        if good:
            hand.started, self.starts, self.ready = True, 0, time.monotonic()
            return
        hand.process.join()
        self.hands.remove(hand)
        self.slots = len(self.hands)
        if not self.hands:
            raise PhospheneError(*said)

    def _died(self, hand: _Hand) -> list[tuple[Any, Any]]:
        hand.process.join()
        hand.pipe.close()
        how = _how(hand.process.exitcode)
        if not hand.started:
            self.starts += 1
            if self.starts >= STARTS * len(self.hands):
                raise PhospheneError("E_WORKER", f"workers die while they start: {how}")
        self.hands[self.hands.index(hand)] = self._hired()
        if hand.item is NOTHING:
            return []
        return [(hand.item, Failure("E_WORKER", f"the worker died of it: {how}"))]


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
