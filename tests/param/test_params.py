"""Every parametrization by value, against formulas in NumPy and SciPy."""

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from scipy.ndimage import zoom

from phosphene.param import PARAMS
from phosphene.param.base import CORRELATED
from phosphene.param.cppn import REACH

SIZES = [(24, 32), (15, 21), (16, 17)]
ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])


def smooth(size, seed=0):
    """A picture without black, white or sharp edges, `[1, 3, H, W]`."""
    coarse = RandomState(seed).uniform(0.2, 0.8, (3, 4, 4))
    fine = np.stack([zoom(plane, [side / 4 for side in size], order=1) for plane in coarse])
    return torch.from_numpy(fine)[None].float()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def colored(channels):
    return sigmoid(np.einsum("rc,chw->rhw", ROOT / np.linalg.norm(ROOT, axis=0).max(), channels))


def scattered(kind, size, count=2):
    param = PARAMS[kind](count, size)
    param.scatter([RandomState(number) for number in range(count)])
    return param


def test_colours_are_lucids():
    assert np.allclose(CORRELATED, ROOT / np.linalg.norm(ROOT, axis=0).max())


@pytest.mark.parametrize("size", SIZES)
def test_fourier_by_value(size):
    param = scattered("fourier", size)
    height, width = size
    f = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None] ** 2)
    scale = 1 / np.maximum(f, 1 / max(size))
    for number, image in enumerate(param().detach().numpy()):
        raw = 0.01 * RandomState(number).normal(size=(3, height, width // 2 + 1, 2))
        waves = (raw[..., 0] + 1j * raw[..., 1]) * scale
        channels = np.fft.irfft2(waves, s=size, norm="ortho") / 4
        assert np.allclose(image, colored(channels), atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_maco_by_value(size):
    from phosphene.param.maco import EXPONENT

    param = scattered("maco", size, 1)
    height, width = size
    phase = RandomState(0).normal(size=(3, height, width // 2 + 1))
    phase = (phase - phase.mean((1, 2), keepdims=True)) / phase.std((1, 2), keepdims=True)
    phase *= np.pi  # deviation 1 makes a white corner
    f = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None] ** 2)
    f = np.maximum(f, 1 / max(size))
    magnitude = np.stack([f**-exponent for exponent in EXPONENT[:3]])
    magnitude[:, 0, 0] = 0
    channels = np.fft.irfft2(magnitude * np.exp(1j * phase), s=size)
    channels = (channels - channels.mean((1, 2), keepdims=True)) / channels.std((1, 2), keepdims=True)
    assert np.allclose(param()[0].detach().numpy(), colored(channels), atol=1e-4)


def test_maco_keeps_its_magnitudes():
    param = scattered("maco", (16, 20), 1)
    before = {name: buffer.clone() for name, buffer in param.named_buffers()}
    param.fit(smooth((16, 20)))
    assert [name for name, _ in param.named_parameters()] == ["phase"]
    assert all(torch.equal(buffer, before[name]) for name, buffer in param.named_buffers())


@pytest.mark.parametrize("size", SIZES)
def test_laplacian_by_value(size):
    param = scattered("laplacian", size, 1)
    random, total = RandomState(0), np.zeros((3, *size))
    for level in range(4):
        side = [-(-length // 2**level) for length in size]
        values = 0.1 * random.normal(size=(3, *side))
        for axis in (1, 2):  # bilinear, half-pixel centres, edges repeated
            old, new = values.shape[axis], size[axis - 1]
            place = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
            low = np.floor(place).astype(int)
            share = (place - low).reshape([-1 if a == axis else 1 for a in range(3)])
            high = np.minimum(low + 1, old - 1)
            values = np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share
        total += values
    assert np.allclose(param()[0].detach().numpy(), colored(total), atol=1e-5)


def test_cppn_by_value():
    size = 9, 12
    param = scattered("cppn", size, 2)
    with torch.no_grad():
        param.weight_8.copy_(torch.randn(param.weight_8.shape, generator=torch.Generator().manual_seed(0)))
        param.bias_3.fill_(0.25)
    step = 2 * REACH / 8
    for number, image in enumerate(param().detach().numpy()):
        for y, x in [(0, 0), (4, 7), (8, 11)]:
            value = np.array([(x - 5.5) * step, (y - 4) * step])
            for layer in range(9):
                weight = param.get_parameter(f"weight_{layer}")[number].detach().numpy().astype(float)
                value = weight @ value + (0.25 if layer == 3 else 0)
                if layer < 8:
                    value = np.arctan(value)
                    value = np.concatenate([value / 0.67, value**2 / 0.6])
            assert np.allclose(image[:, y, x], sigmoid(value), atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("kind", "near"), [("pixel", 1e-7), ("fourier", 1e-4), ("laplacian", 1e-4), ("cppn", 0.05)]
)
def test_fits_a_picture(kind, near, size):
    param, image = PARAMS[kind](1, size), smooth(size)
    param.fit(image)
    assert (param() - image).abs().mean() < near


def test_a_cppn_fits_a_large_picture_as_well():
    param, image = PARAMS["cppn"](1, (150, 200)), smooth((150, 200))
    param.fit(image)
    assert (param() - image).abs().mean() < 0.05


@pytest.mark.parametrize("kind", PARAMS)
def test_a_picture_grows_and_shrinks_back(kind):
    image = smooth((24, 32))
    param = PARAMS[kind](1, (24, 32))
    param.fit(image)
    grown = param.resized((33, 44))
    assert grown().shape == (1, 3, 33, 44)
    assert (grown.resized((24, 32))() - param()).abs().mean() < 0.02
    middle = torch.nn.functional.interpolate(param().detach(), (33, 44), mode="bilinear")
    assert (grown() - middle).abs().mean() < 0.06


@pytest.mark.parametrize("kind", PARAMS)
def test_pictures_never_mix(kind):
    param = scattered(kind, (16, 16), 2)
    param()[0].sum().backward()
    assert all(not bool(values.grad[1].any()) for values in param.parameters())
    again = scattered(kind, (16, 16), 1)
    assert torch.allclose(again()[0], param()[0], atol=1e-6)


@pytest.mark.parametrize("kind", PARAMS)
def test_gradient_by_value(kind):
    param = scattered(kind, (12, 10), 1).double()
    toward = torch.randn(1, 3, 12, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (param() * toward).sum().backward()
    name, values = next(iter(param.named_parameters()))
    where = torch.unravel_index(values.grad.abs().argmax(), values.shape)
    ends = []
    for step in (-1e-5, 1e-5):
        with torch.no_grad():
            values[where] += step
            ends.append(float((param() * toward).sum()))
            values[where] -= step
    assert np.isclose((ends[1] - ends[0]) / 2e-5, float(values.grad[where]), rtol=1e-3), name
