"""What the manifest has about a layer's units, one unit at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np

from phosphene.catalog.record import ATLAS, Plan
from phosphene.catalog.store import Store

FIGURES = ("score", "percentile", "mean", "deviation", "highest")
GROWN, GROWN_ONLY = ("diverse", "noise"), ("score", "percentile")
POINTS = 33  # of a unit's curve
FIRST = ("noise", "diverse", "dream", "top")  # which picture stands for a unit
QUERY = """
select u.channel, u.kind, u.score, u.percentile, u.mean, u.deviation, u.highest, u.key,
  case when coalesce(i.number, 0) = 0 then u.quantiles end as quantiles,
  i.role, i.sha, i.width, i.height, i.activation, i.photo
from units u left join images i on i.network = u.network and i.key = u.key
where u.network = ? and u.layer = ? and u.current = 1
order by u.channel, u.kind, u.key, i.number"""


def layers(store: Store, network: int, plan: Plan) -> list[str]:
    """The layers that have something to show, in the network's order."""
    found = store.base.execute(
        "select distinct layer from units where network = ? and current = 1", (network,)
    )
    names = {row[0] for row in found if not row[0].startswith(ATLAS)}
    planned = [layer.name for layer in plan.layers if layer.name in names]
    return planned + sorted(names - set(planned))


def units(store: Store, network: int, layer: str) -> Iterator[dict[str, Any]]:
    """Each unit: channel, figures, curve of its activations on photos, pictures
    `[role, sha, width, height, activation, photo]`.
    """
    cursor = store.base.cursor()
    for channel, group in groupby(cursor.execute(QUERY, (network, layer)), lambda row: row["channel"]):
        unit: dict[str, Any] = {"channel": channel, "figures": {}, "curve": [], "images": []}
        for row in group:
            for name in FIGURES:
                told = row["kind"] in GROWN or name not in GROWN_ONLY
                if row[name] is not None and told:  # noise comes after diverse, so its own score stays
                    unit["figures"][name] = short(row[name])
            if row["quantiles"] is not None:
                unit["curve"] = curve(row["quantiles"])
            if row["sha"]:
                unit["images"].append(
                    [
                        *(row["role"], row["sha"], row["width"], row["height"]),
                        *(short(row["activation"]), row["photo"] or ""),
                    ]
                )
        yield unit


def face(unit: dict[str, Any]) -> list[Any] | None:
    """The picture that stands for a unit."""
    for role in FIRST:
        for image in unit["images"]:
            if image[0] == role:
                return list(image)
    return None


def curve(blob: bytes) -> list[float | None]:
    values = np.frombuffer(blob, np.float16).astype(float)
    return [short(value) for value in values[np.linspace(0, len(values) - 1, POINTS).astype(int)]]


def short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")
