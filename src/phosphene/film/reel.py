"""A film being made: stills go in, the film appears at the end, and a killed run can go on."""

from __future__ import annotations

import json
import os
import queue
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from phosphene.errors import PhospheneError
from phosphene.film import animate, finish, sound
from phosphene.film.kinds import Way, plan
from phosphene.film.numbered import Numbered
from phosphene.film.parts import FINISHED, SO_FAR, STATE, Folder, Parts
from phosphene.film.source import Facts
from phosphene.picture import atomic, shown

WAITING = 3  # stills that may wait to be encoded


class Reel:
    """The film `output`, made `way`; use it in a `with`.

    `identity` tells the run from others, in JSON values. `sound` is the film whose sound and subtitles
    are taken, from `start` to `end` seconds after its first still. Beside the output stands the folder
    OUTPUT.parts until the film is finished; with `resume` an earlier run's is taken up: `next` is the
    number of the next still, `state` what came with the one before it.

    Raises E_EXISTS, E_OUTPUT, E_FORMAT, E_CHECKPOINT before any work.
    """

    def __init__(
        self,
        output: str | os.PathLike[str],
        way: Way,
        identity: Mapping[str, Any],
        *,
        sound: Facts | None = None,
        start: float = 0.0,
        end: float | None = None,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.output = os.fspath(output)
        self.plan = plan(self.output, way)
        self.start, self.end, self.overwrite = start, end, overwrite
        self.notes = [*self.plan.notes]
        self.sound = self._sound(sound)
        self.path = Path(f"{self.output.rstrip('/')}.parts")
        self.folder = self._folder(identity)
        self._begin(resume)
        self.next = self.folder.next
        self.state: dict[str, Any] | None = self.folder.state if self.next else None
        self._waiting: queue.Queue[tuple[NDArray[Any], int, int, Mapping[str, Any]] | None] = queue.Queue(
            WAITING
        )
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self) -> Reel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(PhospheneError):
            self._end(whole=False)

    @property
    def unfinished(self) -> Path | None:
        """The film as far as it is, to be looked at, if there is one by now."""
        path = self.path / SO_FAR
        return path if path.exists() else None

    def add(self, pixels: NDArray[Any], pts: int, duration: int, state: Mapping[str, Any]) -> None:
        """The next still: `[H, W, 3]` RGB float32 0..1, upright, with its time in ticks of the way.

        `state` is what the run goes on from after it: tensors and JSON values, as `checkpoint.save`
        takes them, which nobody may change afterwards. Errors of earlier stills are raised here.
        """
        way = self.plan.way
        if pixels.shape != (way.height, way.width, 3):
            raise ValueError(f"got a still of {pixels.shape}, expected {(way.height, way.width, 3)}")
        self._put((quantised(pixels, self.plan.bits), pts, duration, state))

    def finish(self, recipe: str = "") -> tuple[str, ...]:
        """Make the film of the stills; what there is to say about it. `recipe` replaces the way's."""
        self._put(None)
        self._end(whole=True)
        if not self.folder.next:
            self.folder.remove()
            raise PhospheneError("E_INPUT", "there is no still to make a film of; choose other times")
        if isinstance(self.folder, Numbered):
            if self.overwrite:
                for old in self.folder.those(self.folder.next):
                    old.unlink()
        elif isinstance(self.folder, Parts):
            with faults(self.output):
                self._publish(self.folder, recipe)
        self.folder.remove()
        return tuple(dict.fromkeys(self.notes))

    def stop(self) -> Path | None:
        """End early: all stills that were added are kept for `resume`; the film as far as it is."""
        self._end(whole=True)
        return self.unfinished

    def _sound(self, facts: Facts | None) -> Facts | None:
        if facts is None or not (facts.audio or facts.subtitles):
            return None
        if self.plan.kind != "film":
            self.notes.append(f"{self.plan.kind} has no sound: it is left out")
            return None
        self.notes += sound.check(facts, self.plan.container, Path(self.output).suffix.lower())
        return facts

    def _folder(self, identity: Mapping[str, Any]) -> Folder:
        times = {"film start": self.start, "film end": self.end}
        if self.plan.kind == "png":
            return Numbered(self.path, self.plan, {**identity, **times}, self.output)
        return Parts(self.path, self.plan, {**identity, **times})

    def _begin(self, resume: bool) -> None:
        begun = (self.path / STATE).exists()
        if begun and not resume and not self.overwrite:
            raise PhospheneError(
                "E_EXISTS",
                f"{shown(self.path)} is of a film that isn't finished; "
                "go on with --resume, or begin anew with --overwrite",
            )
        going_on = begun and resume
        if isinstance(self.folder, Numbered):
            self.folder.check(self.overwrite or going_on)
        else:
            atomic.check(self.output, self.overwrite or (going_on and self._ours()))
            atomic.sweep(self.output)
        with faults(self.path):
            if not going_on:
                self.folder.remove()
            self.path.mkdir(exist_ok=True)
            if going_on:
                self.folder.resume()
            elif resume:
                self.notes.append("there was nothing to resume: the film is begun")

    def _ours(self) -> bool:
        """Whether the output is this run's: killed after the film appeared, before its parts went."""
        try:
            made = json.loads((self.path / FINISHED).read_bytes())
            there = Path(self.output).stat()
        except (OSError, ValueError):
            return False
        return bool(made == [there.st_ino, there.st_size])

    def _publish(self, folder: Parts, recipe: str) -> None:
        target = Path(os.path.realpath(self.output))
        part = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.part")
        overwrite = self.overwrite or self._ours()
        try:
            if self.plan.kind == "film":
                pieces = folder.pieces()
                self.notes += finish.join(part, self.plan, pieces, self.sound, self.start, self.end, recipe)
                if self.plan.container == "avi" and not finish.steady(self.plan, pieces):
                    self.notes.append("AVI has one frame rate: some stills are shown at other times")
            else:
                self.notes += animate.write(part, self.plan, folder.pieces())
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            there = part.stat()
            (self.path / FINISHED).write_text(json.dumps([there.st_ino, there.st_size]), "utf-8")
            atomic.publish(part, target, overwrite)
        finally:
            with suppress(OSError):
                part.unlink()

    def _put(self, item: tuple[NDArray[Any], int, int, Mapping[str, Any]] | None) -> None:
        while True:
            self._raise()
            if self._thread is None:
                raise ValueError("the film is finished")
            with suppress(queue.Full):
                self._waiting.put(item, timeout=0.2)
                return

    def _work(self) -> None:
        try:
            with faults(self.path):
                while (item := self._waiting.get()) is not None:
                    self.folder.add(*item, settle=self._waiting.empty())
                self.folder.settle()
        except BaseException as error:
            self._error = error

    def _end(self, whole: bool) -> None:
        """End the thread, when all that waits is done."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        while thread.is_alive():
            with suppress(queue.Full):
                self._waiting.put(None, timeout=0.2)
                thread.join()
        with faults(self.path):
            self.folder.close(whole and self._error is None)
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


def quantised(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """0..1 as uint8, or uint16 for more than 8 bits, rounded."""
    most = 255 if bits == 8 else 65535
    kind = np.uint8 if bits == 8 else np.uint16
    levels: NDArray[Any] = np.rint(np.clip(pixels, 0, 1) * np.float32(most)).astype(kind)
    return levels


@contextmanager
def faults(path: str | os.PathLike[str]) -> Iterator[None]:
    """What FFmpeg and the system say about writing, as a `PhospheneError` in one line."""
    try:
        with atomic.reported(path):
            yield
    except PhospheneError as error:
        if error.code == "E_DISK":
            raise PhospheneError(
                "E_DISK",
                f"{shown(path)} can't be written: the disk is full; make room and go on with --resume",
            ) from None
        raise
    except (av.FFmpegError, cv2.error) as error:
        raise PhospheneError("E_OUTPUT", f"{shown(path)} can't be written: {error}") from None
