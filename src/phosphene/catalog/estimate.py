"""How long a plan will take and how much room: a few items are begun for real, by all workers at once."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from phosphene.address import names, parse
from phosphene.catalog.executor import Executor, Failure
from phosphene.catalog.record import SHOT, Item, Layer, Plan, items
from phosphene.catalog.tries import outcomes
from phosphene.catalog.work import AT_ONCE, Work
from phosphene.errors import PhospheneError
from phosphene.layers.cost import costs
from phosphene.lens import Lens

SAMPLED = 4  # layers of which an item is begun
FEW, MORE = 3, 9  # steps
CROPS = 4 * AT_ONCE
ENDS = 18  # crops that a unit shows
KEPT = 0.6  # of these that no other unit has shown
Hire = Callable[[Any, dict[str, Any]], Executor]


@dataclass(frozen=True)
class Cost:
    """Seconds for each item and each of its units; for each picture that is new; before the first item."""

    item: float
    unit: float
    bytes: float  # of a unit's pictures, or of each new one
    picture: float = 0.0
    once: float = 0.0


@dataclass(frozen=True)
class Part:
    """One kind's: seconds of work, bytes, results."""

    seconds: float
    bytes: float
    units: int


@dataclass(frozen=True)
class Estimate:
    """Of the whole plan, with so many workers: `seconds` on the clock, of which `started` until they work."""

    seconds: float
    bytes: float
    workers: int
    started: float
    kinds: dict[str, Part]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Probe(Work):
    """Begins items to see what they cost; its site is a folder that is thrown away."""

    warm = False

    def do(self, item: Item) -> Cost:  # type: ignore[override]
        if item.kind == "photos":
            return self._on_photos(item)
        if not self.warm:
            self._limited(item, 1)
            self.warm = True
        few, _ = self._limited(item, FEW)
        more, size = self._limited(item, MORE)
        planned = self.plan.dream.steps if item.kind == "dream" else self.plan.noise.steps
        seconds = more + max(0, planned - MORE) * max(0.0, more - few) / (MORE - FEW)
        return Cost(0.0, seconds / len(item.channels), size / len(item.channels))

    def _limited(self, item: Item, steps: int) -> tuple[float, int]:
        self.noise = self.noise.but(steps=min(steps, self.plan.noise.steps))
        self.dream = self.dream.but(steps=min(steps, self.plan.dream.steps))
        record = self.made(item)
        return record.made.seconds, record.size

    def _on_photos(self, item: Item) -> Cost:
        began = time.monotonic()
        places, crops = self._crops
        loaded = time.monotonic()
        self._seen(item.layer, crops[:AT_ONCE])
        ready = time.monotonic()
        values = self._seen(item.layer, crops[:CROPS])
        seen = time.monotonic()
        few = places[: len(values)]
        self.known, self.bytes = {}, 0
        one = (item.channels[0], item.keys[0], values[:, item.channels[0]], few)
        self._evidence(*one)
        stored = time.monotonic()
        size, count = self.bytes, max(1, len(self.known))
        self._evidence(*one)
        unit = time.monotonic() - stored
        picture = max(0.0, stored - seen - unit) / count
        return Cost((seen - ready) * len(places) / len(few), unit, size / count, picture, loaded - began)


def estimate(plan: Plan, lens: Lens, hire: Hire) -> Estimate:
    """Begin some items of each kind. Raises what the first that can't be done says."""
    probes = [item for kind in plan.kinds for item in sample(plan, kind)]
    folder = tempfile.mkdtemp(prefix="phosphene-estimate-")
    began, started = time.monotonic(), 0.0
    found: dict[tuple[str, str], list[Cost]] = {}
    executor = hire(Probe, {"plan": plan.to_json(), "site": folder})
    workers = executor.slots
    try:
        again = probes[: max(0, workers - 1)]  # so that none measures while another is idle
        for item, result in outcomes(executor, [*probes, *again]):
            if isinstance(result, Failure):
                raise PhospheneError(result.code, f"{item.layer}, {item.kind}: {result.text}")
            started = started or max(0.0, getattr(executor, "ready", began) - began)
            found.setdefault((item.kind, item.layer), []).append(result)
    finally:
        executor.close()
        shutil.rmtree(folder, ignore_errors=True)
    return projected(plan, lens, {place: costs[0] for place, costs in found.items()}, workers, started)


