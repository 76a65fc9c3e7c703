"""One worker process and the thread that listens to it; the process is started anew when it dies."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from phosphene.studio.worker import main

Message = dict[str, Any]


class Line:
    """A device's. `take(line, message)` and `died(line)` are called in the listening thread."""

    def __init__(
        self,
        folder: Path,
        device: str,
        take: Callable[[Line, Message], None],
        died: Callable[[Line], None],
    ) -> None:
        self.folder, self.device, self.take, self.died = folder, device, take, died
        self.now: Message | None = None  # what the worker is at; the manager sets it
        self.since = 0.0  # when it began that, or was last asked to share
        self.wish = ""  # what its job's visitor asked of it
        self.ready = False
        self._stopping = False
        self._connection: Connection | None = None
        self._process: Any = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def send(self, message: Message) -> None:
        """To the worker, if it lives: if not, the listener sees that too."""
        try:
            assert self._connection is not None
            self._connection.send(message)
        except (OSError, ValueError):
            pass

    def close(self) -> None:
        """End the worker."""
        self._stopping = True
        if self._process is not None:
            self._process.terminate()
        self._thread.join(5)

    def _listen(self) -> None:
        context = multiprocessing.get_context("spawn")
        while not self._stopping:
            self._connection, there = context.Pipe()
            self._process = context.Process(
                target=main, args=(there, str(self.folder), self.device), daemon=True
            )
            self._process.start()
            there.close()
            try:
                while True:
                    self.take(self, self._connection.recv())
            except (EOFError, OSError):
                self.ready = False
            if not self._stopping:
                self.died(self)
                time.sleep(0.2)
