"""How far a catalog is, for whoever asks from outside."""

from __future__ import annotations

import json
import time
from typing import Any

from phosphene.catalog.run import Run, missing
from phosphene.catalog.store import Store
from phosphene.errors import PhospheneError
from phosphene.lock import only_writer

LATELY = 600.0  # s over which the rate is taken


def status(place: str) -> dict[str, Any]:
    """Layers with what is done, rate in units of a kind per second, seconds left or None, failures."""
    store = Store(place)
    try:
        plan, run = store.plan(), Run()
        for _ in missing(plan, store, run):
            pass
        working = running(place)
        rate = _rate(store, working)
        failures = [dict(row) for row in store.base.execute("select * from failures order by at")]
    finally:
        store.close()
    layers = [vars(one) for one in run.layers.values()]
    return {
        "site": place,
        "model": plan.model,
        "units": plan.units,
        "kinds": list(plan.kinds),
        "total": sum(one["total"] for one in layers),
        "done": sum(one["done"] for one in layers),
        "failed": sum(one["failed"] for one in layers),
        "running": working,
        "rate": rate,
        "seconds_left": run.left / rate if rate and working else None,
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


def _rate(store: Store, working: bool) -> float:
    """Of the last minutes, until now or, when nobody is at work, until the last item."""
    last = store.base.execute("select max(finished) from items").fetchone()[0] or 0.0
    end = max(time.time(), last) if working else last  # the clock may have been put back
    since = end - LATELY
    count, first = store.base.execute(
        "select sum(units), min(finished - seconds) from items where finished > ?", (since,)
    ).fetchone()
    return float(count / max(1e-9, end - max(first, since))) if count else 0.0
