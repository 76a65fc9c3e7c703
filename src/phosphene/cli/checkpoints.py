"""Where each dream's checkpoint is kept, when it is written, and which outputs are still to be finished."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phosphene.cli.flags import Target
from phosphene.cli.outputs import STDOUT, Job, is_folder
from phosphene.cli.report import Report
from phosphene.errors import PhospheneError
from phosphene.recipe import Recipe, Stop

if TYPE_CHECKING:
    from phosphene.frame import Frame


def planned(
    jobs: Sequence[Job], target: Target, used: Iterable[str] = (), until: Stop | None = None
) -> tuple[list[Job], list[str]]:
    """`jobs` with their checkpoints, and with `--resume` the outputs that are skipped as they are finished.

    `used` are inputs besides the photos; `until` is where a finished run ends. E_PARAM, E_EXISTS or
    E_CHECKPOINT before anything has happened.
    """
    if not target.checkpoint and not target.resume:
        return list(jobs), []
    jobs = [replace(job, checkpoint=_place(job.output, target)) for job in jobs]
    _refuse_collisions(jobs, used)
    todo, skipped = [], []
    for job in jobs:
        there = os.path.lexists(job.checkpoint)
        begun = _identity_of(job.checkpoint) if there else None
        if not target.resume or target.overwrite or not os.path.lexists(job.output):
            if there and not target.resume and not target.overwrite:
                raise PhospheneError(
                    "E_EXISTS",
                    f"{job.checkpoint} exists; give --resume to go on from it, or --overwrite to begin anew",
                )
            todo.append(job)
            continue
        made = _recipe_in(job.output)
        if (made.interrupted == until) if made else not there:
            skipped.append(job.output)
            if made and begun and begun == begun | identity(made) and not target.dry_run:
                with suppress(OSError):  # of a run that was killed after it had saved its picture
                    Path(job.checkpoint).unlink()
        elif made and there:
            todo.append(replace(job, unfinished=True))
        else:
            why = (
                "isn't finished and has no checkpoint"
                if made
                else "has no recipe that says if it is finished"
            )
            raise PhospheneError("E_EXISTS", f"{job.output} {why}; give --overwrite to replace it")
    return todo, skipped


def _place(output: str, target: Target) -> str:
    """`.OUT.checkpoint` beside the output or in the folder that was named, or the very file."""
    hidden = f".{'stdout' if output == STDOUT else Path(output).name}.checkpoint"
    if target.checkpoint:
        folder = is_folder(target.checkpoint) or os.path.isdir(target.checkpoint)  # noqa: PTH112
        return str(Path(target.checkpoint, hidden)) if folder else target.checkpoint
    if output == STDOUT:
        raise PhospheneError("E_PARAM", "--resume with -o - needs a place: give --checkpoint FILE")
    return str(Path(output).with_name(hidden))


def _refuse_collisions(jobs: Sequence[Job], used: Iterable[str]) -> None:
    taken = {_key(name): name for job in jobs for name in (job.photo, job.output, *used) if name}
    for job in jobs:
        if "\0" in job.checkpoint or _key(job.checkpoint) in taken:
            raise PhospheneError(
                "E_PARAM",
                f"--checkpoint {job.checkpoint!r:.200} is another file of this run, or no file's name; give "
                "a name of its own, for several photos a folder, or --resume alone",
            )
        taken[_key(job.checkpoint)] = job.checkpoint


def _key(path: str) -> str:
    return path if path == STDOUT else os.path.normcase(Path(path).absolute())


def _identity_of(path: str) -> dict[str, Any]:
    from phosphene import checkpoint

    return checkpoint.identity_of(path)


def _recipe_in(output: str) -> Recipe | None:
    from phosphene.picture import read_recipe

    try:
        text = read_recipe(Path(output))
        return Recipe.from_text(text) if text else None
    except PhospheneError:
        return None


def begun_with_seed(jobs: Sequence[Job], skipped: Sequence[str]) -> int | None:
    """The seed that a killed run had drawn: in a checkpoint, else in a picture that it had finished."""
    for job in jobs:
        if os.path.lexists(job.checkpoint):
            seed = _identity_of(job.checkpoint).get("seed")
            if type(seed) is int and 0 <= seed < 2**32:
                return seed
    for output in skipped:
        made = _recipe_in(output)
        if made and made.dream.seed is not None:
            return made.dream.seed
    return None


MOST = 0.05  # of a run's time that its checkpoints may take
SMALL = 16_000_000  # px: up to here they take a moment
DISK = 200e6  # bytes that a disk writes in a second, as long as it isn't known
PLANNED = frozenset({"tile", "max_memory"})  # the memory plan fills in the tile; the state knows which


def kept_in(path: str) -> str:
    """Where the run that is kept in `path` has its picture: "disk" or "memory"; "" where there is none."""
    place = _identity_of(path).get("canvas", "memory") if path and os.path.lexists(path) else ""
    return place if place in ("disk", "memory") else ""


def identity(recipe: Recipe) -> dict[str, Any]:
    """All of a recipe that makes another picture or another recipe, except the photo's own name."""
    values = recipe.model_dump(mode="json")
    photo, stop = values["input"], values["interrupted"]
    return {
        "photo": photo["sha256"],
        "size": f"{photo['width']}×{photo['height']}",
        **{name: value for name, value in values["dream"].items() if name not in PLANNED},
        "weights' SHA-256": values["weights_sha256"],
        **{f"{name}'s SHA-256": sha256 for name, sha256 in values["files"].items()},
        "deterministic": values["deterministic"],
        "end": f"octave {stop['octave']}, step {stop['step']}" if stop else "the last step",
        **values["software"],
    }


