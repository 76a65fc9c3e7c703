"""The queue's end: keeps a worker process alive, gives it the next job, and passes on what it sends."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from phosphene.studio.store import OVER, Store
from phosphene.studio.worker import main

TRIES = 3
SCORES = 200
MAX_JOBS, MAX_MINE = 100, 20


class Manager:
    """One worker, one thread that listens to it. `heard(job)` is called, in that thread, for all news."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.device = "starting"
        self.heard: Callable[[str], None] = lambda job: None
        self.frames: dict[str, tuple[int, dict[str, Any], bytes]] = {}  # the newest of each job
        self.scores: dict[str, list[float]] = {}
        self.made = threading.Condition()  # a thumbnail is there
        self.failed: set[str] = set()  # thumbnails that can't be made
        self._wanted: dict[str, tuple[str, str, str]] = {}
        self._lock = threading.RLock()
        self._now: str | None = None  # the job, or the thumbnail, that the worker is at
        self._stopping = False
        self._connection: Connection | None = None
        self._process: Any = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the worker; a running job goes on when the studio is started again."""
        self._stopping = True
        if self._process is not None:
            self._process.terminate()
        self._thread.join(5)

    def next(self) -> None:
        """Give the worker something to do, if it has nothing."""
        with self._lock:
            if self._now is not None or self._connection is None:
                return
            queue = self.store.queue()
            if queue:
                job = queue[0]
                self._now = job["id"]
                self.store.change(job["id"], state="running", served=time.time())
                self._send({"type": "run", "job": job})
                self.heard(job["id"])
            elif self._wanted:
                key, (model, objective, photo) = self._wanted.popitem()
                self._now = key
                self._send(
                    {
                        "type": "thumbnail",
                        "key": key,
                        "model": model,
                        "objective": objective,
                        "photo": photo,
                    }
                )

    def ask(self, job: dict[str, Any], what: str) -> bool:
        """Pause, resume or cancel a job; whether that can be."""
        name, state = job["id"], job["state"]
        with self._lock:
            if what == "resume" and state == "paused":
                self.store.change(name, state="queued")
            elif what in ("pause", "cancel") and state == "running" and self._now == name:
                self._send({"type": what, "job": name})
            elif what == "cancel" and state in ("queued", "paused"):
                self.store.change(name, state="cancelled")
            elif what == "pause" and state == "queued":
                self.store.change(name, state="paused")
            else:
                return False
        self.heard(name)
        self.next()
        return True

    def thumbnail(self, key: str, model: str, objective: str, photo: str, seconds: float) -> bool:
        """Have a thumbnail made, when nobody dreams; whether it is there within so many seconds."""
        path = self.store.cache / f"{key}.webp"
        with self.made:
            if not path.exists() and key not in self.failed:
                with self._lock:
                    self._wanted[key] = (model, objective, photo)
                self.next()
                self.made.wait_for(lambda: path.exists() or key in self.failed, seconds)
        return path.exists()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            assert self._connection is not None
            self._connection.send(message)
        except (OSError, ValueError):
            pass  # it has died: the listener sees that too

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        self._process = context.Process(target=main, args=(there, str(self.folder)), daemon=True)
        self._process.start()
        there.close()
        return here

    def _listen(self) -> None:
        while not self._stopping:
            connection = self._start()
            try:
                while True:
                    self._take(connection, connection.recv())
            except (EOFError, OSError):
                self._died()

    def _died(self) -> None:
        """The worker is gone: its job goes back into the queue, but not for ever."""
        with self._lock:
            name, self._now, self._connection = self._now, None, None
            job = self.store.job(name) if name else None
            if job and job["state"] == "running" and not self._stopping:
                tries = job["tries"] + 1
                error = {"code": "E_WORKER", "message": f"the worker died {tries} times at this job"}
                if tries >= TRIES:
                    self.store.change(job["id"], state="failed", tries=tries, error=error)
                else:
                    self.store.change(job["id"], state="queued", tries=tries)
        if name and not self._stopping:
            self.heard(name)
            time.sleep(0.2)

    def _take(self, connection: Connection, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "ready":
            self.device = message["device"]
            with self._lock:
                self._connection = connection
            self.next()
        elif kind == "frame":
            name, progress = message["job"], message["progress"]
            number = self.frames.get(name, (0, {}, b""))[0] + 1
            self.frames[name] = (number, {"n": number, "job": name, **progress}, message["jpeg"])
            scores = self.scores.setdefault(name, [])
            scores.append(progress["score"])
            if len(scores) > SCORES:
                del scores[1::2]
            self.store.change(name, progress=progress)
            self.heard(name)
        elif kind == "state":
            self._changed(message)
        elif kind == "thumbnail":
            with self.made:
                if "error" in message:
                    self.failed.add(message["key"])
                self.made.notify_all()
            with self._lock:
                self._now = None
            self.next()

    def _changed(self, message: dict[str, Any]) -> None:
        name, state = message["job"], message["state"]
        values = {key: message[key] for key in ("error",) if key in message}
        job = self.store.job(name)
        if "seconds" in message and job:
            values["seconds"] = job["seconds"] + message["seconds"]
        self.store.change(name, state=state, **values)
        if state in (*OVER, "paused"):
            with self._lock:
                self._now = None
            self.heard(name)
            self.next()
        else:
            self.heard(name)
