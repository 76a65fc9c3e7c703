"""BVLC GoogLeNet, the network of the 2015 notebook (Szegedy et al. 2014, as the Caffe Model Zoo has it).

One flat module whose children carry the names of Caffe's layers, so that a state dict's keys are
Caffe's too, and every blob of the notebook's `net.blobs` can be watched (its `*_split_*` blobs are
copies that Caffe makes, and are left out). A convolution's name means before its ReLU.
Input: BGR, 0..255, minus the mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from phosphene.models import architecture, imagenet
from phosphene.models.response_norm import ResponseNorm
from phosphene.models.sources import Built, Given

MEAN_DREAM = (104.0, 116.0, 122.0)  # the notebook's; classification uses MEAN_CLASSIFY
MEAN_CLASSIFY = (104.0, 117.0, 123.0)

# cell: input, 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj (channels)
CELLS = {
    "inception_3a": (192, 64, 96, 128, 16, 32, 32),
    "inception_3b": (256, 128, 128, 192, 32, 96, 64),
    "inception_4a": (480, 192, 96, 208, 16, 48, 64),
    "inception_4b": (512, 160, 112, 224, 24, 64, 64),
    "inception_4c": (512, 128, 128, 256, 24, 64, 64),
    "inception_4d": (512, 112, 144, 288, 32, 64, 64),
    "inception_4e": (528, 256, 160, 320, 32, 128, 128),
    "inception_5a": (832, 256, 160, 320, 32, 128, 128),
    "inception_5b": (832, 384, 192, 384, 48, 128, 128),
}
POOLS = {"inception_4a": "pool3/3x3_s2", "inception_5a": "pool4/3x3_s2"}  # cell: the pool before it
BRANCHES = (
    ("1x1", "relu_1x1"),
    ("3x3_reduce", "relu_3x3_reduce", "3x3", "relu_3x3"),
    ("5x5_reduce", "relu_5x5_reduce", "5x5", "relu_5x5"),
    ("pool", "pool_proj", "relu_pool_proj"),
)


class Concat(nn.Module):
    """`[N, Ci, H, W]` each -> `[N, ΣCi, H, W]`."""

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, 1)


class GlobalMean(nn.Module):
    """`[N, C, H, W]` -> `[N, C]`; Caffe's 7×7 window is the whole map of a 224 px picture."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class BVLCGoogLeNet(nn.Module):
    """`[N, 3, H, W]`, BGR, 0..255 minus the mean -> `[N, 1000]` probabilities (`prob`)."""

    def __init__(self) -> None:
        super().__init__()
        parts = dict([*stem(), *(part for cell in CELLS for part in inception(cell)), *top()])
        for name, part in parts.items():
            self.add_module(name, part)
        self.stem = [name for name, _ in stem()]
        self.top = [name for name, _ in top()]

    def forward(self, image: Tensor) -> Tensor:
        x = self.chain(image, self.stem)
        for cell in CELLS:
            if cell in POOLS:
                x = self.chain(x, [POOLS[cell]])
            parts = [self.chain(x, [f"{cell}/{name}" for name in branch]) for branch in BRANCHES]
            x = self.get_submodule(f"{cell}/output")(*parts)
        return self.chain(x, self.top)

    def chain(self, x: Tensor, names: list[str]) -> Tensor:
        """`x` through the layers of these names, one after the other."""
        for name in names:
            x = self.get_submodule(name)(x)
        return x


def stem() -> Iterator[tuple[str, nn.Module]]:
    """Everything before the first inception cell."""
    yield "data", nn.Identity()
    yield "conv1/7x7_s2", nn.Conv2d(3, 64, 7, 2, 3)
    yield "conv1/relu_7x7", nn.ReLU()
    yield "pool1/3x3_s2", nn.MaxPool2d(3, 2, ceil_mode=True)
    yield "pool1/norm1", ResponseNorm()
    yield "conv2/3x3_reduce", nn.Conv2d(64, 64, 1)
    yield "conv2/relu_3x3_reduce", nn.ReLU()
    yield "conv2/3x3", nn.Conv2d(64, 192, 3, 1, 1)
    yield "conv2/relu_3x3", nn.ReLU()
    yield "conv2/norm2", ResponseNorm()
    yield "pool2/3x3_s2", nn.MaxPool2d(3, 2, ceil_mode=True)


def inception(cell: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a cell: four branches side by side, then their concatenation `<cell>/output`."""
    channels, one, reduce3, three, reduce5, five, projected = CELLS[cell]
    if cell in POOLS:
        yield POOLS[cell], nn.MaxPool2d(3, 2, ceil_mode=True)
    yield f"{cell}/1x1", nn.Conv2d(channels, one, 1)
    yield f"{cell}/relu_1x1", nn.ReLU()
    yield f"{cell}/3x3_reduce", nn.Conv2d(channels, reduce3, 1)
    yield f"{cell}/relu_3x3_reduce", nn.ReLU()
    yield f"{cell}/3x3", nn.Conv2d(reduce3, three, 3, 1, 1)
    yield f"{cell}/relu_3x3", nn.ReLU()
    yield f"{cell}/5x5_reduce", nn.Conv2d(channels, reduce5, 1)
    yield f"{cell}/relu_5x5_reduce", nn.ReLU()
    yield f"{cell}/5x5", nn.Conv2d(reduce5, five, 5, 1, 2)
    yield f"{cell}/relu_5x5", nn.ReLU()
    yield f"{cell}/pool", nn.MaxPool2d(3, 1, 1, ceil_mode=True)
    yield f"{cell}/pool_proj", nn.Conv2d(channels, projected, 1)
    yield f"{cell}/relu_pool_proj", nn.ReLU()
    yield f"{cell}/output", Concat()


def top() -> Iterator[tuple[str, nn.Module]]:
    """Everything after the last inception cell."""
    yield "pool5/7x7_s1", GlobalMean()
    yield "pool5/drop_7x7_s1", nn.Dropout(0.4)
    yield "loss3/classifier", nn.Linear(1024, 1000)
    yield "prob", nn.Softmax(1)


def build(file: str, given: Given = Given()) -> Built:  # noqa: B008
    """The network with the weights of `file` (safetensors, caffemodel or a state dict), made to dream."""
    made = architecture.filled("bvlc_googlenet", file, given, lambda **_: BVLCGoogLeNet())
    return Built(
        made.module,
        mean=MEAN_DREAM,
        std=(1.0, 1.0, 1.0),
        scale=255.0,
        channel_order="bgr",
        classes=imagenet.names(),
        head="loss3/classifier",
        weights_sha256=made.sha256,
        notes=made.notes,
        exact=True,
    )
