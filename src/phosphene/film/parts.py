"""The folder of a film that is being made: what a killed run goes on from.

    OUT.parts/state.safetensors   the run's identity, its state, and which still is next
    OUT.parts/00000024.png …      the stills of the part that is being filled, as the encoder gets them
    OUT.parts/part-00000.mkv …    whole parts; times-00000.json has (pts, duration) of their stills
    OUT.parts/so-far.mkv          the film as far as it is, to be looked at

A still's picture is on the disk before the state that names the next one, and the pictures of a part
go when the part is whole: whenever the run is killed, what the state counts can be made again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from phosphene import checkpoint
from phosphene.errors import PhospheneError
from phosphene.film.finish import Piece, Times
from phosphene.film.kinds import Plan
from phosphene.film.part import LENGTH, Part, packets
from phosphene.picture import atomic, shown

Array = NDArray[Any]
OFTEN = 4  # stills after which the state is saved though more are waiting; divides a part's
STATE, SO_FAR, FINISHED = "state.safetensors", "so-far.mkv", "finished.json"
OURS = re.compile(
    r"(\d{8}\.png|part-\d{5}\.mkv(\.half)?|times-\d{5}\.json|so-far\.mkv(\.half)?"
    r"|state\.safetensors|finished\.json|\..+\.part)"
)


class Folder:
    """The state in OUT.parts, whatever the film is made of."""

    def __init__(self, path: Path, plan: Plan, identity: Mapping[str, Any]) -> None:
        self.path, self.plan = path, plan
        self.identity = {**identity, **plan.identity}
        self.next, self.state, self.times = 0, dict[str, Any](), Times()
        self.unsaved: Mapping[str, Any] | None = None

    def resume(self) -> None:
        """Take up what the folder has; E_CHECKPOINT for another run's."""
        state = checkpoint.load(self.path / STATE, self.identity)
        ours = state.pop("reel")
        self.next, self.state = ours["next"], state
        self.times = [(pts, duration) for pts, duration in ours["times"]]

    def add(self, pixels: Array, pts: int, duration: int, state: Mapping[str, Any], settle: bool) -> None:
        """Keep one more still, and the state after it if the film should `settle` here."""
        if self.next % LENGTH == 0:
            self.times = []
        self.keep(pixels)
        self.times.append((pts, duration))
        self.next += 1
        self.unsaved = state
        if settle or self.next % OFTEN == 0:
            self.settle()
        if self.next % LENGTH == 0:
            self.full()

    def settle(self) -> None:
        """Bring the state after the last still to the disk."""
        if self.unsaved is not None:
            ours = {"next": self.next, "times": self.times}
            checkpoint.save(self.path / STATE, {**self.unsaved, "reel": ours}, self.identity)
            self.unsaved = None

    def keep(self, pixels: Array) -> None:
        """Bring one still, `[H, W, 3]`, to the disk."""
        raise NotImplementedError

    def full(self) -> None:
        """A part's stills are there, and the state too."""

    def close(self, whole: bool) -> None:
        """Let go of all files; with `whole`, what is half full becomes a part first."""

    def remove(self) -> None:
        """Remove what a run has left here, and the folder if nothing else is in it."""
        if not self.path.is_dir():
            return
        for one in sorted(self.path.iterdir(), key=lambda one: one.name != STATE):  # the state first
            if OURS.fullmatch(one.name) and not one.is_dir():
                one.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


