"""The process that dreams: it is told a job, sends frames and news, and may be asked to pause or to end.

Everything heavy is imported here, so that the server answers at once and lives on whatever happens.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from phosphene.errors import PhospheneError

RATE = 0.1  # s between two frames, at least
LONGEST = 1024  # px of a frame's longer side
KEPT = 10.0  # s between two states that are saved


def main(connection: Connection, folder: str) -> None:
    """Run jobs until the server goes away."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends us
    worker = Worker(connection, Path(folder))
    connection.send({"type": "ready", "device": worker.device()})
    while True:
        try:
            message = connection.recv()
            if message["type"] == "run":
                worker.run(message["job"])
            elif message["type"] == "thumbnail":
                worker.thumbnail(message["key"], message["model"], message["objective"], message["photo"])
        except (EOFError, ConnectionError):
            return  # the server is gone


@dataclass
class Sight:
    """When something was sent and saved last."""

    sent: float = 0.0
    saved: float = 0.0
    n: int = 0


class Worker:
    """One device's."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.connection, self.files, self.cache = connection, folder / "files", folder / "cache"
        self.lens: tuple[str, Any] | None = None

    def device(self) -> str:
        from phosphene.models.device import pick

        return str(pick("auto"))

    def run(self, job: Mapping[str, Any]) -> None:
        """A job, to its end, a pause or a fault; the server is told."""
        try:
            self._dream(job)
        except PhospheneError as error:
            self._tell(job, "failed", error={"code": error.code, "message": str(error)})
        except (EOFError, ConnectionError):
            raise
        except MemoryError:
            self._tell(job, "failed", error={"code": "E_MEMORY", "message": "there isn't enough memory"})
        except Exception as error:
            message = f"{type(error).__name__}: {error}"[:500]
            self._tell(job, "failed", error={"code": "E_INTERNAL", "message": message})

    def thumbnail(self, key: str, model: str, objective: str, photo: str) -> None:
        """A small picture of what a unit dreams, or of what it does to a photo, into the cache."""
        from phosphene import engine, features
        from phosphene.config import Dream
        from phosphene.picture import Picture, open_picture, save_picture

        try:
            lens = self._lens(features.settings(model=model))
            if photo:
                image = open_picture(self.files / f"{photo}.upload").tensor()
                config = Dream(max_size=128, octaves=1, steps=10, seed=0)
                *_, last = engine.dream(image, objective, lens, config)
                shown = last.full()[0]
            else:
                config = features.settings(steps=40, seed=0)
                (seen,) = features.visualize(objective, lens, config, size=112)
                shown = seen.image
            pixels = shown.permute(1, 2, 0).cpu().numpy()
            small = Picture(pixels, None, 8, None, "webp", "", ())
            save_picture(self.cache / f"{key}.webp", small, format="webp", quality=85, overwrite=True)
            self.connection.send({"type": "thumbnail", "key": key})
        except PhospheneError as error:
            self.connection.send({"type": "thumbnail", "key": key, "error": str(error)})
        except (EOFError, ConnectionError):
            raise
        except Exception as error:
            self.connection.send({"type": "thumbnail", "key": key, "error": type(error).__name__})

    def _lens(self, dream: Any) -> Any:
        """The network, which stays loaded for the next job."""
        from phosphene import models

        names = ("model", "weights", "device", "dtype", "plain", "compile", "mean", "std", "range")
        key = repr([getattr(dream, name) for name in (*names, "channel_order")])
        if self.lens is None or self.lens[0] != key:
            self.lens = None
            self.lens = key, models.of(dream)
        return self.lens[1]

    def _dream(self, job: Mapping[str, Any]) -> None:
        from phosphene import checkpoint, engine
        from phosphene.studio.making import made_of, saved

        began = time.monotonic()
        work = made_of(job, self.files, self._lens)
        state_file = self.files / f"{job['id']}.state"
        identity = {"job": job["id"]}
        state = checkpoint.load(state_file, identity) if state_file.exists() else None
        sight, last, asked = Sight(saved=time.monotonic()), None, ""
        image, objective, lens = work.image, work.objective, work.lens
        frames: Iterator[Any] = engine.dream(image, objective, lens, work.dream, mask=work.mask, resume=state)
        self._tell(job, "running")
        for last in frames:
            asked = self._asked(job["id"])
            self._show(job, last, sight, now=bool(asked))
            if asked:
                break
            if time.monotonic() - sight.saved > KEPT:
                checkpoint.save(state_file, last.state(copy=False), identity)
                sight.saved = time.monotonic()
        assert last is not None
        seconds = time.monotonic() - began
        if asked == "pause":
            checkpoint.save(state_file, last.state(copy=False), identity)
            self._tell(job, "paused", seconds=seconds)
            return
        saved(work, last, self.files / f"{job['id']}.png")
        state_file.unlink(missing_ok=True)
        self._tell(job, "cancelled" if asked else "done", seconds=seconds)

    def _asked(self, job: str) -> str:
        """What was asked of this job since the last step: pause, cancel, or nothing."""
        found = ""
        while self.connection.poll():
            message = self.connection.recv()
            if message["type"] in ("pause", "cancel") and message["job"] == job:
                found = message["type"]
        return found

    def _tell(self, job: Mapping[str, Any], state: str, **more: Any) -> None:
        self.connection.send({"type": "state", "job": job["id"], "state": state, **more})

    def _show(self, job: Mapping[str, Any], frame: Any, sight: Sight, now: bool) -> None:
        """Send the newest picture, a few times a second."""
        if not (now or frame.done) and time.monotonic() - sight.sent < RATE:
            return
        from PIL import Image

        sight.n += 1
        small = frame.small(LONGEST)[0].permute(1, 2, 0).cpu().numpy()
        height, width = frame.photo.size
        file = io.BytesIO()
        Image.fromarray((small * 255).round().astype("uint8")).save(file, "JPEG", quality=88)
        progress = {
            "octave": frame.octave + 1,
            "octaves": frame.octaves,
            "step": frame.step + 1,
            "steps": frame.steps,
            "score": float(frame.score.flatten()[0]),
            "width": width,
            "height": height,
        }
        self.connection.send(
            {"type": "frame", "job": job["id"], "progress": progress, "jpeg": file.getvalue()}
        )
        sight.sent = time.monotonic()
