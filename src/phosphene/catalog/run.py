"""The driver: what is missing goes to the workers, what comes back into the manifest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from phosphene.catalog.executor import Executor, Failure
from phosphene.catalog.record import Item, Plan, Record, items
from phosphene.catalog.record import item as item_of
from phosphene.catalog.store import Store
from phosphene.catalog.tries import FINAL, TRIES, outcomes
from phosphene.errors import PhospheneError
from phosphene.lock import only_writer

FOLD, SHOW = 2.0, 60.0  # s between two transactions, and between two times that the pages are built, at least
RARELY = 20  # times as long as it took: a large manifest on S3 is put there as a whole
FULL = "E_DISK"


@dataclass
class Progress:
    """How far a layer is: units times kinds, those that were made before among them."""

    layer: str
    total: int = 0
    done: int = 0
    failed: int = 0


@dataclass
class Run:
    """How far all is. `rate` is in units (of a kind) per second, of this run."""

    layers: dict[str, Progress] = field(default_factory=dict)
    made: int = 0
    began: float = field(default_factory=time.monotonic)
    spent: dict[str, float] = field(default_factory=dict)  # s of work, by kind
    units: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.made / max(1e-9, time.monotonic() - self.began)

    @property
    def left(self) -> int:
        return sum(one.total - one.done - one.failed for one in self.layers.values())

    @property
    def seconds_left(self) -> float | None:
        """From what units of each kind have taken; None before there is anything to tell from."""
        spent, units = sum(self.spent.values()), sum(self.units.values())
        if not units:
            return None
        elapsed = time.monotonic() - self.began
        each = {kind: self.spent[kind] / self.units[kind] for kind in self.spent}
        work = sum(count * each.get(kind, spent / units) for kind, count in self.waiting.items())
        return elapsed * work / max(spent, 1e-9)


Told = Callable[[Run, Item, Record | Failure], None]


def missing(plan: Plan, store: Store, run: Run | None = None) -> Iterator[Item]:
    """What of a plan has still to be made; an item of which a part is there is for the rest."""
    skipped = store.quarantined()
    for whole in items(plan):
        made = store.finished(whole.keys)
        left = [n for n, key in enumerate(whole.keys) if key not in made]
        item = whole
        if len(left) < len(whole.keys):
            item = item_of(
                whole.layer, whole.kind, [whole.channels[n] for n in left], [whole.keys[n] for n in left]
            )
        quarantined = bool(left) and item.name in skipped
        if run:
            layer = run.layers.setdefault(whole.layer, Progress(whole.layer))
            layer.total += len(whole.keys)
            layer.done += len(made)
            layer.failed += len(left) if quarantined else 0
            if left and not quarantined:
                run.waiting[whole.kind] = run.waiting.get(whole.kind, 0) + len(left)
        if left and not quarantined:
            yield item


def begin(plan: Plan, store: Store, *, retry: bool = False) -> Run:
    """Fold what an earlier driver left, make this the site's plan, count what there is."""
    known = store.known_plan()
    if known and (known.model, known.weights_sha256) != (plan.model, plan.weights_sha256):
        raise PhospheneError(
            "E_EXISTS",
            f"{store.place} is a catalog of {known.model} with other weights or another network; "
            "choose another -o, and put them side by side with `phosphene catalog merge`",
        )
    store.fold(store.pending())
    store.begin(plan)
    store.show(items(plan))
    if retry:
        store.release()
    run = Run()
    for _ in missing(plan, store, run):
        pass
    return run


def drive(
    plan: Plan,
    store: Store,
    executor: Callable[[], Executor],
    run: Run,
    *,
    told: Told = lambda run, item, result: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Run:
    """Make what is missing with the workers that `executor` hires. E_DISK where there is no more room."""
    if not run.left:
        return run
    hired = executor()
    run.began = time.monotonic()
    waiting: list[Record] = []

    def fold() -> None:
        store.fold(waiting)
        waiting.clear()

    now_and_then = seldom(fold, FOLD), seldom(lambda: build(store), SHOW)
    try:
        for item, result in outcomes(hired, missing(plan, store), stopped=stopped):
            layer = run.layers[item.layer]
            run.waiting[item.kind] -= len(item.channels)
            if isinstance(result, Failure):
                if result.code == FULL:
                    raise PhospheneError(FULL, f"{result.text}; the same command goes on")
                store.failed(item, result.code, result.text, 1 if result.code in FINAL else TRIES)
                layer.failed += len(item.channels)
            else:
                waiting.append(result)
                layer.done += len(item.channels)
                run.made += len(item.channels)
                run.spent[item.kind] = run.spent.get(item.kind, 0.0) + result.made.seconds
                run.units[item.kind] = run.units.get(item.kind, 0) + len(item.channels)
            for act in now_and_then:
                act()
            told(run, item, result)
    finally:
        hired.close()
        fold()
    return run


def seldom(act: Callable[[], None], least: float) -> Callable[[], None]:
    """`act`, but nothing before `least` seconds, and `RARELY` times as long as it last took, have gone by."""
    due = time.monotonic() + least

    def perhaps() -> None:
        nonlocal due
        if (now := time.monotonic()) > due:
            act()
            done = time.monotonic()
            due = done + max(least, RARELY * (done - now))

    return perhaps


def catalog(plan: Plan, store: Store, executor: Callable[[], Executor], **how: Any) -> Run:
    """All of it: begin, drive, build the site. One at a time for a site: E_EXISTS."""
    retry = how.pop("retry", False)
    ready: Callable[[Run], None] = how.pop("ready", lambda run: None)
    with only_writer(store.place):
        run = begin(plan, store, retry=retry)
        ready(run)
        try:
            drive(plan, store, executor, run, **how)
        finally:
            store.keep()
            build(store)
    return run


def prepare() -> None:
    """Import what a worker needs, while its task isn't known."""
    from phosphene.catalog import work  # noqa: F401


def build(store: Store) -> None:
    """The site's pages."""
    from phosphene.catalog import site

    site.build(store)
