"""`phosphene doctor`: what a maintainer needs in a bug report, and whether a small dream works."""

from __future__ import annotations

from phosphene.cli import health
from phosphene.cli.faults import explained
from phosphene.cli.flags import Talk
from phosphene.cli.report import Report, printable


def doctor(*, talk: Talk = Talk()) -> int:  # noqa: B008
    """This machine, its libraries and settings, and a small dream. Exit code 1 where that fails."""
    report = Report(events=talk.json)

    def tell(group: str, facts: health.Facts) -> None:
        if talk.json:
            report.event("facts", group=group, facts=facts)
            return
        print(group)
        for name, fact in (facts or {"": "nothing"}).items():
            print(f"  {printable(name):14} {printable(fact)}", flush=True)

    for group, facts in health.checked():
        tell(group, facts)
    try:
        tell("a small dream", health.dreamed())
    except Exception as error:
        tell("a small dream", {"fails": health.shortened(str(explained(error)))})
        return 1
    return 0
