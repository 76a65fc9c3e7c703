"""What a dry run says: sampled costs spread over a plan, atlases and the first item's warming-up included."""

import numpy as np
import pytest

from phosphene import load
from phosphene.catalog import plan as planning
from phosphene.catalog.atlas import Chart
from phosphene.catalog.estimate import Cost, Estimate, Part, Probe, estimate, fitting, projected, sample
from phosphene.catalog.record import Atlas, Layer, Plan
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.presets import VISUALIZE

NOISE = Dream(**VISUALIZE | {"steps": 5}, seed=0, model="efficientnet_lite0", device="cpu")


@pytest.fixture(scope="module")
def lens():
    return load("efficientnet_lite0")


@pytest.fixture
def plan():
    layers = tuple(Layer(name=f"blocks.{n}.0", channels=n, stop=n) for n in (10, 20, 40))
    atlas = Atlas(layer="blocks.20.0", cells=30, sha256="0" * 64)
    return Plan(model="m", layers=layers, kinds=("noise", "photos"), atlases=(atlas,), crops=100, noise=NOISE)


class Here:
    """An executor of so many workers, which take turns in this process."""

    def __init__(self, task, settings, slots=1):
        self.slots, self.items = slots, []
        self.tasks = [task(**settings) for _ in range(slots)]

    def submit(self, item):
        self.items.append(item)

    def wait(self):
        self.tasks.append(task := self.tasks.pop(0))
        item = self.items.pop(0)
        yield item, task.do(item)

    def close(self):
        self.items.clear()


def test_samples_are_first_items_of_layers_and_of_atlases(plan):
    assert [item.layer for item in sample(plan, "noise")] == ["blocks.10.0", "blocks.20.0", "blocks.40.0"]
    (one,) = sample(plan, "atlas")
    assert one.layer == "atlas:blocks.20.0" and one.channels == tuple(range(8))


def test_costs_are_spread_by_value(plan, lens, monkeypatch):
    monkeypatch.setattr(
        "phosphene.catalog.estimate.weights", lambda *_: {f"blocks.{n}.0": float(n) for n in (10, 20, 40)}
    )
    found = {
        ("noise", "blocks.10.0"): Cost(0.0, 1.0, 100, warming=4.0),
        ("noise", "blocks.40.0"): Cost(0.0, 4.0, 400, warming=3.0),
        ("photos", "blocks.10.0"): Cost(6.0, 0.5, 10, picture=0.1, once=7.0),
        ("atlas", "atlas:blocks.20.0"): Cost(0.0, 0.5, 50),
    }
    said = projected(plan, lens, found, workers=2, started=9.0)
    noise = 10 * 1.0 + 20 * 2.0 + 40 * 4.0
    photos = 3 * 6.0 + 70 * 0.5 + 100 * 2 * 0.1
    assert {kind: part.seconds for kind, part in said.kinds.items()} == pytest.approx(
        {"noise": noise, "photos": photos, "atlas": 15.0}
    )
    assert {kind: part.units for kind, part in said.kinds.items()} == {"noise": 70, "photos": 70, "atlas": 30}
    assert said.bytes == pytest.approx(10 * 100 + 20 * 200 + 40 * 400 + 100 * 10 + 30 * 50)
    assert said.seconds == pytest.approx(9 + 4 + 7 + (noise + photos + 15) / 2)


def test_a_budget_leaves_units_out_and_atlases_in(plan):
    parts = {"noise": Part(7200.0, 700.0, 70), "atlas": Part(1200.0, 50.0, 30)}
    found = Estimate(60.0 + 4200.0, 750.0, 2, 60.0, parts)
    fewer, said = fitting(plan, found, 0.5)
    step = 4  # 1800 s of which 660 are taken: 1140 for 3600
    assert [len(layer.units) for layer in fewer.layers] == [-(-n // step) for n in (10, 20, 40)]
    assert fewer.atlases == plan.atlases and said.kinds["atlas"] == parts["atlas"]
    assert said.seconds == pytest.approx(660 + 3600 * fewer.units / 70)
    assert fitting(plan, found, 2.0) == (plan, found)
    with pytest.raises(PhospheneError, match="what can't be left out takes 660 s"):
        fitting(plan, found, 0.1)


def test_real_samples(lens, tmp_path):
    """Of pictures and of an atlas whose chart is nowhere but in the estimate's hands."""
    random = np.random.RandomState(0)
    ones = np.ones(3, np.int32)
    data = Chart(random.normal(size=(3, 24)).astype(np.float32), 2 * ones, 4 * ones, ones, ones).to_bytes()
    plan = planning.make(
        lens,
        NOISE,
        Dream(),
        pattern="blocks.1.0",
        which=(0, 2, 1),
        wanted=["noise"],
        size=32,
        atlases=[Atlas(layer="blocks.1.0", cells=3, sha256="a" * 64)],
    )
    made = []

    def hire(task, settings):
        made.append(Here(task, settings | {"threads": 1}, 2))
        assert task is Probe
        return made[-1]

    said = estimate(plan, lens, hire, {"a" * 64: data}, spent=5.0)
    assert said.workers == 2 and said.seconds > 5
    assert {kind: part.units for kind, part in said.kinds.items()} == {"noise": 2, "atlas": 3}
    assert all(part.seconds > 0 and part.bytes > 0 for part in said.kinds.values())
    assert not made[0].items


def test_a_probe_leaves_nothing_on_its_node(lens, tmp_path):
    """The folder is the driver's; on another node it isn't there before."""
    plan = planning.make(lens, NOISE, Dream(), pattern="conv_stem", which=(0, 1, 1), size=32, crops=16)
    probe = Probe(plan.to_json(), str(tmp_path / "probed"), threads=1)
    for kind in plan.kinds:
        (item,) = sample(plan, kind)
        assert probe.do(item).bytes > 0
    assert list((tmp_path / "probed").iterdir()) == []
