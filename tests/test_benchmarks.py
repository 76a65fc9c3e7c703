"""The benchmarks' own logic: what is counted, said and kept; no time is judged."""

import sys
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import cases, gradient, plot, profile, results, scaling, units, ways, worker  # noqa: E402
from benchmarks.__main__ import options  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def ticking():
    """A clock that is one second later at each look."""
    return count().__next__


def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))


def test_operations_of_a_network_are_those_of_its_convolutions():
    """VGG-16's up to its tenth convolution, from the sizes of its maps."""
    widths, sides = (
        [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512],
        [64] * 2 + [32] * 2 + [16] * 3 + [8] * 3,
    )
    forward = sum(2 * 9 * a * b * s * s for a, b, s in zip(widths[:-1], widths[1:], sides, strict=True))
    assert cases.operations("vgg16", 64, 64) == 2 * forward


def test_operations_end_at_the_layer():
    for name in ("efficientnet_lite2", "bvlc_googlenet"):
        small, large = (cases.operations(name, side, side) for side in (64, 128))
        assert small > 10**7 and large == pytest.approx(4 * small, rel=0.01)


@pytest.mark.parametrize("cut", [True, False])
def test_a_step_of_a_loop_is_one_tick(cut):
    module = tiny()
    assert ways.loop(module, "1", cut, 16, 16, ticking())(3) == 1
    assert (module[0].weight.grad is None) == cut


@pytest.mark.parametrize("name", ["phosphene", "plain"])
def test_a_step_of_ours_is_one_tick(name, monkeypatch):
    from phosphene.lens import Lens

    monkeypatch.setitem(ways.CASES, "tiny", "1")
    monkeypatch.setattr(ways, "lens", lambda _, plain, dtype: Lens(tiny(), plain=plain, dtype=dtype))
    assert ways.way(name, "tiny", 64, 64, ticking())(3) == 1


def test_gemm_is_the_best_of_several_sizes(monkeypatch):
    monkeypatch.setattr(ways, "SIDES", (8, 16))
    assert ways.gemm(ticking()) == 1 / (2 * 16**3)


def test_a_worker_says_what_is_wrong_and_the_rest_goes_on():
    with worker.Worker("straight", "nonesuch", 32, 32, threads=1) as other:
        assert other.steps(1) is None and other.steps(1) is None
    assert other.error and "\n" not in other.error


def test_a_worker_measures_time_and_memory():
    with worker.Worker("cut", "bvlc_googlenet", 32, 32, threads=1, clock="cpu") as other:
        seconds = other.steps(1)
    assert seconds and not other.error and other.peak > 10**7


def test_behind_is_computed():
    rows = [("a", {"phosphene": 2.0, "x": 1.0, "y": 3.0}), ("b", {"phosphene": 1.0, "x": 1.0})]
    assert results.behind(rows, "s") == "- a: behind x, 2 s against 1 (2.00×)\n"
    assert results.behind(rows[1:], "s") == "Behind nobody.\n"


def test_the_tables_say_who_is_ahead_and_who_could_not():
    case = gradient.Case(
        "vgg16",
        64,
        {"phosphene": 0.2, "cut": 0.1},
        {"phosphene": 10**9, "cut": 2 * 10**9},
        {"dreamlens": "no"},
        0.5,
    )
    text = gradient.text([case], ["phosphene", "cut", "dreamlens"], "")
    assert "| 0.200 | 0.100 | - | 0.50× | - | 50% |" in text
    assert "behind cut, 0.2 s against 0.1 (2.00×)" in text and "dreamlens: no" in text
    assert "Behind nobody." in text  # in memory


def test_scaling_has_a_table_and_two_plots():
    found = {("vgg16", 0.25): ([2.0, 1.0], [10**9], ""), ("vgg16", 1.0): ([1.5], [2 * 10**9], "")}
    text, plots = scaling.text({**found, ("resnet50", 1.0): ([], [], "ended")}, "3GB")
    assert "| 1 | 1.500 | 1.50× | 2000 |" in text and "ended" in text
    assert plots.keys() == {"time", "memory"} and all(len(svg) < 200_000 for svg in plots.values())


