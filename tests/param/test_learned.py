"""A param and its optimiser: steps, moments that grow, places to come back to."""

import numpy as np
import pytest
import torch
from numpy.random import RandomState

from phosphene.canvas import Held
from phosphene.errors import PhospheneError
from phosphene.param import PARAMS, Learned
from phosphene.param.learned import scattered
from phosphene.param.optimizer import OPTIMIZERS


def learned(kind="fourier", optimizer="", size=(16, 20), count=1, **how):
    param = PARAMS[kind](count, size)
    scattered(param, 0, range(count))
    return Learned(param, optimizer, **how)


def climbed(canvas, steps, target=0.9):
    for _ in range(steps):
        canvas.climb(Held(target - canvas().image), clip=True)
    return canvas


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", PARAMS)
def test_climbs_and_comes_back(kind, optimizer):
    canvas = climbed(learned(kind, optimizer), 3)
    place = canvas.kept()
    after = climbed(canvas, 3)().image.clone()
    canvas.restore(place)
    assert torch.equal(climbed(canvas, 3)().image, after)
    other = learned(kind, optimizer)
    assert other.resumed(canvas.saved(place)).keys() == place.keys()
    assert torch.equal(other().image, after)


def test_ascent_moves_by_the_rate():
    canvas = learned("pixel", "ascent", rate=0.01)
    before, g = canvas().image, torch.randn(1, 3, 16, 20, generator=torch.Generator().manual_seed(1))
    canvas.climb(Held(g.clone()), clip=True)
    assert torch.allclose(canvas().image, before + 0.01 * g / g.abs().mean(), atol=1e-6)


def test_adam_by_value():
    canvas, values = learned("pixel", "adam", rate=0.01), None
    m = v = np.zeros((1, 3, 16, 20))
    values = canvas().image.double().numpy()
    random = torch.Generator().manual_seed(2)
    for step in range(1, 4):
        g = torch.randn(1, 3, 16, 20, generator=random)
        canvas.climb(Held(g.clone()), clip=True)
        m, v = 0.9 * m - 0.1 * g.numpy(), 0.999 * v + 0.001 * g.numpy() ** 2
        values = values - 0.01 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    assert np.allclose(canvas().image.numpy(), values, atol=1e-6)


def test_moments_grow_with_the_picture():
    canvas = climbed(learned("laplacian", "adam"), 4)
    grown = canvas.resized((32, 40))
    for name, values in grown.param.named_parameters():
        state = grown.optimizer.moments[name]
        assert state["exp_avg"].shape == values.shape and state["step"] == 4
        assert bool((state["exp_avg_sq"] >= 0).all()) and bool(state["exp_avg_sq"].any()), name


def test_average_of_iterates_by_value():
    canvas = learned("pixel", "ascent", average=0.5, rate=0.05)
    seen = []
    for _ in range(4):
        climbed(canvas, 1)
        seen.append(canvas().image.clone())
    mean = seen[0]
    for image in seen[1:]:
        mean = 0.5 * mean + 0.5 * image
    assert torch.allclose(canvas.shown().image, mean, atol=1e-6)
    assert torch.equal(canvas().image, seen[-1])


def test_a_damaged_place_is_refused():
    canvas = climbed(learned(), 2)
    for spoilt in ({"param.other": torch.zeros(1)}, {"param.spectrum": torch.zeros(2, 2)}):
        with pytest.raises(PhospheneError, match="damaged"):
            canvas.restore({**canvas.kept(), **spoilt})
    place = canvas.kept()
    place["exp_avg.spectrum"][0, 0, 0, 0] = torch.nan
    with pytest.raises(PhospheneError, match=r"exp_avg\.spectrum"):
        canvas.restore(place)


def test_equal_numbers_are_equal_noise():
    param = PARAMS["fourier"](3, (8, 8))
    scattered(param, 5, (7, 7, 8))
    first, second, third = param()
    assert torch.equal(first, second) and not torch.equal(first, third)


def transparent(kind="fourier", pull=1.0, size=(16, 20)):
    param = PARAMS[kind](1, size, 4)
    scattered(param, 0, [0])
    return Learned(param, "adam", transparency=pull, seed=3)


@pytest.mark.parametrize("kind", PARAMS)
def test_what_does_not_matter_becomes_transparent(kind):
    canvas = transparent(kind)
    assert canvas().image.shape == (1, 3, 16, 20) and canvas.opacity().shape == (1, 1, 16, 20)
    left = torch.zeros(1, 3, 16, 20)
    left[..., :10] = 1.0
    for _ in range(60):
        canvas.climb(Held(left * (0.9 - canvas().image)), clip=True)
    opacity = canvas.opacity()[0, 0]
    assert opacity[:, :8].mean() > opacity[:, 12:].mean() + 0.1


@pytest.mark.parametrize("kind", ["fourier", "laplacian", "pixel"])
def test_it_begins_nearly_opaque_with_the_same_colours(kind):
    canvas, bare = transparent(kind), PARAMS[kind](1, (16, 20), 4)
    bare.scatter([RandomState([0, 0])])
    assert torch.allclose(canvas.opacity(), torch.tensor(0.9), atol=1e-3)
    assert torch.allclose(canvas.shown().image, bare()[:, :3], atol=1e-4)


def test_before_its_backdrop_by_value():
    from phosphene.param.backdrop import backdrop

    canvas = transparent()
    for step in range(3):
        behind = backdrop(canvas().image, 3, step)
        color, opacity = canvas.shown().image, canvas.opacity()
        assert torch.allclose(canvas().image, color * opacity + behind * (1 - opacity), atol=1e-6)
        climbed(canvas, 1)
    assert not torch.equal(backdrop(color, 3, 0), backdrop(color, 3, 1))


def test_a_transparent_place_to_come_back_to():
    canvas = climbed(transparent(), 3)
    place = canvas.kept()
    after = climbed(canvas, 2)().image.clone()
    canvas.restore(place)
    assert canvas.taken == 3 and torch.equal(climbed(canvas, 2)().image, after)
    assert canvas.resized((32, 40)).taken == 5