class Parts(Folder):
    """A film in parts."""

    def __init__(self, path: Path, plan: Plan, identity: Mapping[str, Any]) -> None:
        super().__init__(path, plan, identity)
        self.part: Part | None = None
        self.watched: OutputContainer | None = None

    def resume(self) -> None:
        super().resume()
        for half in self.path.glob("*.half"):
            half.unlink()
        whole, rest = divmod(self.next, LENGTH)
        if self.next and not rest and not self.file(whole - 1).exists():  # killed before it was closed
            self._fill((whole - 1) * LENGTH, self.next)
            self._close()
        for number in range(whole):
            self._show(number, anew=True)
        with suppress(OSError):  # an open file can't be renamed everywhere
            (self.path / f"{SO_FAR}.half").replace(self.path / SO_FAR)
        self._tidy(whole * LENGTH)
        self._fill(whole * LENGTH, self.next)

    def file(self, number: int) -> Path:
        return self.path / f"part-{number:05d}.mkv"

    def pieces(self) -> list[Piece]:
        """All parts; the last, which may be short, is closed by now."""
        return [Piece(self.file(number), self._times(number)) for number in range(-(-self.next // LENGTH))]

    def keep(self, pixels: Array) -> None:
        done, data = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        assert done
        with (self.path / f"{self.next:08d}.png").open("wb") as file:
            file.write(data.tobytes())
            file.flush()
            os.fsync(file.fileno())
        self._encode(pixels)

    def full(self) -> None:
        self._close()
        self._show(self.next // LENGTH - 1)
        self._tidy(self.next)

    def close(self, whole: bool) -> None:
        part = self.part
        try:
            if whole and part is not None:
                self._close()
                self._show(self.next // LENGTH)
        finally:
            self.part = None
            if part is not None:
                part.leave()
            if self.watched is not None:
                watched, self.watched = self.watched, None
                watched.close()

    def _encode(self, pixels: Array) -> None:
        if self.part is None:
            self.part = Part(self.file(self.next // LENGTH), self.plan)
        self.part.add(pixels)

    def _fill(self, first: int, until: int) -> None:
        """Encode the stills of a part again from their pictures."""
        for index in range(first, until):
            pixels = cv2.imread(str(self.path / f"{index:08d}.png"), cv2.IMREAD_UNCHANGED)
            if pixels is None or pixels.shape[:2] != (self.plan.way.height, self.plan.way.width):
                raise PhospheneError(
                    "E_CHECKPOINT",
                    f"{shown(self.path)} is damaged: still {index} is missing; "
                    "delete it, or begin anew with --overwrite",
                )
            if self.part is None:
                self.part = Part(self.file(first // LENGTH), self.plan)
            self.part.add(np.ascontiguousarray(pixels[..., ::-1]))

    def _close(self) -> None:
        assert self.part is not None
        number = int(self.part.path.stem[-5:])
        with atomic.write(self.path / f"times-{number:05d}.json", overwrite=True) as file:
            file.write(json.dumps(self.times).encode())
        self.part.close()
        self.part = None

    def _times(self, number: int) -> Times:
        try:
            found = json.loads((self.path / f"times-{number:05d}.json").read_bytes())
            return [(int(pts), int(duration)) for pts, duration in found]
        except (OSError, ValueError, TypeError):
            raise PhospheneError(
                "E_CHECKPOINT",
                f"{shown(self.path)} is damaged: part {number} is missing; "
                "delete it, or begin anew with --overwrite",
            ) from None

    def _show(self, number: int, anew: bool = False) -> None:
        """Append a part to the film that can be looked at meanwhile."""
        path, base = self.file(number), self.plan.way.time_base
        if self.watched is None:
            self.watched = av.open(
                str(self.path / (f"{SO_FAR}.half" if anew else SO_FAR)),
                "w",
                format="matroska",
                container_options={"flush_packets": "1", "cluster_time_limit": "1"},
            )
            with av.open(str(path)) as file:
                self.watched.add_stream_from_template(file.streams.video[0], opaque=True).time_base = base
        for packet in packets(path, self._times(number), base):
            packet.stream = self.watched.streams[0]
            self.watched.mux(packet)

    def _tidy(self, until: int) -> None:
        for one in self.path.glob("*.png"):
            if OURS.fullmatch(one.name) and int(one.stem) < until:
                one.unlink(missing_ok=True)
