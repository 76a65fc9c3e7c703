"""What is done to gradients, against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.ndimage as nd
import torch

from oracles import laplacian
from phosphene import gradient
from phosphene.canvas import Held


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 1.8, 5.0])
@pytest.mark.parametrize("size", [(32, 31), (5, 40), (1, 1)])
def test_gaussian_is_scipys(sigma, size):
    g = noise(2, 3, *size)
    expected = nd.gaussian_filter(g.double().numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=4)
    assert np.allclose(gradient.gaussian(Held(g), sigma).image.numpy(), expected, atol=2e-6)


def test_gaussian_of_nothing_is_the_gradient_itself():
    g = noise(1, 3, 8, 8)
    assert torch.equal(gradient.gaussian(Held(g), 0.0).image, g)


def test_the_smoothing_falls_to_a_third_of_a_pixel():
    assert gradient.falling_sigma(0.0, 0, 10) == 0
    assert gradient.falling_sigma(1.5, 0, 10) == pytest.approx(1.8)
    assert gradient.falling_sigma(1.5, 5, 10) == pytest.approx(1.05)
    assert gradient.falling_sigma(1.5, 9, 10) == pytest.approx(0.45)


@pytest.mark.parametrize("size", [(64, 64), (63, 65), (37, 50), (33, 16)])
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_laplacian_is_the_formula(size, levels):
    g = noise(1, 3, *size)
    expected = laplacian(g[0].double().numpy(), levels)
    assert np.allclose(gradient.laplacian(Held(g), levels).image[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 50), (5, 5)])
def test_laplacian_leaves_out_levels_smaller_than_a_pixel(size):
    merged = gradient.laplacian(Held(noise(1, 3, *size)), 12).image
    assert merged.shape == (1, 3, *size)
    assert torch.isfinite(merged).all()


def test_laplacian_of_zero_is_zero():
    assert not gradient.laplacian(Held(torch.zeros(1, 3, 20, 20)), 4).image.any()


def test_mean_size_is_over_channels_and_pixels_of_each_image():
    g = noise(3, 3, 4, 5)
    assert np.allclose(gradient.mean_size(Held(g)).numpy().ravel(), np.abs(g.numpy()).mean((1, 2, 3)))
    assert gradient.mean_size(Held(g)).shape == (3, 1, 1, 1)


@pytest.mark.parametrize("factor", [1, 1e-30, 1e30])
def test_unit_has_a_mean_size_of_one(factor):
    g = noise(2, 3, 8, 9)
    expected = g.numpy() / np.abs(g.numpy()).mean((1, 2, 3), keepdims=True)
    assert np.allclose(gradient.unit(Held(factor * g)).image.numpy(), expected, rtol=1e-4)
    assert not gradient.unit(Held(torch.zeros_like(g))).image.any()


def test_balanced_parts_have_the_sizes_of_their_weights():
    a, b = noise(2, 3, 8, 9), 1e-6 * noise(2, 3, 8, 9, seed=1)
    expected = sum(
        weight * part / np.abs(part).mean((1, 2, 3), keepdims=True)
        for part, weight in ((a.numpy(), 2.0), (b.numpy(), 0.5))
    )
    assert np.allclose(
        gradient.balanced([Held(a), Held(b)], [2.0, 0.5]).image.numpy(), expected, rtol=1e-5, atol=1e-6
    )


def test_balanced_images_may_have_weights_of_their_own():
    a, b = noise(2, 3, 8, 9), noise(2, 3, 8, 9, seed=1)
    found = gradient.balanced([Held(a.clone()), Held(b.clone())], [(2.0, 0.5), 1.0]).image
    for image, weight in enumerate((2.0, 0.5)):
        alone = [Held(part[image : image + 1].clone()) for part in (a, b)]
        assert torch.equal(found[image : image + 1], gradient.balanced(alone, [weight, 1.0]).image)


def test_balanced_leaves_a_single_part_alone_and_ignores_zero_parts():
    a = Held(noise(1, 3, 4, 4))
    assert gradient.balanced([a], [7.0]) is a
    expected = a.image / a.image.abs().mean()
    with_zero = gradient.balanced([a, Held(torch.zeros(1, 3, 4, 4))], [1.0, 1.0])
    assert torch.allclose(with_zero.image, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda g: gradient.gaussian(Held(g), 1.2).image,
        lambda g: gradient.laplacian(Held(g), 3).image,
        lambda g: gradient.balanced([Held(g.clone()), Held(g.flip(2))], [1.0, 2.0]).image,
        lambda g: gradient.mean_size(Held(g)),
        lambda g: gradient.unit(Held(g)).image,
    ],
)
def test_images_of_a_batch_never_mix(change):
    g = noise(2, 3, 19, 22)
    g[1] *= 1000
    together = change(g)
    for i in range(2):
        assert torch.allclose(together[i], change(g[i : i + 1])[0], rtol=1e-5)
