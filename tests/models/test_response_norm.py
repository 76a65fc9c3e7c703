"""Local response normalisation against NumPy in float64, and gradcheck."""

import numpy as np
import pytest
import torch

from phosphene.models.response_norm import ResponseNorm

CASES = [
    ((2, 7, 3, 4), 5, 1e-4, 0.75, 1.0),
    ((1, 64, 5, 6), 5, 1e-4, 0.75, 1.0),
    ((1, 3, 2, 2), 5, 2.0, 0.5, 2.0),
    ((2, 1, 3, 3), 3, 0.5, 1.0, 1.0),
    ((1, 2, 3, 3), 9, 0.5, 0.75, 1.0),
    ((1, 6, 2, 3), 1, 0.5, 0.75, 1.0),
]


def by_formula(x, size, alpha, beta, k):
    """x / (k + alpha/size · Σ x²)^beta, channel by channel."""
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        window = x[:, max(0, c - size // 2) : c + size // 2 + 1]
        out[:, c] = x[:, c] / (k + alpha / size * (window**2).sum(1)) ** beta
    return out


def gradient_by_formula(x, g, size, alpha, beta, k):
    """d Σ g·y / dx from the Jacobian's two terms, one pair of channels at a time."""
    s = np.stack(
        [
            k + alpha / size * (x[:, max(0, c - size // 2) : c + size // 2 + 1] ** 2).sum(1)
            for c in range(x.shape[1])
        ],
        1,
    )
    out = g * s**-beta
    for c in range(x.shape[1]):
        for other in range(max(0, c - size // 2), min(x.shape[1], c + size // 2 + 1)):
            slope = -2 * beta * alpha / size * x[:, other] * x[:, c] * s[:, c] ** (-beta - 1)
            out[:, other] += g[:, c] * slope
    return out


@pytest.mark.parametrize(("shape", "size", "alpha", "beta", "k"), CASES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_forward_and_gradient(shape, size, alpha, beta, k, layout):
    rng = np.random.default_rng(0)
    x, g = rng.normal(0, 30, shape), rng.normal(size=shape)
    image = torch.from_numpy(x).float().contiguous(memory_format=layout).requires_grad_()
    out = ResponseNorm(size, alpha, beta, k)(image)
    out.backward(torch.from_numpy(g).float())
    np.testing.assert_allclose(
        out.detach().numpy(), by_formula(x, size, alpha, beta, k), rtol=3e-5, atol=1e-6
    )
    expected = gradient_by_formula(x, g, size, alpha, beta, k)
    np.testing.assert_allclose(image.grad.numpy(), expected, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize(("shape", "size", "alpha", "beta", "k"), CASES)
def test_gradcheck(shape, size, alpha, beta, k):
    torch.manual_seed(0)
    x = torch.randn(shape[0], shape[1], 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ResponseNorm(size, alpha, beta, k), (x,))


def test_half_precision_survives_squares_beyond_its_range():
    x = torch.full((1, 8, 2, 2), 2000.0)
    exact = ResponseNorm()(x)
    for dtype in (torch.float16, torch.bfloat16):
        half = ResponseNorm()(x.to(dtype))
        assert half.dtype == dtype
        torch.testing.assert_close(half.float(), exact, rtol=1e-2, atol=0)


def test_an_even_window_has_no_middle():
    with pytest.raises(ValueError, match="odd"):
        ResponseNorm(4)
