"""How far a catalog is, for whoever asks from outside."""

from __future__ import annotations

import json
import time
from typing import Any

from phosphene.catalog.run import Progress, Run, missing
from phosphene.catalog.store import Store
from phosphene.errors import PhospheneError
from phosphene.lock import only_writer

LATELY = 600.0  # s over which the rate is taken


def status(place: str) -> dict[str, Any]:
    """Layers with what is done, rate in units of a kind per second, seconds left or None, of each and of all;
    failures.
    """
    store = Store(place)
    try:
        plan, run = store.plan(), Run()
        for _ in missing(plan, store, run):
            pass
        working = running(place)
        rate, rates = _rates(store, working, {one.layer for one in run.layers.values() if not _left(one)})
        failures = [dict(row) for row in store.base.execute("select * from failures order by at")]
    finally:
        store.close()
    layers = [
        vars(one) | _pace(_left(one), rates.get(one.layer, 0.0), working) for one in run.layers.values()
    ]
    return {
        "site": place,
        "model": plan.model,
        "units": plan.units,
        "kinds": list(plan.kinds),
        "total": sum(one["total"] for one in layers),
        "done": sum(one["done"] for one in layers),
        "failed": sum(one["failed"] for one in layers),
        "running": working,
        **_pace(run.left, rate, working),
        "layers": layers,
        "failures": [one | {"channels": json.loads(one["channels"])} for one in failures],
    }


def running(place: str) -> bool:
    """Whether a driver on this machine is at it."""
    try:
        with only_writer(place):
            return False
    except PhospheneError:
        return True


def _left(one: Progress) -> int:
    return one.total - one.done - one.failed


def _pace(left: int, rate: float, working: bool) -> dict[str, float | None]:
    return {"rate": rate, "seconds_left": left / rate if rate and working else None}


def _rates(store: Store, working: bool, ended: set[str]) -> tuple[float, dict[str, float]]:
    """Of all and of each layer in the last minutes: until now or, of what has ended, until its last item."""
    last = store.base.execute("select max(finished) from items").fetchone()[0] or 0.0
    end = max(time.time(), last) if working else last  # the clock may have been put back
    since = end - LATELY
    rows = store.base.execute(
        "select layer, sum(units), min(finished - seconds), max(finished) from items "
        "where finished > ? group by layer",
        (since,),
    ).fetchall()

    def rate(count: int, first: float, until: float) -> float:
        return count / max(1e-9, until - max(first, since))

    if not rows:
        return 0.0, {}
    each = {
        layer: rate(count, first, latest if layer in ended else end) for layer, count, first, latest in rows
    }
    return rate(sum(row[1] for row in rows), min(row[2] for row in rows), end), each
