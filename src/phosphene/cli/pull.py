"""`phosphene models pull`: weights from their publisher, when somebody asks for them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from phosphene.cli import interrupt
from phosphene.cli.flags import Talk, option
from phosphene.cli.report import INTERVAL, Report, interactive
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from phosphene.models.fetch import Step
    from phosphene.models.pull import Published

NO = ("", "0", "false", "no", "off")


def pull(
    name: Annotated[str, Parameter(name="NAME", help="the network; `phosphene models` lists them")],
    /,
    *,
    yes: Annotated[bool, option("download without asking")] = False,
    offline: Annotated[bool, option("never touch the network (also PHOSPHENE_OFFLINE=1)")] = False,
    url: Annotated[str, option("another address of the same file, such as a mirror", metavar="URL")] = "",
    talk: Talk = Talk(),  # noqa: B008
) -> int:
    """Download a network's weights from their publisher, after asking; checked, and resumed."""
    from phosphene.models import pull as weights

    report = Report(events=talk.json, quiet=talk.quiet, verbose=talk.verbose)
    entry = weights.published(name)
    if here := weights.cached(entry.name):
        report.note(f"the weights of {entry.name} are here already")
        report.done(here)
        return 0
    address, target = url or entry.url, str(weights.store() / entry.file)
    show(report, entry, address, target)
    if offline or os.environ.get("PHOSPHENE_OFFLINE", "").lower() not in NO:
        raise PhospheneError(
            "E_DOWNLOAD",
            f"offline, and {entry.file} isn't on this machine; fetch {address} elsewhere, check its digest "
            f"({entry.digest_words}), and put it at {target}, or give it with --weights",
        )
    if not yes and not agreed(report):
        report.note("nothing was downloaded")
        return 0

    from phosphene.models.fetch import pull as fetch

    try:
        with interrupt.breaking():
            follow(report, entry.file, fetch(entry, url))
    except KeyboardInterrupt:
        report.line("stopped; what has arrived is kept: the same command goes on from there")
        raise
    report.done(target, digest=entry.digest_words)
    return 0


def show(report: Report, entry: Published, address: str, target: str) -> None:
    """What would be downloaded."""
    if report.events:
        told = {"name": entry.name, "url": address, "size": entry.size or None, "licence": entry.licence}
        report.event(
            "download", **told, digest=entry.digest or None, algorithm=entry.algorithm, output=target
        )
        return
    size = f"{entry.size / 1e6:.1f} MB" if entry.size else "not published"
    for label, value in (
        ("model", entry.name),
        ("URL", address),
        ("size", size),
        ("licence", entry.licence),
        ("digest", f"{entry.digest_words} (the publisher's)" if entry.digest else "none published"),
        ("to", target),
    ):
        report.line(f"{label + ':':<9}{value}")


def agreed(report: Report) -> bool:
    """Ask, where somebody can answer."""
    if report.events or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise PhospheneError("E_PARAM", "nothing is downloaded without a yes; give --yes to agree to this")
    print("Download it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def follow(report: Report, file: str, steps: Iterable[Step]) -> None:
    """Show how far it is: a bar on a terminal, at most ten events a second for programs."""
    if report.events or report.quiet or not interactive(sys.stderr):
        shown = 0.0
        for step in steps:
            if step.note:
                report.note(step.note)
            elif report.events and (time.monotonic() - shown >= INTERVAL or step.done == step.total):
                report.event("progress", done=step.done, total=step.total or None)
                shown = time.monotonic()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(file, total=None)
        for step in steps:
            if step.note:
                progress.console.print(f"note: {step.note}", markup=False, highlight=False)
            progress.update(task, completed=step.done, total=step.total or None)
