"""The process that dreams: it is told a job, sends frames and news, and may be asked to pause or to end.

Everything heavy is imported here, so that the server answers at once and lives on whatever happens.
"""

from __future__ import annotations

import io
import math
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from phosphene.errors import PhospheneError

RATE = 0.1  # s between two frames, at least
LONGEST = 1024  # px of a frame's longer side
KEPT = 10.0  # s between two states that are saved
HELD = {"pause": "paused", "slice": "queued"}  # what was asked -> what becomes of the job
WEIGHT = ("", "yield", "slice", "pause", "cancel")  # of what is asked at once the last one counts
LENSES = 2  # networks that stay loaded


def main(connection: Connection, folder: str, device: str) -> None:
    """Run jobs on a device until the server goes away; `auto` is the best there is."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends us
    worker = Worker(connection, Path(folder), device)
    connection.send({"type": "ready", "device": worker.device, "others": worker.others})
    worker.warm()
    while True:
        try:
            message = connection.recv()
            if message["type"] == "run":
                worker.run(message["job"])
            elif message["type"] == "sketch":
                worker.sketch(message)
        except (EOFError, ConnectionError):
            return  # the server is gone


class Asked(Exception):  # noqa: N818
    """Somebody wants a job to pause or to end, or a sketch to give way."""


class Worker:
    """One device's."""

    def __init__(self, connection: Connection, folder: Path, device: str) -> None:
        import torch

        from phosphene.models.device import pick

        self.connection, self.files, self.cache = connection, folder / "files", folder / "cache"
        self.device = str(pick(device))
        more = range(1, torch.cuda.device_count()) if self.device.startswith("cuda") else ()
        self.others = [f"cuda:{number}" for number in more] if device == "auto" else []
        if self.others:
            self.device = "cuda:0"
        self.lenses: OrderedDict[str, Any] = OrderedDict()

    def warm(self) -> None:
        """Load the default network before anybody asks, and dream a step, which is slow the first time."""
        import torch

        from phosphene import engine, models
        from phosphene.config import Dream

        with suppress(Exception):
            lens = self.lens(Dream())
            config = Dream(octaves=1, steps=1, seed=0)
            list(engine.dream(torch.full((1, 3, 96, 96), 0.5), models.own(lens), lens, config))

    def run(self, job: Mapping[str, Any]) -> None:
        """A job, to its end, a pause or a fault; the server is told."""
        from phosphene.studio import shooting

        try:
            shooting.film(self, job) if job["kind"] in shooting.KINDS else self._picture(job)
        except PhospheneError as error:
            self.tell(job, "failed", error={"code": error.code, "message": str(error)})
        except (EOFError, ConnectionError):
            raise
        except MemoryError:
            self.tell(job, "failed", error={"code": "E_MEMORY", "message": "there isn't enough memory"})
        except OSError as error:
            self.tell(job, "failed", error={"code": "E_DISK", "message": f"{error.strerror or error}"})
        except Exception as error:
            message = f"{type(error).__name__}: {error}"[:500]
            self.tell(job, "failed", error={"code": "E_INTERNAL", "message": message})

    def sketch(self, message: Mapping[str, Any]) -> None:
        """Small things for the page's map, into the cache."""
        from phosphene.studio.sketching import sketched

        errors: dict[str, str] = {}
        try:
            sketched(self, message)
        except Asked:
            pass
        except (EOFError, ConnectionError):
            raise
        except Exception as error:
            errors = {one["key"]: str(error)[:300] for one in message["sketches"]}
        self.connection.send({"type": "sketch", "errors": errors})

    def lens(self, dream: Any) -> Any:
        """The network on this device; the last ones stay loaded."""
        from phosphene import models

        dream = dream.but(device=self.device)
        names = ("model", "weights", "device", "dtype", "plain", "compile", "mean", "std", "range")
        key = repr([getattr(dream, name) for name in (*names, "channel_order")])
        if key not in self.lenses:
            while len(self.lenses) >= LENSES:
                self.lenses.popitem(last=False)
            self.lenses[key] = models.of(dream)
        self.lenses.move_to_end(key)
        return self.lenses[key]

    def asked(self, job: str) -> str:
        """What was asked since the last step: pause, slice or cancel of this job, yield, or nothing."""
        found = ""
        while self.connection.poll():
            message = self.connection.recv()
            if message["type"] == "yield" or message.get("job") == job:
                found = max(found, message["type"], key=WEIGHT.index)
        return found

    def tell(self, job: Mapping[str, Any], state: str, **more: Any) -> None:
        self.connection.send({"type": "state", "job": job["id"], "state": state, **more})

    def show(self, job: Mapping[str, Any], seen: Any, sight: Sight, now: bool = False, **more: Any) -> None:
        """Send the newest picture, a few times a second."""
        if not now and time.monotonic() - sight.sent < RATE:
            return
        from PIL import Image

        small = seen.small(LONGEST)[0].permute(1, 2, 0).cpu().numpy()
        height, width = seen.photo.size
        file = io.BytesIO()
        Image.fromarray((small * 255).round().astype("uint8")).save(file, "JPEG", quality=88)
        progress = {
            "octave": seen.octave + 1,
            "octaves": seen.octaves,
            "step": seen.step + 1,
            "steps": seen.steps,
            "score": _finite(float(seen.score.flatten()[0])),
            "width": width,
            "height": height,
            **more,
        }
        self.connection.send(
            {"type": "frame", "job": job["id"], "progress": progress, "jpeg": file.getvalue()}
        )
        sight.sent = time.monotonic()

    def _picture(self, job: Mapping[str, Any]) -> None:
        from phosphene import checkpoint, engine
        from phosphene.studio.making import made_of, saved

        began = time.monotonic()
        work = made_of(job, self.files, self.lens)
        state_file = self.files / f"{job['id']}.state"
        identity = {"job": job["id"]}
        state = checkpoint.load(state_file, identity) if state_file.exists() else None
        sight, last, asked = Sight(), None, ""
        image, objective, lens = work.image, work.objective, work.lens
        frames: Iterator[Any] = engine.dream(image, objective, lens, work.dream, mask=work.mask, resume=state)
        self.tell(job, "running")
        for last in frames:
            asked = self.asked(job["id"])
            self.show(job, last, sight, now=bool(asked) or last.done)
            if asked:
                break
            if time.monotonic() - sight.saved > KEPT:
                checkpoint.save(state_file, last.state(copy=False), identity)
                sight.saved = time.monotonic()
        assert last is not None
        seconds = time.monotonic() - began
        if asked in HELD:
            checkpoint.save(state_file, last.state(copy=False), identity)
            self.tell(job, HELD[asked], seconds=seconds)
            return
        saved(work, last, self.files / f"{job['id']}.png")
        state_file.unlink(missing_ok=True)
        self.tell(job, "cancelled" if asked else "done", seconds=seconds)


class Sight:
    """When a frame was sent, and a state saved, last."""

    def __init__(self) -> None:
        self.sent, self.saved = 0.0, time.monotonic()


def _finite(score: float) -> float | None:
    """JSON knows no NaN."""
    return score if math.isfinite(score) else None
