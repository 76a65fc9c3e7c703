"""The queue's end: gives each device's worker its next job, and passes on what it sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from phosphene.studio.line import Line, Message
from phosphene.studio.sketches import Sketch, Sketches
from phosphene.studio.store import OVER, Store

TRIES = 3
SCORES = 200
FRAMES = 100  # kept, each of another job
SLICE = 30.0  # s that a job has the device while other visitors wait
MAX_JOBS, MAX_MINE = 100, 20


class Manager:
    """A worker for each device. `heard(job)` is called, in a worker's thread, for all news of a job."""

    def __init__(self, store: Store, folder: Path, *, slice: float = SLICE) -> None:  # noqa: A002
        self.store, self.folder, self.slice = store, folder, slice
        self.device = "starting"
        self.heard: Callable[[str], None] = lambda job: None
        self.frames: dict[str, tuple[int, dict[str, Any], bytes]] = {}  # the newest of the last jobs
        self._numbers = count(1)
        self.scores: dict[str, list[float]] = {}
        self.sketches = Sketches(store.cache)
        self._lock = threading.RLock()
        self.lines: list[Line] = []
        with self._lock:
            self.lines.append(Line(folder, "auto", self._take, self._died))

    def close(self) -> None:
        """End the workers; running jobs go on when the studio is started again."""
        for line in self.lines:
            line.close()

    def next(self) -> None:
        """Give every worker that has nothing to do a job, or else a sketch; jobs send sketches away."""
        with self._lock:
            queue = sorted(self.store.queue(), key=lambda job: not _ending(job))
            for line in self.lines:
                if not line.ready or line.now is not None:
                    continue
                if queue:
                    self._begin(line, queue.pop(0))
                elif (sketches := self.sketches.next()) is not None:
                    line.now = sketches
                    line.send(line.now)
            for line in self.lines:
                if queue and line.now is not None and line.now["type"] == "sketch":
                    queue.pop(0)
                    line.send({"type": "yield"})

    def _begin(self, line: Line, job: Message) -> None:
        ending = _ending(job)
        line.now, line.since = {"type": "run", "job": job}, time.monotonic()
        line.wish = "cancel" if ending else ""
        self.scores.setdefault(job["id"], list((job["progress"] or {}).get("scores", ())))
        self.store.change(job["id"], state="running", served=time.time())
        line.send(line.now)
        if ending:
            line.send({"type": "cancel", "job": job["id"]})
        self.heard(job["id"])

    def ask(self, job: dict[str, Any], what: str) -> bool:
        """Pause, resume or cancel a job; whether that can be."""
        name = job["id"]
        with self._lock:
            job = self.store.job(name) or job  # it may have begun or ended since
            state, line = job["state"], self._at(name)
            if what == "resume" and state == "paused":
                self.store.change(name, state="queued")
            elif what in ("pause", "cancel") and state == "running" and line:
                line.wish = what
                line.send({"type": what, "job": name})
            elif what == "cancel" and state in ("queued", "paused") and (job["progress"] or {}).get("octave"):
                self.store.change(name, state="queued", progress={**job["progress"], "ending": True})
            elif what == "cancel" and state in ("queued", "paused"):
                self.store.change(name, state="cancelled")
            elif what == "pause" and state == "queued":
                self.store.change(name, state="paused")
            else:
                return False
        self.heard(name)
        self.next()
        return True

    def sketch(self, sketch: Sketch, seconds: float = 0.0) -> bool:
        """Have a sketch made, when nobody dreams; whether it is there within so many seconds."""
        if self.sketches.want(sketch):
            return True
        self.next()
        return self.sketches.wait(sketch, seconds)

    def _at(self, job: str) -> Line | None:
        """The worker that is at a job."""
        for line in self.lines:
            if line.now is not None and line.now["type"] == "run" and line.now["job"]["id"] == job:
                return line
        return None

    def _died(self, line: Line) -> None:
        """A worker is gone: its job goes back into the queue, but not for ever."""
        with self._lock:
            message, line.now = line.now, None
            if message is None:
                return
            if message["type"] == "sketch":
                self.sketches.ended(message, {one["key"]: "the worker died" for one in message["sketches"]})
                return
            job = self.store.job(message["job"]["id"])
            if job and job["state"] == "running":
                tries = job["tries"] + 1
                error = {"code": "E_WORKER", "message": f"the worker died {tries} times at this job"}
                if tries >= TRIES:
                    self.store.change(job["id"], state="failed", tries=tries, error=error)
                else:
                    self.store.change(job["id"], state="queued", tries=tries)
        self.heard(message["job"]["id"])

    def _take(self, line: Line, message: Message) -> None:
        kind = message["type"]
        if kind == "ready":
            with self._lock:
                line.ready, line.device = True, message["device"]
                if len(self.lines) == 1:
                    more = (Line(self.folder, other, self._take, self._died) for other in message["others"])
                    self.lines.extend(more)
                self.device = ", ".join(one.device for one in self.lines)
            self.next()
        elif kind == "frame":
            self._frame(message["job"], message["progress"], message["jpeg"])
        elif kind == "state":
            self._changed(line, message)
        elif kind == "sketch":
            with self._lock:
                at, line.now = line.now, None
            if at is not None:
                self.sketches.ended(at, message["errors"])
            self.next()

    def _frame(self, name: str, progress: dict[str, Any], jpeg: bytes) -> None:
        number = next(self._numbers)
        self.frames[name] = (number, {"n": number, "job": name, **progress}, jpeg)
        if len(self.frames) > FRAMES:
            self.frames.pop(next(iter(list(self.frames))), None)
        scores = self.scores.setdefault(name, [])
        if progress["score"] is not None:
            scores.append(progress["score"])
        if len(scores) > SCORES:
            del scores[1::2]
        self.store.change(name, progress=progress)
        self.heard(name)
        self._share(name)

    def _share(self, name: str) -> None:
        """A job that had the device for long lets other visitors' in, and goes on after them."""
        with self._lock:
            line, now = self._at(name), time.monotonic()
            if line is None or now - line.since < self.slice:
                return
            line.since = now
            visitor = line.now["job"]["visitor"] if line.now else ""
            if any(job["visitor"] != visitor for job in self.store.queue()):
                line.send({"type": "slice", "job": name})

    def _changed(self, line: Line, message: Message) -> None:
        with self._lock:  # so that what is asked meanwhile is asked before or after
            left = self._told(line, message) in (*OVER, "paused", "queued")
            if left:
                line.now = None
        self.heard(message["job"])
        if left:
            self.next()

    def _told(self, line: Line, message: Message) -> str:
        """Keep what a worker says of its job; the state that it is in now."""
        name, state = message["job"], message["state"]
        if state == "queued" and line.wish:  # asked for while it made room
            state = {"pause": "paused", "cancel": "cancelled"}[line.wish]
        values = {key: message[key] for key in ("error",) if key in message}
        job = self.store.job(name)
        if "seconds" in message and job:
            values["seconds"] = job["seconds"] + message["seconds"]
        if job:
            told = {**(job["progress"] or {}), **message.get("progress", {})}
            values["progress"] = {**told, "scores": self.scores.get(name, [])}
        self.store.change(name, state=state, **values)
        if state in OVER:
            self.scores.pop(name, None)
        return str(state)


def _ending(job: Message) -> bool:
    """Whether it was cancelled while it waited: it has the device once more, to keep what there is."""
    return bool((job["progress"] or {}).get("ending"))
