"""Tiled gradients equal untiled ones, on networks with every kind of padding."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import RandomState

from networks import branching, photo, strided, unpadded
from phosphene import penalty, tile, words
from phosphene.canvas import Held
from phosphene.config import Dream
from phosphene.expression import parse
from phosphene.lens import Lens
from phosphene.models import load
from phosphene.octave import resampled
from phosphene.picture import open_picture
from phosphene.tile import Plan


def tensorflow_same():
    """EfficientNet-Lite0 with random weights: stride 8 at blocks.2.1, which sees 67 px."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    return timm.create_model("tf_efficientnet_lite0", pretrained=False)


pytestmark = pytest.mark.usefixtures("one_thread")
NETWORKS = {
    "strided": (strided, "5", "0", 64),
    "branching": (branching, "tail", "mix", 64),
    "unpadded": (unpadded, "2", "0", 32),
    "same": (tensorflow_same, "blocks.2.1", "blocks.1.0", 72),
}
SIZES = [(97, 131), (128, 160), (33, 200), (70, 40)]


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    build, deep, shallow, halo = NETWORKS[request.param]
    objectives = [words.layer(deep), 2 * words.channel(shallow, 1) - 0.1 * penalty.tv()]
    return Lens(build(), mean=(0.4, 0.5, 0.6), std=(0.3, 0.2, 0.25)), objectives, halo


def gradients(parts, look, image, *how):
    """`tile.gradients` of a tensor, in tensors."""
    found, score = tile.gradients(parts, look, Held(image), *how)
    return [g.image for g in found], score


def both(lens, parts, image, plan, grid):
    layers = frozenset().union(*(part.layers for part in parts))
    with lens.watching(layers) as look:
        whole = tile.grids(look, layers, image)
        untiled = gradients(parts, look, image, Plan(), (0, 0), None)
        return untiled, gradients(parts, look, image, plan, grid, whole)


@pytest.mark.parametrize("grid", [(0, 0), (32, 0), (32, 32)])
@pytest.mark.parametrize("size", SIZES)
def test_tiled_is_untiled(case, size, grid):
    lens, parts, halo = case
    image = photo(2, 3, *size)
    (found, score), (tiled, tiled_score) = both(lens, parts, image, Plan(64, halo), grid)
    assert len(tiled) == len(parts)
    for g, t in zip(found, tiled, strict=True):
        for i in range(2):
            assert g[i].abs().max() > 0
            assert (g[i] - t[i]).abs().max() <= 1e-5 * g[i].abs().max()
    assert torch.allclose(tiled_score, score, rtol=1e-4)


def test_a_halo_that_is_too_small_is_seen():
    parts = [words.layer("5")]
    (found, _), (tiled, _) = both(Lens(strided()), parts, photo(1, 3, 96, 128), Plan(32, 0), (0, 0))
    assert (found[0] - tiled[0]).abs().max() > 1e-3 * found[0].abs().max()


def test_guide_and_direction_are_tiled_too():
    lens = Lens(strided())
    guide = words.guide(photo(1, 3, 40, 40, seed=3), "3").bind(lens)
    direction = words.direction("5", [1.0, -1, 2, 0, 0, 1, 1], power=2)
    (found, score), (tiled, tiled_score) = both(
        lens, [guide, direction], photo(1, 3, 97, 131), Plan(32, 64), (0, 0)
    )
    for g, t in zip(found, tiled, strict=True):
        assert (g - t).abs().max() <= 1e-5 * g.abs().max()
    assert torch.allclose(tiled_score, score, rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(97, 131), (300, 40), (33, 33)])
def test_grids_are_those_of_the_whole_picture(name, size):
    build, deep, shallow, _ = NETWORKS[name]
    lens, image = Lens(build()), photo(1, 3, *size)
    with torch.no_grad(), lens.watching([deep, shallow]) as look:
        found = tile.grids(look, frozenset([deep, shallow, "input"]), image)
        acts = look(image)
    assert found["input"] == (*size, 1)
    for layer in (deep, shallow):
        assert found[layer][:2] == acts[layer].shape[2:]
        assert size[0] / found[layer].stride - 3 < found[layer].rows <= size[0] / found[layer].stride + 1


def test_the_grid_of_a_vector_does_not_grow():
    lens = Lens(branching())
    with lens.watching(["head"]) as look:
        assert tile.grids(look, frozenset(["head"]), photo(1, 3, 50, 60))["head"] == (1, 1, 0)


sides, tiles = st.integers(1, 700), st.integers(1, 12).map(lambda n: n * tile.ALIGN)


@settings(max_examples=300)
@given(sides, st.integers(16, 400), st.integers(0, 200), st.randoms(use_true_random=False))
def test_spans_cover_a_side_exactly_and_crops_are_equal(length, side, halo, random):
    plan = tile.plan(length, 1, side, halo, True)
    shift, _ = tile.shift(plan, RandomState(random.randrange(1000)))
    crops = list(tile._crops(length, plan, shift))
    assert [i for span, _ in crops for i in range(*span)] == list(range(length))
    assert len({last - first for _, (first, last) in crops}) == 1
    for (start, end), (first, last) in crops:
        assert start < end
        assert 0 <= first <= max(0, start - halo) and first % tile.ALIGN == 0
        assert min(length, end + halo) <= last <= length
        assert (last - first) % tile.ALIGN == length % tile.ALIGN
    if len(crops) > 2:
        assert len({end - start for (start, end), _ in crops[1:-1]} - {tile._sides(length, plan)[1]}) == 0
        assert crops[0][1][1] <= max(side, 32) + 2 * max(halo, tile.SHIFT) + 3 * tile.ALIGN


