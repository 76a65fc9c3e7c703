"""Octaves against scipy.ndimage.zoom, as the 2015 notebook used it."""

import numpy as np
import pytest
import scipy.ndimage as nd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phosphene import octave
from phosphene.canvas import Held
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.octave import octave_count, octave_sizes, output_size

CLASSIC = Dream(octaves=4, octave_scale=1.4)


def zoomed(image, *how):
    return octave.zoomed(Held(image), *how).image


def resampled(image, size):
    return octave.resampled(Held(image), size).image


def pyramid(image, sizes):
    return [base.image for base in octave.pyramid(Held(image), sizes)]


def noise(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_the_sizes_of_sky1024():
    assert octave_sizes(575, 1024, CLASSIC) == [(210, 373), (294, 522), (411, 731), (575, 1024)]


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 5), st.floats(1.01, 8, allow_nan=False))
def test_sizes_are_those_that_scipy_zooms_to(height, width, octaves, scale):
    sizes = octave_sizes(height, width, Dream(octaves=octaves, octave_scale=scale))
    assert len(sizes) == octaves and sizes[-1] == (height, width)
    level = np.zeros((height, width), np.float32)
    for size in sizes[-2::-1]:
        shape = [max(1, round(side * (1.0 / scale))) for side in level.shape]
        level = nd.zoom(level, 1.0 / scale, order=1) if min(level.shape) / scale >= 1 else np.zeros(shape)
        assert size == level.shape


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((20, 31), (28, 43)),
        ((28, 43), (20, 31)),
        ((411, 231), (575, 323)),
        ((3, 2), (100, 100)),
        ((1, 1), (5, 7)),
        ((1, 9), (1, 20)),
        ((7, 9), (1, 1)),
        ((7, 9), (1, 5)),
        ((2, 2), (3, 3)),
    ],
)
def test_zoomed_is_scipys_zoom(before, after):
    image = noise(2, 3, *before)
    factors = (1, 1, after[0] / before[0], after[1] / before[1])
    expected = nd.zoom(image.numpy(), factors, order=1)
    assert expected.shape[2:] == after
    got = zoomed(image, after)
    assert got.dtype == torch.float32
    assert np.abs(got.numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("scale", [1.4, 1 / 1.4, 1.25])
def test_edges_are_lost_where_scipy_loses_them(scale):
    lost = torch.zeros(1, 1, 1)
    counts = 0
    for side in range(2, 700):
        row = torch.linspace(0.5, 1, side).view(1, 1, 1, side)
        expected = nd.zoom(row[0, 0, 0].double().numpy(), scale, order=1)
        for image, size in [(row, (1, len(expected))), (row.transpose(2, 3), (len(expected), 1))]:
            got = zoomed(image, size, lost).flatten().numpy()
            assert np.abs(got - expected).max() < 1e-6, side
        assert zoomed(row, (1, len(expected)))[..., -1] >= 0.5
        counts += expected[-1] == 0
    assert counts > 0


def test_pyramid_is_zoomed_level_by_level():
    image = noise(1, 3, 57, 102)
    sizes = octave_sizes(57, 102, CLASSIC)
    level = image.numpy()
    for base in pyramid(image, sizes)[::-1]:
        assert base.shape == level.shape
        assert np.abs(base.numpy() - level).max() < 2e-6
        level = nd.zoom(level, (1, 1, 1 / 1.4, 1 / 1.4), order=1)


def test_pyramid_refuses_another_size():
    with pytest.raises(PhospheneError, match="expected"):
        pyramid(noise(1, 3, 10, 10), [(5, 5), (10, 11)])


@pytest.mark.parametrize(
    ("size", "least"),
    [((3024, 4032), 9), ((768, 1024), 4), ((512, 768), 3), ((20000, 30000), 14), ((640, 300), 2)],
)
def test_open_number_of_octaves_brings_the_smallest_side_to_about_200_px(size, least):
    """So that a 12-megapixel photo gets animals too, and not only texture."""
    sizes = octave_sizes(*size, Dream())
    assert least <= len(sizes) == octave_count(*size, Dream()) <= least + 1
    assert 140 < min(sizes[0]) < 240


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (50, 60), (200, 200)])
def test_small_pictures_have_one_octave(size):
    assert octave_sizes(*size, Dream()) == [size]


def test_open_number_of_octaves_stays_in_the_range_of_the_setting():
    config = Dream(octave_scale=1.01)
    count = octave_count(3000, 4000, config)
    assert config.but(octaves=count).octaves == count


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (3000, 4001)),
        ({"max_size": 1000}, (750, 1000)),
        ({"max_size": 5000}, (3000, 4001)),
        ({"scale": 2.0}, (6000, 8002)),
        ({"max_size": 1000, "scale": 2.0}, (1500, 2000)),
        ({"scale": 0.5}, (1500, 2000)),
        ({"max_size": 1}, (1, 1)),
    ],
)
def test_max_size_shrinks_first_then_scale(changes, expected):
    assert output_size(3000, 4001, Dream(**changes)) == expected


@settings(max_examples=100)
@given(st.integers(1, 30000), st.integers(1, 30000), st.integers(1, 10000))
def test_max_size_is_never_passed_and_nothing_vanishes(height, width, longest):
    size = output_size(height, width, Dream(max_size=longest))
    assert min(size) >= 1 and max(size) == min(longest, max(height, width))


@pytest.mark.parametrize("size", [(5, 7), (40, 60), (1, 1)])
def test_resampled_keeps_range_and_flat_colour(size):
    image = (noise(1, 3, 20, 30) > 0.5).float()
    assert resampled(image, size).shape[-2:] == size
    assert resampled(image, size).min() >= 0 and resampled(image, size).max() <= 1
    assert torch.allclose(resampled(torch.full((1, 3, 20, 30), 0.3), size), torch.tensor(0.3))
    assert resampled(image, (20, 30)) is image
