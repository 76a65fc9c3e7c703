"""A catalog as it grows: a bar with rate and time left, or events."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from phosphene.cli.flags import Talk
from phosphene.cli.report import Report, interactive, printable
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from phosphene.catalog.estimate import Estimate
    from phosphene.catalog.executor import Failure
    from phosphene.catalog.record import Item, Plan, Record
    from phosphene.catalog.run import Run

INTERVAL = 1.0  # s between two events of one layer


class Watch:
    """Tells a person or a program how a run goes on."""

    def __init__(self, talk: Talk) -> None:
        self.report = Report(events=talk.json, quiet=talk.quiet, verbose=talk.verbose)
        self.began = time.monotonic()
        self.bar: Any = None
        self.shown: dict[str, float] = {}

    def begin(self, run: Run) -> None:
        total = sum(one.total for one in run.layers.values())
        if self.report.events:
            layers = [vars(one) for one in run.layers.values()]
            self.report.event("start", total=total, left=run.left, layers=layers)
        elif not self.report.quiet and interactive(sys.stderr):
            self._draw(run, total)
        else:
            self.report.detail(f"{run.left} of {total} to make")

    def told(self, run: Run, item: Item, result: Record | Failure) -> None:
        from phosphene.catalog.executor import Failure

        layer = run.layers[item.layer]
        if isinstance(result, Failure):
            error = PhospheneError(result.code, result.text)
            self.report.item = f"{item.layer} {item.channels[0]}-{item.channels[-1]}, {item.kind}: "
            self.report.error(error, layer=item.layer, kind=item.kind, channels=list(item.channels))
            self.report.item = ""
        complete = layer.done + layer.failed == layer.total
        now = time.monotonic()
        if not complete and now - self.shown.get(item.layer, 0.0) < INTERVAL:
            return
        self.shown[item.layer] = now
        left = run.seconds_left
        if self.report.events:
            self.report.event("progress", **vars(layer), left=run.left, rate=run.rate, seconds_left=left)
        elif self.bar:
            total = sum(one.total for one in run.layers.values())
            words = f"{run.rate:.2f}/s" + ("" if left is None else f", {duration(left)} left")
            name = f"{printable(layer.layer)} {layer.done}/{layer.total}"
            self.bar.update(self.bar.tasks[0].id, completed=total - run.left, description=name, words=words)
        elif complete:
            self.report.detail(f"{layer.layer}: {layer.done} of {layer.total}")

    def end(self, run: Run, output: str, stopped: int) -> None:
        failed = sum(one.failed for one in run.layers.values())
        if stopped:
            self.report.note(f"stopped with {run.left} to make; the same command goes on")
        if failed:
            self.report.note(
                f"{failed} failed; see {output}/failures.jsonl; --retry-failed tries them once more"
            )
        values = {"made": run.made, "failed": failed, "left": run.left}
        seconds = time.monotonic() - self.began
        self.report.done(output, **values, seconds=seconds, peak_bytes=_peak())

    def estimate(self, plan: Plan, found: Estimate) -> None:
        if self.report.events:
            self.report.event("plan", units=plan.units, **found.to_dict())
            return
        kinds = ", ".join(f"{kind} {duration(one.seconds)}" for kind, one in found.kinds.items())
        for name, value in {
            "units": f"{plan.units} in {len(plan.layers)} layers",
            "time": f"about {duration(found.seconds)} with {found.workers} workers ({kinds} of work)",
            "size": f"about {found.bytes / 1e9:.3f} GB",
        }.items():
            print(f"{name + ':':<8}{value}")

    def promise(self) -> None:
        os.write(2, b"\nending; what is finished stays\n")

    def close(self) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None
            self.report.progress = None

    def _draw(self, run: Run, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self.report.progress = self.bar
        self.bar.add_task("starting", total=total, completed=total - run.left, words="")
        self.bar.start()


def _peak() -> int:
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def duration(seconds: float) -> str:
    """`41 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
