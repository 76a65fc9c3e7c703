"""How long a plan will take and how much room: a few items are begun for real, by all workers at once."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phosphene.address import names, parse
from phosphene.catalog.atlas import layer_of
from phosphene.catalog.executor import Executor, Failure
from phosphene.catalog.files import files
from phosphene.catalog.record import ATLAS, SHOT, WHOLE, Item, Plan, items
from phosphene.catalog.tries import outcomes
from phosphene.catalog.work import AT_ONCE, Work
from phosphene.errors import PhospheneError
from phosphene.layers.cost import costs
from phosphene.lens import Lens

SAMPLED = 4  # layers of which an item is begun
FEW, MORE = 3, 9  # steps
LONG = 3.0  # s that a sample should take, so that what else the machine does tells little
CROPS = 4 * AT_ONCE
ENDS = 18  # crops that a unit shows
KEPT = 0.6  # of these that no other unit has shown
Hire = Callable[[Any, dict[str, Any]], Executor]


@dataclass(frozen=True)
class Cost:
    """Seconds for each item and each of its units; for each picture that is new; before the first of the
    kind; `warming` is what a worker's first item takes more than its others.
    """

    item: float
    unit: float
    bytes: float  # of a unit's pictures, or of each new one
    picture: float = 0.0
    once: float = 0.0
    warming: float = 0.0


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
    """Begins items to see what they cost, and throws away what they leave, on whatever node that is."""

    warm = False

    def do(self, item: Item) -> Cost:  # type: ignore[override]
        place = Path(self.files.place)
        place.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as folder:
            kept, self.files = self.files, files(folder)
            try:
                return self._cost(item)
            finally:
                self.files = kept

    def _cost(self, item: Item) -> Cost:
        if item.kind == "photos":
            return self._on_photos(item)
        first, _ = self._limited(item, 1)
        few, size = self._limited(item, FEW)
        planned = self.plan.dream.steps if item.kind == "dream" else self.plan.noise.steps
        taken = min(planned, max(MORE, int(FEW * LONG / few)))
        seconds, each = few, few / FEW
        if taken > FEW:
            turns = [self._limited(item, taken)]
            while sum(seconds for seconds, _ in turns) < LONG:
                turns.append(self._limited(item, taken))
            more, size = (float(np.mean(values)) for values in zip(*turns, strict=True))
            each = max(0.0, more - few) / (taken - FEW)
            seconds = more + (planned - taken) * each
        warming = 0.0 if self.warm else max(0.0, first - (few - (FEW - 1) * each))
        self.warm = True
        return Cost(0.0, seconds / len(item.channels), size / len(item.channels), warming=warming)

    def _limited(self, item: Item, steps: int) -> tuple[float, float]:
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


def estimate(
    plan: Plan, lens: Lens, hire: Hire, charts: Mapping[str, bytes] | None = None, spent: float = 0.0
) -> Estimate:
    """Begin some items of each kind. `charts` are the plan's atlases' by their hash; `spent` is how many
    seconds went into planning, which a run will take as well. Raises what the first that can't be done says.
    """
    probes = [item for kind in kinds(plan) for item in sample(plan, kind)]
    folder = tempfile.mkdtemp(prefix="phosphene-estimate-")
    began, started = time.monotonic(), 0.0
    found: dict[tuple[str, str], list[Cost]] = {}
    executor = hire(Probe, {"plan": plan.to_json(), "site": folder, "charts": charts})
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
    costs = {place: several[0] for place, several in found.items()}
    return projected(plan, lens, costs, workers, spent + started)


def kinds(plan: Plan) -> tuple[str, ...]:
    """The plan's kinds, an atlas's among them."""
    return (*plan.kinds, *((WHOLE,) if plan.atlases else ()))


def places(plan: Plan, kind: str) -> dict[str, int]:
    """How many units each layer, or each layer's atlas, has."""
    if kind == WHOLE:
        return {f"{ATLAS}{atlas.layer}": atlas.cells for atlas in plan.atlases}
    return {layer.name: len(layer.units) for layer in plan.layers}


def sample(plan: Plan, kind: str) -> list[Item]:
    """The first item of some layers, the first and the last among them."""
    given = plan.atlases if kind == WHOLE else plan.layers
    chosen = sorted({round(n) for n in np.linspace(0, len(given) - 1, min(SAMPLED, len(given)))})
    some = {"atlases" if kind == WHOLE else "layers": tuple(given[n] for n in chosen)}
    none = {"atlases": (), "layers": (), "kinds": () if kind == WHOLE else (kind,)}
    few = plan.model_copy(update=none | some)
    firsts: dict[str, Item] = {}
    for item in items(few):
        firsts.setdefault(item.layer, item)
    return list(firsts.values())


def projected(
    plan: Plan, lens: Lens, found: dict[tuple[str, str], Cost], workers: int, started: float
) -> Estimate:
    """What was found for some layers, for all: between them by the operations of their gradients."""
    weight = weights([layer.name for layer in plan.layers] + [atlas.layer for atlas in plan.atlases], lens)
    parts: dict[str, Part] = {}
    once = max(cost.warming for cost in found.values())
    for kind in kinds(plan):
        known = sorted(
            ((weight[layer_of(name)], cost) for (its, name), cost in found.items() if its == kind),
            key=lambda one: one[0],
        )
        at = [place for place, _ in known]
        seconds = size = 0.0
        for name, count in places(plan, kind).items():
            here = weight[layer_of(name)]
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
        parts[kind] = Part(seconds, size, sum(places(plan, kind).values()))
    work = sum(part.seconds for part in parts.values())
    size = sum(part.bytes for part in parts.values())
    return Estimate(started + once + work / workers, size, workers, started, parts)


def weights(layers: Sequence[str], lens: Lens) -> dict[str, float]:
    """What a gradient of each layer costs beside the others; its place among them where that isn't known."""
    known = names(lens.module)
    sites = {layer: address for layer in layers if (address := parse(layer, known))}
    try:
        flops, _ = costs(lens, sites, (lens.size, lens.size))
    except Exception:  # a network that can't be counted
        flops = {}
    if all(layer in flops for layer in layers):
        return {layer: float(flops[layer]) for layer in layers}
    return {layer: float(number) for number, layer in enumerate(layers)}


def fitting(plan: Plan, found: Estimate, hours: float) -> tuple[Plan, Estimate]:
    """A plan of every Nth unit that fits into so many hours, and what is expected of it. Atlases stay."""
    whole = {kind: part for kind, part in found.kinds.items() if kind == WHOLE}
    fixed = found.started + sum(part.seconds for part in whole.values()) / found.workers
    room = hours * 3600 - fixed
    if room <= 0:
        raise PhospheneError(
            "E_PARAM", f"--budget is {hours} h, expected more: what can't be left out takes {fixed:.0f} s"
        )
    every = max(1, int(np.ceil((found.seconds - fixed) / room)))
    if every == 1:
        return plan, found
    layers = tuple(layer.model_copy(update={"step": layer.step * every}) for layer in plan.layers)
    fewer = plan.model_copy(update={"layers": layers})
    share = fewer.units / plan.units
    parts = {kind: Part(p.seconds * share, p.bytes * share, fewer.units) for kind, p in found.kinds.items()}
    parts |= whole
    seconds, size = fixed + (found.seconds - fixed) * share, sum(part.bytes for part in parts.values())
    return fewer, Estimate(seconds, size, found.workers, found.started, parts)
