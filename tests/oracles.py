"""What phosphene computes, written a second time from the published formulas in NumPy and SciPy."""

import math

import numpy as np
import scipy.signal
import torch

KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def same(size):
    """TensorFlow's SAME padding before and after, for a kernel of 5 and stride 2."""
    total = max((math.ceil(size / 2) - 1) * 2 + 5 - size, 0)
    return total // 2, total - total // 2


def down(plane):
    padded = np.pad(plane, (same(plane.shape[0]), same(plane.shape[1])))
    return scipy.signal.correlate2d(padded, KERNEL, mode="valid")[::2, ::2]


def up(low, shape):
    stuffed = np.zeros((2 * low.shape[0] - 1, 2 * low.shape[1] - 1))
    stuffed[::2, ::2] = low
    grown = scipy.signal.convolve2d(stuffed, 4 * KERNEL, mode="full")
    top, left = same(shape[0])[0], same(shape[1])[0]
    return grown[top : top + shape[0], left : left + shape[1]]


def laplacian(image, levels):
    """ALGORITHMS section 2 on a `[C, H, W]` array in float64."""
    bands = []
    for _ in range(levels):
        low = np.stack([down(plane) for plane in image])
        bands.append(image - np.stack([up(plane, image.shape[1:]) for plane in low]))
        image = low
    bands = [band / max(np.sqrt((band**2).mean()), 1e-10) for band in [*bands, image]]
    merged = bands.pop()
    while bands:
        band = bands.pop()
        merged = band + np.stack([up(plane, band.shape[1:]) for plane in merged])
    return merged


def one_octave(forward, photo, steps, levels=2.0, jitter=8, seed=3):
    """The 2015 loop on `[N, 3, H, W]` 0..1 with the objective half the sum of squares of `forward`."""
    random, x, pictures = np.random.RandomState(seed), photo.numpy(), []
    for _ in range(steps):
        ox, oy = random.randint(-jitter, jitter + 1, 2)
        x = np.roll(np.roll(x, ox, -1), oy, -2)
        leaf = torch.tensor(x, requires_grad=True)
        act = forward(leaf)
        act.backward(act.detach())
        g = leaf.grad.numpy()
        x = x + levels / 255 / np.abs(g).mean((1, 2, 3), keepdims=True) * g
        x = np.roll(np.roll(x, -ox, -1), -oy, -2).clip(0, 1)
        pictures.append(x)
    return pictures
