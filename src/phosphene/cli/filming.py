"""What `video` and `zoom` share: where the film goes, how far it is, and its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from phosphene.cli.flags import OUTPUT, option
from phosphene.cli.report import Report, interactive
from phosphene.config import Dream
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from rich.progress import Progress

    from phosphene.film.reel import Reel

PREVIEW = 2.0  # seconds
SMALL = 320  # px: a preview's longer side, at most
INTERVAL = 0.2  # s between two events


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class FilmFlags:
    """Where a film goes, and as what."""

    output: Annotated[
        str,
        option(
            "the film: .mp4 .mov .mkv .webm .gif .webp, or numbered pictures: a folder/ or name-%05d.png",
            "--output",
            "-o",
            group=OUTPUT,
            metavar="OUT",
        ),
    ] = ""
    codec: Annotated[
        str, option("h264, h265, av1, prores or ffv1; '' = what suits the output's name", group=OUTPUT)
    ] = ""
    quality: Annotated[
        float | None,
        option("the codec's constant quality: smaller is better", group=OUTPUT, metavar="X"),
    ] = None
    overwrite: Annotated[bool, option("replace a film that exists, or one that was begun", group=OUTPUT)] = (
        False
    )
    resume: Annotated[bool, option("go on with a film that was interrupted, from OUT.parts")] = False
    preview: Annotated[bool, option("only the first two seconds, small")] = False


def finished(output: str, where: FilmFlags, report: Report) -> bool:
    """Whether `--resume` has nothing left to do; E_EXISTS for a film that isn't to be replaced."""
    if where.resume and not where.overwrite and Path(output).is_file() and not parts(output).exists():
        report.note(f"{output} exists and is finished")
        if report.events:
            report.event("end", output=output, finished=True)
        return True
    if Path(output).is_file() and not where.resume:
        from phosphene.picture import atomic

        atomic.check(output, where.overwrite)
    return False


def apart(source: str, output: str) -> None:
    """E_OUTPUT where the film would be written over what it is made from."""
    if Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
        raise PhospheneError(
            "E_OUTPUT", f"{output} is an input, which is never replaced; give another output"
        )


def seeded(dream: Dream, output: str, resume: bool) -> Dream:
    """With the seed that the film was begun with, or one drawn now."""
    from phosphene.cli.dream import with_seed

    state = parts(output) / "state.safetensors"
    if resume and dream.seed is None and state.exists():
        from phosphene import checkpoint

        seed = checkpoint.identity_of(str(state)).get("seed")
        if type(seed) is int and 0 <= seed < 2**32:
            return dream.but(seed=seed)
    return with_seed(dream)


def parts(output: str) -> Path:
    """The folder beside a film in which it is being made."""
    return Path(f"{output.rstrip('/')}.parts")


def previewed(dream: Dream) -> Dream:
    """The same, small."""
    return dream.but(max_size=min(dream.max_size or SMALL, SMALL), scale=min(dream.scale, 1.0))


def promise() -> None:
    """What the first Ctrl-C answers; plain `write`, as this runs inside a signal handler."""
    os.write(2, b"\nfinishing this still, then keeping what there is; once more ends at once\n")


class Watch:
    """How far a film is: for people a bar, for programs an event a few times a second."""

    def __init__(self, report: Report, total: int, done: int = 0) -> None:
        self.report, self.total, self.done = report, total, done
        self.first, self.began, self.told = done, time.monotonic(), 0.0
        self.bar: Progress | None = None

    def at(self, number: int, flicker: float, evaluations: int) -> None:
        """So many stills are there."""
        self.done, now = number, time.monotonic()
        if self.bar:
            self.bar.update(self.bar.tasks[0].id, completed=number, flicker=f"{flicker:.2f}")
        if self.report.events and (now - self.told > INTERVAL or number >= self.total):
            self.told = now
            left = (now - self.began) / max(1, number - self.first) * max(0, self.total - number)
            self.report.event(
                "frame",
                number=number,
                frames=self.total,
                seconds_left=round(left, 1),
                flicker=round(flicker, 3),
                gradient_evaluations=evaluations,
            )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show a bar while this lasts, if stderr is a terminal and a person wants to see one."""
        if self.report.events or self.report.quiet or not interactive(sys.stderr):
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("flicker {task.fields[flicker]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as self.bar:
            self.report.progress = self.bar
            self.bar.add_task("film", total=self.total or None, completed=self.done, flicker="-")
            try:
                yield
            finally:
                self.report.progress = self.bar = None


def ended(report: Report, output: str, began: float, device: Any, values: Mapping[str, Any]) -> None:
    """The film is where it belongs, or as far as it came."""
    from phosphene import budget

    report.done(
        output, seconds=round(time.monotonic() - began, 3), peak_bytes=budget.highest(device), **values
    )
    if not report.events and not report.quiet and values.get("flicker") is not None:
        report.line(
            f"{values['frames']} stills, {values['gradient_evaluations']} gradients, "
            f"flicker {values['flicker']:.2f}" + values.get("of", "")
        )


def left(reel: Reel, report: Report) -> None:
    """End a film early, and say what there is of it."""
    path = reel.stop()
    look = f"; {path} is the film so far" if path else ""
    report.note(f"stopped after {reel.folder.next} stills; --resume goes on{look}")
