"""A way to climb in a process of its own: it takes steps when it is told to, and at its end tells its peak.

So several ways take turns, and none pays for another's memory. The processes are forked from one that
has imported PyTorch and done nothing with it.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["benchmarks.ways", "phosphene.engine", "torchvision", "timm"])


class Worker:
    """The parent's end: give it `steps` as often as you like; after the `with` it has its `peak` in bytes."""

    def __init__(self, way: str, case: str, height: int, width: int, **options: Any) -> None:
        self.way, self.peak, self.error = way, 0, ""
        order = {"way": way, "case": case, "height": height, "width": width, **options}
        self._pipe, theirs = SERVER.Pipe()
        self._process = SERVER.Process(target=serve, args=(theirs, order), daemon=True)
        self._process.start()
        theirs.close()

    def steps(self, count: int) -> float | None:
        """Seconds of one step among so many; None, and an `error`, where it can't."""
        if self.error:
            return None
        answer = self._ask(count)
        if isinstance(answer, str):
            self.error = answer
            return None
        return answer

    def _ask(self, count: int) -> float | str:
        try:
            self._pipe.send(count)
            answer: float | str = self._pipe.recv()
        except (OSError, EOFError):
            self._process.join()
            return f"ended with code {self._process.exitcode}"
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and not self.error:
            answer = self._ask(0)
            self.peak = int(answer) if not isinstance(answer, str) else 0
            self._process.join(10)
        self._process.kill()
        self._process.join()
        self._pipe.close()


def serve(pipe: Connection[Any, Any], order: dict[str, Any]) -> None:
    """The process's end: a number of steps comes in, seconds or a fault goes out; 0 asks for the peak."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    steps = None
    while count := pipe.recv():
        try:
            steps = steps or prepared(**order)
            answer: float | str = steps(count)
        except Exception as error:
            words = str(error).strip().splitlines()
            answer = f"{type(error).__name__}: {words[0] if words else ''}"[:200]
        pipe.send(answer)
        trim()
    pipe.send(peak())


def prepared(
    way: str, case: str, height: int, width: int, threads: int = 0, clock: str = "wall", max_memory: str = ""
) -> Any:
    import torch

    from benchmarks import ways

    if threads:
        torch.set_num_threads(threads)
    return ways.way(way, case, height, width, ways.CLOCKS[clock], max_memory)


def peak() -> int:
    """Bytes that this process held at most."""
    import torch

    from phosphene import budget

    return budget.highest(torch.device("cpu"))


def trim() -> None:
    """Give freed memory back, as the others want theirs."""
    import ctypes
    import gc

    gc.collect()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).malloc_trim(0)
