"""An independent 2015 notebook: NumPy and SciPy around the bare functions of torch.

Written from the published algorithm; shares no code with phosphene. Images are `[3, H, W]`, BGR,
0..255 minus the mean, as in the notebook.
"""

import numpy as np
import scipy.ndimage as nd
import torch
from torch.nn import functional as F

MEAN = np.float32([104.0, 116.0, 122.0])[:, None, None]
POOLED = {"inception_3b": True, "inception_4e": True}


class Net:
    """`net.blobs`: the activations on the way to a layer, from a dict of Caffe's weights."""

    def __init__(self, weights, order=torch.contiguous_format):
        self.weights, self.order = weights, order

    def conv(self, x, name, relu=True, **kw):
        y = F.conv2d(x, self.weights[name + ".weight"], self.weights[name + ".bias"], **kw)
        return F.relu(y) if relu else y

    def to(self, x, end):
        """The blob `end`; a convolution's name is its value before the ReLU."""
        for name, blob in self.walk(x.contiguous(memory_format=self.order)):
            if name == end:
                return blob
        raise KeyError(end)

    def walk(self, x):
        def lrn(y):
            return F.local_response_norm(y, 5, 1e-4, 0.75, 1.0)

        yield "conv1/7x7_s2", self.conv(x, "conv1/7x7_s2", relu=False, stride=2, padding=3)
        x = self.conv(x, "conv1/7x7_s2", stride=2, padding=3)
        x = lrn(F.max_pool2d(x, 3, 2, ceil_mode=True))
        x = self.conv(x, "conv2/3x3_reduce")
        x = self.conv(x, "conv2/3x3", padding=1)
        x = F.max_pool2d(lrn(x), 3, 2, ceil_mode=True)
        for cell in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
            name = f"inception_{cell}"
            for reduce in ("3x3_reduce", "5x5_reduce"):
                yield f"{name}/{reduce}", self.conv(x, f"{name}/{reduce}", relu=False)
            branches = [
                self.conv(x, f"{name}/1x1"),
                self.conv(self.conv(x, f"{name}/3x3_reduce"), f"{name}/3x3", padding=1),
                self.conv(self.conv(x, f"{name}/5x5_reduce"), f"{name}/5x5", padding=2),
                self.conv(F.max_pool2d(x, 3, 1, 1), f"{name}/pool_proj"),
            ]
            x = torch.cat(branches, 1)
            yield f"{name}/output", x
            if POOLED.get(name):
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        yield (
            "loss3/classifier",
            F.linear(
                x.mean((2, 3)), self.weights["loss3/classifier.weight"], self.weights["loss3/classifier.bias"]
            ),
        )


def preprocess(photo):
    """`[H, W, 3]` RGB 0..255 -> the notebook's space."""
    return np.float32(np.rollaxis(photo, 2)[::-1]) - MEAN


def deprocess(x):
    """The notebook's space -> `[H, W, 3]` RGB 0..255, not rounded."""
    return np.dstack((x + MEAN)[::-1])


def objective_l2(blob):
    return blob


def objective_guide(guide_features):
    def gradient(blob):
        channels = blob.shape[0]
        x, y = blob.reshape(channels, -1), guide_features.reshape(channels, -1)
        return y[:, x.T.dot(y).argmax(1)].reshape(blob.shape)

    return gradient


def make_step(net, x, random, end, objective, step_size=1.5, jitter=32):
    ox, oy = random.randint(-jitter, jitter + 1, 2)
    x = np.roll(np.roll(x, ox, -1), oy, -2)
    leaf = torch.tensor(x[None], requires_grad=True)
    blob = net.to(leaf, end)
    diff = objective(blob[0].detach().numpy())
    blob.backward(torch.tensor(np.ascontiguousarray(diff[None])))
    g = leaf.grad[0].numpy()
    score = 0.5 * float((blob.detach() ** 2).sum())
    x = x + step_size / np.abs(g).mean() * g
    x = np.roll(np.roll(x, -ox, -1), -oy, -2)
    return np.clip(x, -MEAN, 255 - MEAN).astype(np.float32), score


def deepdream(net, photo, seed, end="inception_4c/output", objective=objective_l2, octaves=4, steps=10):
    """`[H, W, 3]` RGB 0..255 -> (the dream likewise, the last score).

    `seed` may be a `RandomState` that goes on from frame to frame.
    """
    random = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
    bases = [preprocess(photo)]
    for _ in range(octaves - 1):
        bases.append(nd.zoom(bases[-1], (1, 1.0 / 1.4, 1.0 / 1.4), order=1))
    detail = np.zeros_like(bases[-1])
    score = 0.0
    for octave, base in enumerate(bases[::-1]):
        h, w = base.shape[-2:]
        if octave > 0:
            h1, w1 = detail.shape[-2:]
            detail = nd.zoom(detail, (1, 1.0 * h / h1, 1.0 * w / w1), order=1)
        x = base + detail
        for _ in range(steps):
            x, score = make_step(net, x, random, end, objective)
        detail = x - base
    return deprocess(x), score
