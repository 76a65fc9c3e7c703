"""What a picture should have little of, by value."""

import numpy as np
import torch
from scipy.ndimage import convolve

from phosphene import penalty

IMAGE = torch.rand(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))


def score(objective):
    return objective({"input": IMAGE}).numpy()


def test_by_value():
    x = IMAGE.numpy()
    assert np.allclose(score(penalty.l1()), np.abs(x - 0.5).sum((1, 2, 3)) / 63, rtol=1e-5)
    assert np.allclose(score(penalty.l2()), ((x - 0.5) ** 2).sum((1, 2, 3)) / 63, rtol=1e-5)


def test_blur_by_value_and_its_gradient():
    kernel = np.array([[0.5, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 0.5]])
    ones = convolve(np.ones((7, 9)), kernel, mode="constant")
    soft = np.stack(
        [[convolve(plane, kernel, mode="constant") / ones for plane in image] for image in IMAGE.numpy()]
    )
    rest = IMAGE.numpy() - soft
    assert np.allclose(score(penalty.blur()), (rest**2).sum((1, 2, 3)) / 2 / 63, rtol=1e-5)
    x = IMAGE.clone().requires_grad_()
    (g,) = torch.autograd.grad(penalty.blur()({"input": x}).sum(), x)
    assert np.allclose(g.numpy(), rest / 63, atol=1e-6)
