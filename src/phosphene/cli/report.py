"""What a person or a program is told: the result on stdout, everything else on stderr.

--json     one object per line, {"v": 1, "event": "start" | "plan" | "note" | "frame" | "end" | "error"}
terminal   progress with the time left
otherwise  notes, and the path of the picture
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from rich.progress import Progress

    from phosphene.frame import Frame

VERSION = 1  # of the events
INTERVAL = 0.1  # s: at most this often a frame's score is read, as that waits for the device


def printable(text: str) -> str:
    """`text` without control characters, so that a file's name can't steer a terminal."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def interactive(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can be drawn on."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class Report:
    """Notes, progress and results of one command."""

    def __init__(
        self,
        *,
        events: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        bytes_on_stdout: bool = False,
    ) -> None:
        self.events = events
        self.quiet = quiet
        self.verbose = verbose
        self.result = sys.stderr if bytes_on_stdout else sys.stdout
        self.progress: Progress | None = None
        self.item = ""  # 'photo 2 of 5: ' in a batch
        self._shown = 0.0

    def event(self, kind: str, /, **values: Any) -> None:
        """One line of JSON on the stream of results."""
        line = json.dumps({"v": VERSION, "event": kind, **values}, ensure_ascii=True)
        print(line, file=self.result, flush=True)

    def line(self, text: str) -> None:
        """One line for people on stderr, above the progress bar if there is one."""
        if self.progress:
            self.progress.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
        else:
            print(printable(text), file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Something that a person should know but that stops nothing."""
        if self.events:
            self.event("note", message=text)
        elif not self.quiet:
            self.line(f"note: {text}")

    def detail(self, text: str) -> None:
        """Something for `--verbose`."""
        if self.verbose and not self.quiet:
            self.line(text)

    def error(self, error: PhospheneError, **values: Any) -> None:
        """Why something failed, in one line; with `--json` as an event too."""
        if self.events:
            self.event("error", code=error.code, message=str(error), **values)
        if not self.events or self.result is sys.stdout:
            self.line(f"phosphene: {self.item}{error.code}: {error}")

    def plan(self, plan: Mapping[str, Any]) -> None:
        """What is about to be done."""
        if self.events:
            self.event("start", **plan)
        sizes = " ".join(f"{width}×{height}" for width, height in plan["octaves"])
        self.detail(f"{plan['model']} on {plan['device']} ({plan['dtype']}, {plan['threads']} threads)")
        self.detail(f"objective {plan['objective']}, seed {plan['seed']}")
        self.detail(f"{plan['steps']} steps on each of {sizes}")

    def frame(self, frame: Frame) -> None:
        """A step has been taken."""
        last = frame.step == frame.steps - 1
        now = time.monotonic()
        if not last and now - self._shown < INTERVAL:
            return
        self._shown = now
        if self.events:
            place = {"octave": frame.octave + 1, "octaves": frame.octaves, "step": frame.step + 1}
            self.event("frame", **place, steps=frame.steps, score=score(frame))
        if self.progress:
            self._draw(frame)
        elif last and not self.events:
            self.detail(f"octave {frame.octave + 1} of {frame.octaves}: score {score(frame):.4g}")

    def done(self, output: str, **values: Any) -> None:
        """A picture is where it belongs."""
        if self.events:
            self.event("end", output=output, **values)
        elif not self.quiet and output != "-":
            print(output, flush=True)
        if "seconds" in values:
            self.detail(f"{values['seconds']:.1f} s, {values['peak_bytes'] / 2**20:.0f} MiB at most")

    def start_progress(self) -> None:
        """Show a bar from now on, if stderr is a terminal and a person wants to see one."""
        if self.events or self.quiet or not interactive(sys.stderr):
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("octave {task.fields[octave]}, step {task.fields[step]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self.progress.start()

    def stop_progress(self) -> None:
        """Take the bar away."""
        if self.progress:
            self.progress.stop()
            self.progress = None

    def _draw(self, frame: Frame) -> None:
        """The bar counts pixels, not steps: a step of the last octave takes many times the first's."""
        assert self.progress
        total, done = work(frame)
        place: dict[str, Any] = {
            "octave": f"{frame.octave + 1}/{frame.octaves}",
            "step": f"{frame.step + 1:>{len(str(frame.steps))}}/{frame.steps}",
        }
        if not self.progress.tasks:
            name = printable(self.item.rstrip(": ")) or "dreaming"
            self.progress.add_task(name, total=total, **place)
        self.progress.update(self.progress.tasks[0].id, completed=done, **place)


def work(frame: Frame) -> tuple[int, int]:
    """The pixels that all steps of the run look at, and those that have been looked at."""
    from phosphene.octave import octave_sizes

    sizes = octave_sizes(*frame.photo.size, frame.config)
    pixels = [height * width for height, width in sizes]
    total = sum(pixels) * frame.steps
    return total, sum(pixels[: frame.octave]) * frame.steps + pixels[frame.octave] * (frame.step + 1)


def score(frame: Frame) -> float | None:
    """The score of the only image; None where it isn't a finite number, which JSON doesn't have."""
    value = float(frame.score.flatten()[0])
    return value if value - value == 0 else None
