"""The table of layers against the standard recurrence: r += (k - 1)·j, j *= s."""

import torch
from torch import nn

from phosphene import models
from phosphene.layers import table
from phosphene.lens import Lens
from phosphene.models.bvlc_googlenet import BVLCGoogLeNet
from phosphene.models.fit import NoWeights


def recurrence(*kernels_and_strides):
    field, jump = 1, 1
    for kernel, stride in kernels_and_strides:
        field, jump = field + (kernel - 1) * jump, jump * stride
    return jump, field


def rows(lens):
    return {row.name: row for row in table(lens)}


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.reduce = nn.Conv2d(6, 6, 1)

    def forward(self, x):
        return x * self.reduce(x.mean((2, 3), keepdim=True)).sigmoid()


class Oddities(nn.Module):
    """What can't be watched (a tuple, a layer run twice, one never run), and views of all kinds."""

    def __init__(self):
        super().__init__()
        self.skip = nn.Conv2d(3, 6, 1, 4)
        self.dilated = nn.Conv2d(3, 6, 3, 2, 2, dilation=2)
        self.pool = nn.MaxPool2d(2)
        self.valid = nn.Conv2d(6, 6, 5)
        self.twice = nn.ReLU6()
        self.up = nn.Upsample(scale_factor=8)
        self.excite = SqueezeExcite()
        self.split = Split()
        self.never = nn.ReLU()
        self.tokens = nn.Flatten(2)
        self.vector = nn.Linear(6, 4)

    def forward(self, x):
        skipped = self.skip(x)
        x = self.twice(self.pool(self.twice(self.dilated(x)))) + skipped
        self.up(x)
        self.tokens(x)
        x = self.excite(self.valid(x))
        self.split(x)
        return self.vector(x.mean((2, 3)))


class Split(nn.Module):
    def forward(self, x):
        return x, x


def test_views_of_all_kinds():
    torch.manual_seed(0)
    found = rows(Lens(Oddities()))
    seen = {name: (row.kind, row.channels, row.stride, row.receptive_field) for name, row in found.items()}
    assert seen == {
        "skip": ("Conv2d", 6, 4, 1),
        "dilated": ("Conv2d", 6, 2, 5),
        "pool": ("MaxPool2d", 6, 4, 7),
        "valid": ("Conv2d", 6, 4, 7 + 4 * 4),
        "twice#0": ("ReLU6", 6, 2, 5),
        "twice#1": ("ReLU6", 6, 4, 7),
        "up": ("Upsample", 6, None, None),
        "excite": ("SqueezeExcite", 6, 4, None),
        "excite.reduce": ("Conv2d", 6, None, None),
        "split[0]": ("Split", 6, 4, None),
        "split[1]": ("Split", 6, 4, None),
        "tokens": ("Flatten", 6, 4, None),
        "vector": ("Linear", 4, None, None),
    }
    assert [row.calls for row in found.values()] == [1, 1, 1, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1]
    assert [found[name].depth for name in ("excite", "excite.reduce")] == [0, 1]
    assert (found["valid"].height, found["valid"].width) == (52, 52)
    assert found["vector"].height is None
    assert found["excite"].parameters == found["excite.reduce"].parameters == 6 * 6 + 6


class Cost(nn.Module):
    """Two branches, of which one is left behind; a product of two things that depend on the picture."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.left = nn.Conv2d(8, 8, 1)
        self.right = nn.Conv2d(8, 8, 3, 1, 1, groups=4)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        left, right = self.left(x), self.right(x)
        tokens = right.flatten(2)
        return self.head((tokens @ tokens.transpose(1, 2)).mean(2)), left


def test_what_a_gradient_costs():
    """Twice the forward pass for what has weights, thrice for a product; branches beside the way once."""
    found = rows(Lens(Cost(), size=32))
    positions = 16 * 16
    stem, left, right = (2 * positions * each for each in (8 * 3 * 9, 8 * 8, 8 * 2 * 9))
    product, head = 2 * 8 * 8 * positions, 2 * 8 * 5
    assert found["stem"].gradient_flops == 2 * stem
    assert found["left"].gradient_flops == 2 * stem + 2 * left
    assert found["right"].gradient_flops == 2 * stem + left + 2 * right
    assert found["head"].gradient_flops == 2 * stem + left + 2 * right + 3 * product + 2 * head
    assert found["head"].share == 1.0
    larger = {row.name: row for row in table(Lens(Cost(), size=32), (32, 64))}
    assert larger["right"].gradient_flops == 2 * found["right"].gradient_flops
    assert (larger["right"].height, larger["right"].width) == (16, 32)


class Windows(nn.Module):
    """Means over windows of 32 px: what a position sees depends on where in its window it is."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 4, 4)
        self.windows = Windowed()

    def forward(self, x):
        return self.windows(self.patches(x))