@settings(max_examples=50)
@given(sides, sides, tiles, st.integers(0, 100), st.randoms(use_true_random=False))
def test_all_crops_are_the_largest(height, width, side, halo, random):
    plan = tile.plan(height, width, side, halo, True)
    grid = tile.shift(plan, RandomState(random.randrange(1000)))
    rows, columns = (
        [last - first for _, (first, last) in tile._crops(length, plan, start)]
        for length, start in zip((height, width), grid, strict=True)
    )
    assert {a * b for a in rows for b in columns} == {tile.largest(height, width, plan)}
    assert sum(rows) * sum(columns) <= tile.pixels(height, width, plan)


@pytest.mark.parametrize("roll", [(0, 0), (5, -7), (-40, 300)])
def test_a_roll_is_folded_into_the_crops(roll):
    parts, image = [words.layer("5")], photo(2, 3, 97, 131)
    lens, plan = Lens(strided()), Plan(48, 64)
    with lens.watching(["5"]) as look:
        whole = tile.grids(look, frozenset(["5"]), image)
        rolled = image.roll(roll, (-2, -1))
        (expected,), score = gradients(parts, look, rolled, plan, (32, 32), whole)
        (found,), same = gradients(parts, look, image, plan, (32, 32), whole, roll)
    assert torch.equal(found.roll(roll, (-2, -1)), expected) and torch.equal(same, score)


class TestPlan:
    def test_a_tile_and_its_halo_are_as_they_were_asked_for(self):
        assert tile.plan(500, 400, 100, 7, True) == Plan(100, 7)

    @pytest.mark.parametrize("side", [500, 512, 10_000])
    def test_a_tile_larger_than_the_picture_is_the_picture(self, side):
        assert tile.plan(500, 400, side, 64, True) == Plan()

    def test_a_tile_for_the_whole(self):
        assert tile.whole(500, 400) == 512
        assert tile.plan(500, 400, tile.whole(500, 400), 64, True) == Plan()

    @pytest.mark.parametrize("size", [(100, 100), (5000, 7000)])
    def test_a_score_that_does_not_add_up_is_never_tiled(self, size):
        assert tile.plan(*size, 64, 64, False) == Plan()

    def test_the_grid_is_shifted_to_both_sides(self):
        random = RandomState(0)
        shifts = np.array([tile.shift(Plan(512, 32), random) for _ in range(200)])
        assert set(np.unique(shifts)) == {-64, -32, 0, 32, 64}
        assert set(np.unique([tile.shift(Plan(128, 64), random) for _ in range(99)])) == {-32, 0, 32}
        assert tile.shift(Plan(), random) == (0, 0)

    def test_tiles_are_as_few_as_can_be(self):
        plan = Plan(512, 64)
        for height, tiles in ((512, 1), (513, 2), (1024, 2), (4000, 8)):
            assert len(list(tile._crops(height, plan, -64))) == tiles


WEIGHTS = Path(__file__).resolve().parents[2] / "shared/data/weights/bvlc_googlenet.safetensors"
REAL = pytest.mark.skipif(not WEIGHTS.exists(), reason="the weights of BVLC GoogLeNet are not here")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "objective"),
    [
        ("efficientnet_lite2", "blocks.4.1"),
        pytest.param("bvlc_googlenet", "inception_4c/output", marks=REAL),
    ],
)
def test_no_seam_with_the_default_halo(model, objective):
    """On tile borders the gradient is as large as the untiled one there: within 2%, over some steps."""
    picture = open_picture(Path(__file__).parents[1] / "examples" / "photo.jpg")
    image = resampled(Held(picture.tensor()), (400, 448)).image
    lens = load(model, str(WEIGHTS) if model == "bvlc_googlenet" else "", device="cpu")
    config, random = Dream(model=model, objective=objective), RandomState(0)
    parts, plan = [parse(objective).bind(lens)], Plan(160, config.halo)
    on, off = [], []
    with lens.watching(parts[0].layers) as look:
        whole = tile.grids(look, parts[0].layers, image)
        ((untiled,), _) = gradients(parts, look, image, Plan(), (0, 0), None)
        for _ in range(4):
            grid = tile.shift(plan, random)
            ((tiled,), _) = gradients(parts, look, image, plan, grid, whole)
            border = torch.zeros(400, 448, dtype=torch.bool)
            for (y, _), _ in list(tile._crops(400, plan, grid[0]))[1:]:
                border[y - 2 : y + 2] = True
            for (x, _), _ in list(tile._crops(448, plan, grid[1]))[1:]:
                border[:, x - 2 : x + 2] = True
            for ratios, where in ((on, border), (off, ~border)):
                ratios.append(float(tiled[..., where].abs().mean() / untiled[..., where].abs().mean()))
    assert abs(np.mean(on) / np.mean(off) - 1) < 0.02


class TestRolls:
    def test_without_patches_they_are_as_ever(self):
        assert [tile.rolls(jitter, 0) for jitter in (0, 1, 32)] == [(0, 1), (-1, 2), (-32, 33)]

    @pytest.mark.parametrize("patch", [4, 7, 14, 16, 32])
    @pytest.mark.parametrize("jitter", [1, 3, 8, 32, 100])
    def test_every_phase_of_the_patches_is_as_likely(self, patch, jitter):
        low, high = tile.rolls(jitter, patch)
        phases = np.bincount(np.arange(low, high) % patch, minlength=patch)
        assert phases.min() == phases.max() > 0
        assert low <= -min(jitter, patch // 2) and high > jitter

    def test_none_stays_none(self):
        assert tile.rolls(0, 14) == (0, 1)
