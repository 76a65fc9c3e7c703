"""The WebSocket: news of the jobs that are watched, and their newest frames, one at a time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from phosphene.studio.manager import Manager

MOST = 16  # jobs that one page watches
OF_ONE, OF_ALL = (
    20,
    200,
)  # sockets of one visitor, and of all: requests are to have their share of connections
FULL = 1013  # "try again later"


class Live:
    """Wakes the sockets that watch a job; frames that nobody has time for are never sent."""

    def __init__(self, manager: Manager, told: Any) -> None:
        self.manager, self.told = manager, told
        self._watching: dict[str, set[Watcher]] = {}
        self._open: list[str] = []  # whose sockets
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self) -> None:
        """In the server's loop."""
        self._loop = asyncio.get_running_loop()
        self.manager.heard = self._heard

    def _heard(self, job: str) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, job)

    def _wake(self, job: str) -> None:
        for watcher in self._watching.get(job, ()):
            watcher.news.add(job)
            watcher.woken.set()

    async def serve(self, socket: WebSocket, visitor: str) -> None:
        """One page's socket, until it closes."""
        await socket.accept()
        if len(self._open) >= OF_ALL or self._open.count(visitor) >= OF_ONE:
            await socket.close(FULL, "too many pages are open")
            return
        self._open.append(visitor)
        watcher = Watcher(socket, visitor, self)
        sender = asyncio.create_task(watcher.send())
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                await watcher.take(message.get("text") or "")
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            sender.cancel()
            self._open.remove(visitor)
            for job in watcher.jobs:
                self.leave(job, watcher)

    def watch(self, job: str, watcher: Watcher) -> None:
        self._watching.setdefault(job, set()).add(watcher)
        self._wake(job)

    def leave(self, job: str, watcher: Watcher) -> None:
        watchers = self._watching.get(job, set())
        watchers.discard(watcher)
        if not watchers:
            self._watching.pop(job, None)


class Watcher:
    """What one socket watches, and which frame it has."""

    def __init__(self, socket: WebSocket, visitor: str, live: Live) -> None:
        self.socket, self.visitor, self.live = socket, visitor, live
        self.jobs: dict[str, int] = {}  # job -> the number of its last frame that was sent
        self.news: set[str] = set()
        self.woken = asyncio.Event()
        self.free = True  # the last frame was acknowledged

    async def take(self, text: str) -> None:
        """A message from the page."""
        try:
            message = json.loads(text)
            kind, job = message.get("type"), message.get("job")
        except (ValueError, AttributeError, RecursionError):
            await self._error("a message is a JSON object with a type")
            return
        if not isinstance(job, str) or not job.isascii():
            job = None
        if kind == "ack":
            self.free = True
            self.woken.set()
        elif kind == "watch" and job and await self._mine(job):
            if len(self.jobs) >= MOST and job not in self.jobs:
                await self._error(f"at most {MOST} jobs are watched at once")
                return
            self.jobs.setdefault(job, 0)
            self.live.watch(job, self)
        elif kind == "leave" and job:
            self.jobs.pop(job, None)
            self.live.leave(job, self)
        elif kind not in ("watch", "leave"):
            await self._error(f"there is no message {str(kind)[:40]!r}; expected watch, leave or ack")
        else:
            await self._error("there is no such job")

    async def send(self) -> None:
        """News at once; a frame when the one before has arrived."""
        while True:
            await self.woken.wait()
            self.woken.clear()
            news, self.news = self.news, set()
            for job in news & self.jobs.keys():
                told = await asyncio.to_thread(self.live.told, job, self.visitor)
                if told is not None:
                    await self.socket.send_text(json.dumps({"type": "job", **told}))
            for job, seen in list(self.jobs.items()):
                frame = self.live.manager.frames.get(job)
                if self.free and frame is not None and frame[0] > seen:
                    self.free, self.jobs[job] = False, frame[0]
                    header = json.dumps(frame[1]).encode()
                    await self.socket.send_bytes(len(header).to_bytes(4, "big") + header + frame[2])

    async def _mine(self, job: str) -> bool:
        return await asyncio.to_thread(self.live.told, job, self.visitor) is not None

    async def _error(self, message: str) -> None:
        await self.socket.send_text(json.dumps({"type": "error", "code": "E_PARAM", "message": message}))
