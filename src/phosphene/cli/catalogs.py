"""`phosphene catalog status` and `phosphene catalog merge`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from phosphene.cli.dash import plain
from phosphene.cli.flags import OUTPUT, Talk, option
from phosphene.cli.report import Report, printable
from phosphene.cli.table import print_table
from phosphene.cli.watching import duration


def status(
    site: Annotated[str, Parameter(name="SITE", help="the catalog")],
    *,
    talk: Talk = Talk(),  # noqa: B008
) -> int:
    """How far a catalog is: layers, rate, time left, what failed."""
    from phosphene.catalog.status import status as look

    found = look(plain(site))
    if talk.json:
        Report(events=True).event("status", **found)
        return 0
    rows = [
        (
            *(one["layer"], f"{one['done']} of {one['total']}", str(one["failed"] or "")),
            *(f"{one['rate']:.2f}/s" if one["rate"] else "", _left(one["seconds_left"])),
        )
        for one in found["layers"]
    ]
    head = ("layer", "done", "failed", "of late", "left")
    print_table(head, rows, f"{found['model']}: {found['units']} units")
    left = "" if found["seconds_left"] is None else f", about {duration(found['seconds_left'])} left"
    state = "running" if found["running"] else "not running"
    print(
        f"\n{found['done']} of {found['total']} done, {found['failed']} failed; {state}; "
        f"{found['rate']:.2f} a second of late{left}"
    )
    for one in found["failures"]:
        print(
            printable(f"failed: {one['layer']} {one['kind']} {one['channels']}: {one['code']}: {one['text']}")
        )
    return 0


def _left(seconds: float | None) -> str:
    return duration(seconds) if seconds else ""


def merge(
    *sites: Annotated[str, Parameter(name="SITE", help="catalogs, two or more")],
    output: Annotated[str, option("the site to make", "--output", "-o", group=OUTPUT)],
    talk: Talk = Talk(),  # noqa: B008
) -> int:
    """Put catalogs side by side in one site."""
    from phosphene.catalog.merge import merge as join

    networks = join([plain(site) for site in sites], plain(output))
    Report(events=talk.json, quiet=talk.quiet).done(plain(output), networks=networks)
    return 0
