"""Small things that are made in the background and kept: pictures of units, and networks' layers."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = 2  # of what they look like
WAITING = 400  # at most; the oldest are forgotten, and asked for again by who still wants them
TOGETHER = 8  # channels of one layer, in one pass
PATIENCE = 5.0  # s after which what nobody asks for again comes last


@dataclass(frozen=True)
class Sketch:
    """What a layer or one of its channels dreams, or does to a photo; without a layer, the layers' list."""

    model: str
    layer: str = ""
    channel: int | None = None
    photo: str = ""  # an upload

    @property
    def key(self) -> str:
        values = (self.model, self.layer, self.channel, self.photo, VERSION)
        return hashlib.sha256(repr(values).encode()).hexdigest()[:32]

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.key}.{'webp' if self.layer else 'json'}"


@dataclass
class Wish:
    """A sketch that somebody asked for: at first, and last, in seconds."""

    sketch: Sketch
    first: float
    last: float


class Sketches:
    """Those that are wanted, and those that can't be made. Safe in any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._wanted: dict[str, Wish] = {}
        self._failed: dict[str, str] = {}
        self._made = threading.Condition()

    def path(self, sketch: Sketch) -> Path:
        return self.folder / sketch.name

    def failed(self, sketch: Sketch) -> str:
        """Why it can't be made, or nothing."""
        return self._failed.get(sketch.key, "")

    def want(self, sketch: Sketch) -> bool:
        """Whether it is there; if not it is wanted from now on."""
        if self.path(sketch).exists():
            return True
        now = time.monotonic()
        with self._made:
            if sketch.key in self._wanted:
                self._wanted[sketch.key].last = now
            elif sketch.key not in self._failed:
                self._wanted[sketch.key] = Wish(sketch, now, now)
            while len(self._wanted) > WAITING:
                del self._wanted[min(self._wanted, key=lambda key: self._wanted[key].last)]
        return False

    def wait(self, sketch: Sketch, seconds: float) -> bool:
        """Whether it is there within so many seconds."""
        path = self.path(sketch)
        with self._made:
            self._made.wait_for(lambda: path.exists() or sketch.key in self._failed, seconds)
        return path.exists()

    def next(self) -> dict[str, Any] | None:
        """What to tell a worker: what is still asked for, the oldest first, with others of its layer."""
        stale = time.monotonic() - PATIENCE
        with self._made:
            if not self._wanted:
                return None
            order = sorted(self._wanted.values(), key=lambda wish: (wish.last < stale, wish.first))
            first = order[0].sketch
            found = [first]
            if first.channel is not None:
                alike = (first.model, first.layer, first.photo)
                others = (wish.sketch for wish in order[1:] if wish.sketch.channel is not None)
                found += [one for one in others if (one.model, one.layer, one.photo) == alike]
            del found[TOGETHER:]
            for one in found:
                del self._wanted[one.key]
        units = [{"key": one.key, "channel": one.channel, "name": one.name} for one in found]
        return {
            "type": "sketch",
            "model": first.model,
            "layer": first.layer,
            "photo": first.photo,
            "sketches": units,
        }

    def ended(self, message: dict[str, Any], errors: dict[str, str]) -> None:
        """A worker is done with these; what is neither there nor wrong is wanted again."""
        now = time.monotonic()
        with self._made:
            if len(self._failed) > 10_000:
                self._failed.clear()
            self._failed |= errors
            for one in message["sketches"]:
                if one["key"] not in errors and not (self.folder / one["name"]).exists():
                    sketch = Sketch(message["model"], message["layer"], one["channel"], message["photo"])
                    self._wanted[one["key"]] = Wish(sketch, now, now)
            self._made.notify_all()
