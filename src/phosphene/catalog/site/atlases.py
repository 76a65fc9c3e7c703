"""The atlases of a network, for the pages: where each cell lies, and its picture."""

from __future__ import annotations

from typing import Any

from phosphene.catalog.atlas import Chart, name_of
from phosphene.catalog.record import ATLAS, Plan
from phosphene.catalog.store import Store

QUERY = """
select u.channel, i.sha, i.width from units u join images i on i.network = u.network and i.key = u.key
where u.network = ? and u.layer = ? and u.current = 1 and i.number = 0"""


def atlases(store: Store, network: int, plan: Plan) -> list[dict[str, Any]]:
    """Each layer's: its grids, coarse to fine, with `[column, row, activations, picture, px]` of cells."""
    found = []
    for atlas in plan.atlases:
        data = store.files.read(name_of(atlas.sha256))
        if data is None:
            continue
        chart = Chart.from_bytes(data)
        made = {
            row[0]: row[1:] for row in map(tuple, store.base.execute(QUERY, (network, ATLAS + atlas.layer)))
        }
        levels = []
        for side in sorted({int(one) for one in chart.side}):
            cells = [
                [int(chart.column[n]), int(chart.row[n]), int(chart.count[n]), *made[n]]
                for n in range(len(chart.count))
                if chart.side[n] == side and n in made
            ]
            levels.append({"side": side, "cells": cells})
        found.append({"layer": atlas.layer, "levels": levels})
    return found