def sample(plan: Plan, kind: str) -> list[Item]:
    """The first item of some layers, the first and the last among them."""
    count = len(plan.layers)
    chosen = sorted({round(n) for n in np.linspace(0, count - 1, min(SAMPLED, count))})
    layers = tuple(plan.layers[n] for n in chosen)
    few = plan.model_copy(update={"kinds": (kind,), "layers": layers, "atlases": ()})
    firsts: dict[str, Item] = {}
    for item in items(few):
        firsts.setdefault(item.layer, item)
    return list(firsts.values())


def projected(
    plan: Plan, lens: Lens, found: dict[tuple[str, str], Cost], workers: int, started: float
) -> Estimate:
    """What was found for some layers, for all: between them by the operations of their gradients."""
    weight = weights(plan.layers, lens)
    parts: dict[str, Part] = {}
    once = 0.0
    for kind in plan.kinds:
        known = sorted(
            ((weight[layer], cost) for (its, layer), cost in found.items() if its == kind),
            key=lambda one: one[0],
        )
        at = [place for place, _ in known]
        seconds = size = 0.0
        for layer in plan.layers:
            here, count = weight[layer.name], len(layer.units)
            item, unit = (
                float(np.interp(here, at, [getattr(cost, name) for _, cost in known]))
                for name in ("item", "unit")
            )
            seconds += -(-count // SHOT[kind]) * item + count * unit
            size += count * float(np.interp(here, at, [cost.bytes for _, cost in known]))
        if kind == "photos":
            fresh = min(plan.crops, KEPT * ENDS * plan.units)
            seconds += fresh * workers * float(np.mean([cost.picture for _, cost in known]))
            size = fresh * float(np.mean([cost.bytes for _, cost in known]))
        once += max(cost.once for _, cost in known)
        parts[kind] = Part(seconds, size, plan.units)
    work = sum(part.seconds for part in parts.values())
    size = sum(part.bytes for part in parts.values())
    return Estimate(started + once + work / workers, size, workers, started, parts)


def weights(layers: tuple[Layer, ...], lens: Lens) -> dict[str, float]:
    """What a gradient of each layer costs beside the others; its place among them where that isn't known."""
    known = names(lens.module)
    sites = {layer.name: address for layer in layers if (address := parse(layer.name, known))}
    try:
        flops, _ = costs(lens, sites, (lens.size, lens.size))
    except Exception:  # a network that can't be counted
        flops = {}
    if all(layer.name in flops for layer in layers):
        return {layer.name: float(flops[layer.name]) for layer in layers}
    return {layer.name: float(number) for number, layer in enumerate(layers)}


def fitting(plan: Plan, found: Estimate, hours: float) -> tuple[Plan, Estimate]:
    """A plan of every Nth unit that fits into so many hours, and what is expected of it."""
    fixed = found.started
    room = hours * 3600 - fixed
    if room <= 0:
        raise PhospheneError(
            "E_PARAM", f"--budget is {hours} h, expected more: workers take {fixed:.0f} s to start"
        )
    every = max(1, int(np.ceil((found.seconds - fixed) / room)))
    if every == 1:
        return plan, found
    layers = tuple(layer.model_copy(update={"step": layer.step * every}) for layer in plan.layers)
    fewer = plan.model_copy(update={"layers": layers})
    share = fewer.units / plan.units
    kinds = {kind: Part(p.seconds * share, p.bytes * share, fewer.units) for kind, p in found.kinds.items()}
    seconds = fixed + (found.seconds - fixed) * share
    return fewer, Estimate(seconds, found.bytes * share, found.workers, fixed, kinds)
