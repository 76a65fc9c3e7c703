"""`phosphene models`: the networks, and the looks."""

from __future__ import annotations

from phosphene.cli.flags import Talk
from phosphene.cli.report import Report
from phosphene.cli.table import print_table


def models(*, talk: Talk = Talk()) -> None:  # noqa: B008
    """The networks and the named looks (presets) that there are."""
    from phosphene import models as registry
    from phosphene.config import PRESETS

    if talk.json:
        report = Report(events=True)
        for model in registry.available():
            report.event("model", **vars(model))
        for name, (summary, settings) in PRESETS.items():
            report.event("preset", name=name, summary=summary, settings=settings)
        return
    networks = [(model.name, model.objective, model.summary) for model in registry.available()]
    print_table(("--model", "objective", "what it is"), networks, "Networks")
    print()
    print_table(("--preset", "what it does"), [(name, text) for name, (text, _) in PRESETS.items()], "Looks")
