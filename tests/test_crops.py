"""Random crops: inside the picture, drawn by numbers alone, resized as the formula has it."""

import numpy as np
import torch
from numpy.random import RandomState

from networks import photo
from phosphene.crops import boxes, cut


def triangle(source, target):
    """The weights of a bilinear, antialiased resize of one side: a tent as wide as a target pixel."""
    scale = source / target
    wide = max(scale, 1.0)
    centre = (np.arange(target)[:, None] + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(source)[None] + 0.5 - centre) / wide)
    return weights / weights.sum(1, keepdims=True)


def test_boxes_are_inside_and_of_many_sizes():
    found = boxes(300, 200, 64, 400, RandomState(0))
    assert all(y >= 0 and y + side <= 300 and x >= 0 and x + side <= 200 for y, x, side in found)
    sides = [side for _, _, side in found]
    assert min(sides) < 40 and max(sides) > 190 and min(sides) >= 32
    assert {y for y, _, _ in found} >= {0} and any(y + side == 300 for y, _, side in found)


def test_every_pixel_has_its_share():
    counts = np.zeros((90, 120))
    for y, x, side in boxes(90, 120, 64, 4000, RandomState(1)):
        counts[y : y + side, x : x + side] += 1
    assert counts.min() > 0.05 * counts.max()
    assert counts[0, 0] > 0 and counts[-1, -1] > 0


def test_they_are_drawn_by_the_numbers_alone():
    assert boxes(90, 120, 64, 8, RandomState([1, 2, 3])) == boxes(90, 120, 64, 8, RandomState([1, 2, 3]))
    assert boxes(90, 120, 64, 8, RandomState([1, 2, 3])) != boxes(90, 120, 64, 8, RandomState([1, 2, 4]))


def test_pictures_smaller_than_the_network_wants():
    for size in ((1, 1), (5, 9), (40, 200)):
        found = boxes(*size, 64, 50, RandomState(0))
        assert all(1 <= side <= min(size) for _, _, side in found)
        assert cut(photo(1, 3, *size), found, 64).shape == (50, 3, 64, 64)


def test_values_and_gradient_are_those_of_the_formula():
    image = photo(2, 3, 70, 90).double().requires_grad_()
    squares = [(3, 5, 60), (10, 20, 24), (0, 0, 48)]
    found = cut(image, squares, 48)
    assert found.shape == (6, 3, 48, 48)
    pull = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (g,) = torch.autograd.grad((found * pull).sum(), image)
    wanted_g = np.zeros(image.shape)
    for index, (y, x, side) in enumerate(squares):
        weights = triangle(side, 48)
        part = image.detach().numpy()[:, :, y : y + side, x : x + side]
        wanted = weights @ part @ weights.T
        np.testing.assert_allclose(found[2 * index : 2 * index + 2].detach().numpy(), wanted, atol=1e-6)
        back = weights.T @ pull[2 * index : 2 * index + 2].numpy() @ weights
        wanted_g[:, :, y : y + side, x : x + side] += back
    np.testing.assert_allclose(g.numpy(), wanted_g, atol=1e-5)
