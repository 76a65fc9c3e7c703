"""Redirected gradients by value, and a dead unit that wakes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.redirect import redirected

WAYS = [
    torch.relu,
    F.relu,
    lambda x: x.relu(),
    lambda x: F.relu(x.clone(), inplace=True),
    nn.ReLU(),
    nn.ReLU(True),
]


def expected(x, g, top):
    """lucid's redirected_relu_grad, for a score that is maximised."""
    through = np.where((x > 0) & (x < top), g, 0)
    away = ((x < 0) & (g < 0)) | ((x > top) & (g > 0))
    dead = ~through.reshape(len(x), -1).any(1)
    return np.where(dead[:, None, None, None], np.where(away, 0, g), through)


def gradient(way, x, g):
    x = x.clone().requires_grad_()
    with redirected():
        y = way(x * 1)
    return y.detach(), torch.autograd.grad(y, x, g)[0].numpy()


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_relu_by_value(way):
    x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    x[1] = -x[1].abs()
    g = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    value, found = gradient(WAYS[way], x, g)
    assert torch.equal(value, x.clamp_min(0))
    assert np.allclose(found, expected(x.numpy(), g.numpy(), np.inf))
    assert found[1].any() and not found[0][x[0].numpy() < 0].any()


@pytest.mark.parametrize("way", [F.relu6, nn.ReLU6(), nn.ReLU6(True)])
def test_relu6_by_value(way):
    x = 6 * torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    x[1] = 6 + x[1].abs()
    g = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    value, found = gradient(way, x, g)
    assert torch.equal(value, x.clamp(0, 6))
    assert np.allclose(found, expected(x.numpy(), g.numpy(), 6))


def dead(bias=-2.0):
    """A unit that sees nothing until the picture is bright enough."""
    network = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(inplace=True))
    with torch.no_grad():
        network[0].weight.fill_(0.1)
        network[0].bias.copy_(torch.tensor([bias, 0.5]))
    return Lens(network)


def test_a_dead_unit_wakes():
    grey = torch.full((1, 3, 24, 24), 0.3) + 0.01 * torch.rand(1, 3, 24, 24)
    config = Dream(octaves=1, steps=14, step_size=12, jitter=0, smooth=0, seed=0)
    scores = [float(frame.score) for frame in dream(grey, "1:0", dead(), config)]
    assert scores[0] == 0 and scores[-1] > 0


def test_only_the_images_that_get_no_gradient():
    both = torch.cat([torch.full((1, 3, 24, 24), 0.3), torch.full((1, 3, 24, 24), 0.95)])
    config = Dream(octaves=1, steps=1, jitter=0, smooth=0, seed=0)
    together = next(dream(both, "1:0", dead(), config))
    alone = next(dream(both[1:], "1:0", dead(), config))
    assert torch.equal(together.image[1], alone.image[0])
    assert bool((together.image[0] > both[0]).any()) and not together.notes


def test_nothing_to_wake_is_still_told():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    nn.init.zeros_(network[0].weight)
    with pytest.raises(PhospheneError) as caught:
        next(dream(torch.rand(1, 3, 16, 16), "1:0", Lens(network), Dream(octaves=1, steps=1)))
    assert caught.value.code == "E_ZERO_GRADIENT"
