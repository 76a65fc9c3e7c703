"""Transforms by value, against SciPy, and their text."""

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from scipy import ndimage

from phosphene import transform
from phosphene.errors import PhospheneError

IMAGE = torch.rand(2, 3, 20, 31, generator=torch.Generator().manual_seed(0))


def one(text, image=IMAGE, seed=0):
    change, each = transform.parse(text)
    return change(image, [RandomState([seed, i]) for i in range(len(image) if each else 1)])


def moved(plane, factor, degrees):
    turn = np.radians(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / factor
    middle = (np.array(plane.shape) - 1) / 2
    return ndimage.affine_transform(plane, matrix, middle - matrix @ middle, order=1, mode="nearest")


def test_pad():
    expected = np.pad(IMAGE.numpy(), [(0, 0), (0, 0), (3, 3), (3, 3)], constant_values=0.5)
    assert np.array_equal(one("pad(3)").numpy(), expected)


@pytest.mark.parametrize("each", ["", "each "])
def test_scale_and_rotate(each):
    for text, factors in (("scale(0.8, 1.3)", True), ("rotate(30)", False)):
        found = one(each + text, seed=3)
        for i, image in enumerate(found.numpy()):
            random = RandomState([3, i if each else 0])
            if factors:
                factor, degrees = random.uniform(0.8, 1.3), 0
            else:
                turned, by = random.uniform() < 2 / 3, random.uniform(-30, 30)
                factor, degrees = 1, by if turned else 0
            for plane, before in zip(image, IMAGE[i].numpy(), strict=True):
                assert np.allclose(plane, moved(before, factor, degrees), atol=1e-5)


@pytest.mark.parametrize("each", ["", "each "])
def test_jitter_is_a_window(each):
    found = one(each + "jitter(6)")
    assert found.shape == (2, 3, 14, 25)
    for i, image in enumerate(found):
        random = RandomState([0, i if each else 0])
        top, left = random.randint(0, 7), random.randint(0, 7)
        assert torch.equal(image, IMAGE[i, :, top : top + 14, left : left + 25])


def test_crops_are_windows_of_each_image():
    ramp = torch.linspace(0, 1, 64).view(1, 1, 1, 64).expand(2, 3, 64, 64).clone()
    ramp[1] = 1 - ramp[1]
    found = one("crops(5, 16)", ramp)
    assert found.shape == (10, 3, 16, 16)
    slopes = found[:, 0, 8, 8] - found[:, 0, 8, 7]
    assert bool((slopes.view(5, 2) * torch.tensor([1, -1]) > 0).all())  # image i's are i, i + N, …


@pytest.mark.parametrize("done", [0, 0.25, 1])
def test_crops_by_value(done):
    height, width, size = 90, 120, 12
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    found = transform.parse(f"crops(6, {size}, 0.6, 0.2)", done)[0](image, [RandomState(5)]).numpy()
    random = RandomState(5)
    for got in found:
        side = int(height * np.clip(random.normal(0.6 - 0.4 * done, 0.05), 0.05, 1))
        y, x = (np.clip(random.normal(0.5, 0.15), 0, 1) for _ in range(2))
        top = round(np.clip(y * height - side / 2, 0, height - side))
        left = round(np.clip(x * width - side / 2, 0, width - side))
        part = image[0, :, top : top + side, left : left + side].numpy()
        at = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
        places = np.meshgrid(at, at, indexing="ij")
        for plane, values in zip(part, got, strict=True):
            assert np.allclose(values, ndimage.map_coordinates(plane, places, order=1), atol=1e-5)


def test_a_window_is_a_part_of_the_picture():
    random = RandomState([0, 0])
    side = round(20 * random.uniform(0.4, 0.9))
    top, left = random.randint(20 - side + 1), random.randint(31 - side + 1)
    part = IMAGE.numpy()[..., top : top + side, left : left + side]
    at = np.clip((np.arange(20) + 0.5) * side / 20 - 0.5, 0, side - 1)
    rows, columns = np.meshgrid(at, at, indexing="ij")
    for image, found in zip(part, one("window(0.4, 0.9)").numpy(), strict=True):
        for plane, got in zip(image, found, strict=True):
            assert np.allclose(got, ndimage.map_coordinates(plane, [rows, columns], order=1), atol=1e-5)


@pytest.mark.parametrize("done", [0.0, 0.5, 1.0])
def test_a_window_grows_in_the_course_of_a_run(done):
    row = torch.arange(30.0).expand(1, 3, 30, 30)

    def widths(text):
        found = (transform.drawn(transform.parse(text, done), [0, n], 1)(row) for n in range(200))
        return np.array([float(each.max() - each.min()) + 1 for each in found])

    low = 0.4 + done * (0.9 - 0.4)
    assert widths("window(0.4, 1, 0.9)").min() == pytest.approx(30 * low, abs=1.5)
    assert widths("window(0.4, 1)").min() == pytest.approx(30 * 0.4, abs=1.5)


def test_windows_go_everywhere_in_every_size():
    row = torch.arange(31.0).expand(1, 3, 20, 31) / 31
    found = [transform.drawn(transform.parse("window(0.2, 1)"), [3, 0, n], 1)(row) for n in range(200)]
    low, high = (np.array([float(extreme(each)) for each in found]) for extreme in (torch.min, torch.max))
    assert all(each.shape == (1, 3, 20, 20) for each in found)
    assert low.min() < 1 / 31 and high.max() > 29 / 31
    assert (high - low).min() < 5 / 31 and (high - low).max() > 18 / 31


def test_noise_and_color():
    random = RandomState([0, 0])
    expected = IMAGE.numpy() + random.normal(0, 0.1, (3, 20, 31))
    assert np.allclose(one("noise(0.1)").numpy(), expected, atol=1e-6)
    gain, light = RandomState([0, 0]).uniform(-0.2, 0.2, (2, 3))
    expected = (IMAGE.numpy() - 0.5) * (1 + gain[:, None, None]) + 0.5 + light[:, None, None] / 2
    assert np.allclose(one("color(0.2)").numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "text", [transform.STANDARD, transform.CROPS, transform.WINDOWS, "each standard", "color(0.1), noise(0)"]
)
def test_differentiable_by_value(text):
    x = IMAGE[:1].double().requires_grad_()
    toward = torch.randn(one(text, x).shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (g,) = torch.autograd.grad((one(text, x) * toward).sum(), x)
    along = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ends = [float((one(text, x.detach() + step * along) * toward).sum()) for step in (-1e-4, 1e-4)]
    assert np.isclose((ends[1] - ends[0]) / 2e-4, float((g * along).sum()), rtol=1e-6)


def test_the_same_for_all_or_for_each():
    same = IMAGE[:1].expand(2, -1, -1, -1)
    first, second = one("standard", same)
    assert torch.equal(first, second)
    first, second = one("each standard", same)
    assert not torch.equal(first, second)


def test_a_step_is_the_same_whenever_it_is_taken():
    change = transform.parse("standard")
    first, again, other = (transform.drawn(change, [1, 0, step], 2)(IMAGE) for step in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize(
    "steps",
    [
        ["pad(12)", "jitter(8)", "scale(0.9, 1.1)", "rotate(10)", "jitter(4)"],
        ["pad(16)", "window(0.4, 1, 0.7)", "rotate(10)", "noise(0.04)"],
        ["jitter(50)", "pad(3.7)", "color(0.1)"],
        ["crops(8)", "noise(0.08)"],
        ["pad(40)", "crops(3, 50)", "pad(2)"],
        ["crops(2, 0)", "crops(3)"],
    ],
)
def test_the_most_pixels_are_those_of_the_largest_step(steps):
    given = IMAGE[:1]
    sizes = [given.shape] + [one(", ".join(steps[: n + 1]), given).shape for n in range(len(steps))]
    most = max(count * height * width for count, _, height, width in sizes)
    for each in ("", "each "):
        assert transform.most_pixels(each + ", ".join(steps), 20, 31) == most


def test_the_most_pixels_of_named_ones():
    found = [transform.most_pixels(text, 224, 300) for text in ("none", "standard", "windows", "crops")]
    assert found == [224 * 300, 248 * 324, 256 * 332, 8 * 224**2]


def test_none():
    assert transform.parse("none") is None and transform.parse("") is None


@pytest.mark.parametrize(
    "text",
    ["nonsense", "jitter", "jitter(a)", "jitter(1, 2, 3)", "turn(3)", "pad(-1)", "scale(2, 1)", "pad(1)!"],
)
def test_what_is_wrong_is_said(text):
    with pytest.raises(PhospheneError) as caught:
        transform.parse(text)
    assert caught.value.code == "E_PARAM" and "\n" not in str(caught.value)
