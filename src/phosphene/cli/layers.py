"""`phosphene layers`: what can be dreamed."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from cyclopts import Parameter

from phosphene.cli.flags import Talk, option
from phosphene.cli.report import Report
from phosphene.cli.table import print_table

COLUMNS = ("name", "kind", "channels", "stride", "receptive_field")


def layers(
    model: Annotated[str, Parameter(name="MODEL", help="the network")] = "",
    *,
    weights: Annotated[str, option("a file with its weights", metavar="FILE")] = "",
    talk: Talk = Talk(),  # noqa: B008
) -> None:
    """The layers of a network: names for --objective, channels, stride and receptive field in pixels."""
    from phosphene import models, settings
    from phosphene.layers import table

    flags = {name: value for name, value in (("model", model), ("weights", weights)) if value}
    dream = settings.gather(flags).dream
    rows = table(models.load(dream.model, dream.weights, device="cpu"))
    if talk.json:
        report = Report(events=True)
        for row in rows:
            report.event("layer", **dataclasses.asdict(row))
        return
    shown = [["-" if getattr(row, name) is None else getattr(row, name) for name in COLUMNS] for row in rows]
    print_table(("layer", "kind", "channels", "stride", "field"), shown)