class Windowed(nn.Module):
    def forward(self, x):
        means = nn.functional.avg_pool2d(x, 8, ceil_mode=True)
        return x + nn.functional.interpolate(means, x.shape[2:])


def test_a_view_that_depends_on_the_position_is_no_number():
    found = rows(Lens(Windows()))
    assert (found["patches"].stride, found["patches"].receptive_field) == (4, 4)
    assert (found["windows"].stride, found["windows"].receptive_field) == (4, None)


def test_a_wide_view_is_measured_up_to_the_width_of_the_picture():
    wide = nn.Sequential(*(nn.Conv2d(3, 3, (1, 401), 1, (0, 200), groups=3) for _ in range(7)))
    assert [row.receptive_field for row in table(Lens(wide))] == [401, 801, 1201, 1601, 2001, None, None]


def test_a_network_whose_weights_end_early_is_listed_up_to_there():
    early = nn.Sequential(nn.Conv2d(3, 4, 3), NoWeights("no weights", nn.ReLU()), nn.ReLU())
    assert [row.name for row in table(Lens(early))] == ["0"]


def test_nothing_stays_behind():
    lens = Lens(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    table(lens)
    assert not any(part._forward_hooks for part in lens.module.modules())


def test_bvlc_googlenet():
    torch.manual_seed(0)
    found = rows(Lens(BVLCGoogLeNet()))
    assert len(found) == 143
    stem = [(7, 2), (3, 2), (1, 1), (3, 1), (3, 2)]
    fives, threes, pool = [(5, 1)], [(3, 1)], (3, 2)
    expected = {
        "data": (),
        "conv1/7x7_s2": stem[:1],
        "pool1/norm1": stem[:2],
        "conv2/3x3": stem[:4],
        "inception_3a/5x5_reduce": stem,
        "inception_3b/3x3": [*stem, *fives, *threes],
        "inception_3b/pool_proj": [*stem, *fives, *threes],
        "inception_3b/output": [*stem, *fives * 2],
        "inception_4c/output": [*stem, *fives * 2, pool, *fives * 3],
        "inception_5b/output": [*stem, *fives * 2, pool, *fives * 5, pool, *fives * 2],
    }
    for name, chain in expected.items():
        assert (found[name].stride, found[name].receptive_field) == recurrence(*chain), name
    assert found["inception_4c/output"].channels == 512
    head = found["loss3/classifier"]
    assert (head.kind, head.channels, head.stride, head.receptive_field) == ("Linear", 1000, None, None)


def test_efficientnet_lite2():
    stages = [(3, 1, 1), (3, 2, 3), (5, 2, 3), (3, 2, 4), (5, 1, 2)]  # depthwise kernel, first stride, blocks
    chain = [(3, 2)]
    for kernel, stride, blocks in stages:
        chain += [(kernel, stride)] + [(kernel, 1)] * (blocks - 1)
    found = rows(models.load("efficientnet_lite2", device="cpu"))
    row = found["blocks.4.1"]
    assert (row.stride, row.receptive_field) == recurrence(*chain) == (16, 347)
    assert (found["blocks.4.1.conv_pw"].kind, found["blocks.4.1.conv_pw"].channels) == ("Conv2d", 720)
    assert found["classifier"].receptive_field is None
