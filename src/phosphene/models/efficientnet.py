"""EfficientNet-Lite (Tan et al. 2019; TensorFlow's `efficientnet/lite`), module by module as timm names it.

timm has the same network; it is written down here as importing timm takes longer than a small dream
and 280 MB. Layers, tensors and values are those of timm's `tf_efficientnet_lite*`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-3  # of TensorFlow's batch norm
STEM, HEAD, CLASSES = 32, 1280, 1000
STAGES = {  # of each stage: blocks, kernel, stride, channels
    "efficientnet_lite0": (
        (1, 3, 1, 16),
        (2, 3, 2, 24),
        (2, 5, 2, 40),
        (3, 3, 2, 80),
        (3, 5, 1, 112),
        (4, 5, 2, 192),
        (1, 3, 1, 320),
    ),
    "efficientnet_lite2": (
        (1, 3, 1, 16),
        (3, 3, 2, 24),
        (3, 5, 2, 48),
        (4, 3, 2, 88),
        (4, 5, 1, 120),
        (5, 5, 2, 208),
        (1, 3, 1, 352),
    ),
}


class Conv2dSame(nn.Conv2d):
    """A convolution that is padded as in TensorFlow: by the picture's size, one side perhaps more."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for side, kernel, stride in zip(x.shape[-2:], self.kernel_size, self.stride, strict=True):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads = [total // 2, total - total // 2, *pads]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class BatchNormAct2d(nn.BatchNorm2d):
    """Batch norm and, unless `act` is off, ReLU6 in one module."""

    def __init__(self, channels: int, act: bool = True) -> None:
        super().__init__(channels, eps=EPSILON)
        self.drop = nn.Identity()
        self.act = nn.ReLU6(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.drop(super().forward(x)))
        return out


class DepthwiseSeparableConv(nn.Module):
    """Each channel by itself, then across channels."""

    def __init__(self, into: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = convolution(into, into, kernel, stride, groups=into)
        self.bn1 = BatchNormAct2d(into)
        self.aa, self.se = nn.Identity(), nn.Identity()
        self.conv_pw = convolution(into, out)
        self.bn2 = BatchNormAct2d(out, act=False)
        self.drop_path = nn.Identity()
        self.adds = stride == 1 and into == out

    def forward(self, image: Tensor) -> Tensor:
        x = self.se(self.aa(self.bn1(self.conv_dw(image))))
        x = self.bn2(self.conv_pw(x))
        out: Tensor = self.drop_path(x) + image if self.adds else x
        return out


class InvertedResidual(nn.Module):
    """Six times wider across channels, each channel by itself, narrow again (Sandler et al. 2018)."""

    def __init__(self, into: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = 6 * into
        self.conv_pw = convolution(into, wide)
        self.bn1 = BatchNormAct2d(wide)
        self.conv_dw = convolution(wide, wide, kernel, stride, groups=wide)
        self.bn2 = BatchNormAct2d(wide)
        self.aa, self.se = nn.Identity(), nn.Identity()
        self.conv_pwl = convolution(wide, out)
        self.bn3 = BatchNormAct2d(out, act=False)
        self.drop_path = nn.Identity()
        self.adds = stride == 1 and into == out

    def forward(self, image: Tensor) -> Tensor:
        x = self.bn1(self.conv_pw(image))
        x = self.se(self.aa(self.bn2(self.conv_dw(x))))
        x = self.bn3(self.conv_pwl(x))
        out: Tensor = self.drop_path(x) + image if self.adds else x
        return out


class Pool(nn.Module):
    """The mean over all positions: `[N, C, H, W]` -> `[N, C]`."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.flatten(self.pool(x))
        return out


class EfficientNetLite(nn.Module):
    """`efficientnet_lite0` or `efficientnet_lite2`: `[N, 3, H, W]` -> `[N, 1000]`, with random weights."""

    def __init__(self, name: str) -> None:
        super().__init__()
        stages, into = [], STEM
        self.conv_stem = convolution(3, STEM, 3, 2)
        self.bn1 = BatchNormAct2d(STEM)
        for number, (count, kernel, stride, out) in enumerate(STAGES[name]):
            kind = InvertedResidual if number else DepthwiseSeparableConv
            blocks = [kind(into, out, kernel, stride), *(kind(out, out, kernel, 1) for _ in range(count - 1))]
            stages.append(nn.Sequential(*blocks))
            into = out
        self.blocks = nn.Sequential(*stages)
        self.conv_head = convolution(into, HEAD)
        self.bn2 = BatchNormAct2d(HEAD)
        self.global_pool = Pool()
        self.classifier = nn.Linear(HEAD, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(self.bn1(self.conv_stem(image)))
        out: Tensor = self.classifier(self.global_pool(self.bn2(self.conv_head(x))))
        return out


def convolution(into: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride > 1:
        return Conv2dSame(into, out, kernel, stride, groups=groups, bias=False)
    return nn.Conv2d(into, out, kernel, padding=kernel // 2, groups=groups, bias=False)