class Keeper:
    """The checkpoint of one run; without a path it does nothing. A large picture's are far between.

    That it can't be written is told once and ends nothing.
    """

    def __init__(self, path: str, identity: Mapping[str, Any], every: float, report: Report) -> None:
        self.path, self.identity, self.every, self.report = path, identity, every, report
        self.written = time.monotonic()
        self.told = False
        self.took = 0.0

    def state(self) -> dict[str, Any] | None:
        """What to go on from; None where there is nothing. E_CHECKPOINT for another run's."""
        from phosphene import checkpoint
        from phosphene.picture import atomic

        atomic.sweep(self.path)
        if not os.path.lexists(self.path):
            self.report.note(f"there is no checkpoint {self.path}; beginning at the beginning")
            return None
        state = checkpoint.load(self.path, self.identity)
        self.report.note(f"going on from {self.path}")
        return state

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except PhospheneError as error:
            if not self.told:
                self.report.note(f"no checkpoint is kept: {error}")
            self.told = True

    def check(self) -> None:
        """Tell now if there won't be any checkpoints."""
        from phosphene.picture import atomic

        if self.path:
            with self._told():
                atomic.check(self.path, overwrite=True)

    def keep(self, frame: Frame, now: bool = False) -> None:
        """Write the checkpoint if it is time to, at an octave's end, or if it must be `now`."""
        since = time.monotonic() - self.written
        due = since >= self.every or frame.step == frame.steps - 1
        if not self.path or not (now or (due and since >= self._cost(frame) / MOST)):
            return
        from phosphene import checkpoint

        begun = time.monotonic()
        with self._told():
            checkpoint.save(self.path, frame.state(copy=False), self.identity)
        self.written = time.monotonic()
        self.took = self.written - begun

    def _cost(self, frame: Frame) -> float:
        """The seconds that a checkpoint takes, where they matter."""
        pixels = frame.canvas.size[0] * frame.canvas.size[1]
        return 0.0 if pixels < SMALL else self.took or 24 * pixels / DISK

    def remove(self) -> None:
        """The dream is done and saved."""
        if self.path:
            with suppress(OSError):
                Path(self.path).unlink()