def test_a_plot_is_well_formed_and_inside_its_frame():
    from xml.etree import ElementTree

    svg = ElementTree.fromstring(
        plot.lines({"a & b": [(0.25, 3.0), (64.0, 1.0)], "c": [(1.0, 2.0)]}, "x", "y")
    )
    circles = [part for part in svg if part.tag.endswith("circle")]
    assert len(circles) == 3
    assert all(plot.LEFT <= float(circle.get("cx")) <= plot.WIDTH for circle in circles)
    assert all(0 <= float(circle.get("cy")) <= plot.HEIGHT - plot.BELOW for circle in circles)


def test_results_are_kept_under_what_hardware_and_date(tmp_path):
    path = results.write("trial", "words\n", {"time": "<svg/>"}, tmp_path)
    what, hardware, date = path.stem.split("_")
    assert what == "trial" and hardware.endswith("cores") and len(date) == 10
    assert (tmp_path / f"{path.stem}_time.svg").read_text() == "<svg/>"
    assert f"![time]({path.stem}_time.svg)" in path.read_text()


def test_units_are_summed_up():
    found = [
        units.Found("a:1", {"phosphene": 4.0, "x": 2.0, "y": 5.0}, 100.0),
        units.Found("a:2", {"phosphene": 3.0, "x": 2.0, "y": 1.0}, 99.0),
    ]
    text = units.text(found, (3.0, 4.0))
    assert "1.75× the activation on x's" in text and "1.90× the activation on y's" in text
    assert "higher than all of them in 50 %" in text and "crops of photos in 50 %" in text
    assert "3 s in batches, 4 s one by one (0.75×)" in text and "| a:2 | 3 | 2 | 1 | 99.00 % |" in text


@pytest.mark.parametrize("wrong", [["nonesuch"], ["--networks", "nonesuch"], ["--steps", "0"]])
def test_wrong_words_are_refused(wrong):
    with pytest.raises(SystemExit):
        options(wrong)


def test_defaults():
    chosen = options([])
    assert chosen.what == ["gradient"] and chosen.networks == list(cases.CASES) and chosen.sizes == [224]
    assert options(["all"]).what == [
        *("gradient", "profile", "scaling", "exactness", "overhead", "classic", "units", "chaos", "catalog"),
    ]


@pytest.mark.parametrize(
    ("image", "weight", "kind"),
    [
        ([1, 3, 64, 64], [8, 3, 3, 3], "from the picture"),
        ([1, 32, 64, 64], [32, 1, 3, 3], "depthwise"),
        ([1, 32, 64, 64], [8, 32, 1, 1], "1×1"),
        ([1, 32, 64, 64], [8, 32, 5, 5], "larger"),
    ],
)
def test_kinds_of_convolutions(image, weight, kind):
    assert profile.convolution(image, weight) == f"convolutions, {kind}"


def test_kinds_of_work_add_up(monkeypatch):
    """What the profiler saw is shared out once: no kind is negative, and convolutions are among them."""
    from phosphene.lens import Lens

    monkeypatch.setitem(profile.CASES, "tiny", "1")
    monkeypatch.setattr(profile, "lens", lambda _: Lens(tiny()))
    found, seconds = profile.kinds("tiny", 64)
    assert seconds > 0 and min(found.values()) >= 0
    assert found["convolutions, from the picture"] > 0


def test_units_are_drawn_once():
    class Lens:
        def channels(self, layer):
            return {"a": 4, "b": 9}[layer]

    names = units.chosen(Lens(), ("b", "a"), 7)
    assert len(set(names)) == 7 and [name[0] for name in names] == ["a"] * 3 + ["b"] * 4
    assert units.chosen(Lens(), ("b", "a"), 7) == names
