"""Small seeded networks for the tests: strides, branches, in-place activations, a vector head."""

import torch
from torch import nn
from torch.nn import functional as F


class Concat(nn.Module):
    def forward(self, *parts):
        return torch.cat(parts, 1)


class Branching(nn.Module):
    """stem, bn, act (in place), pool, [left | right] = mix, tail, mean, head: stride 8 and 10 classes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 5, stride=2, padding=2)
        self.bn = nn.BatchNorm2d(6)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.left = nn.Conv2d(6, 4, 1)
        self.right = nn.Sequential(nn.Conv2d(6, 5, 3, padding=1), nn.ReLU(inplace=True))
        self.mix = Concat()
        self.tail = nn.Conv2d(9, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.pool(self.act(self.bn(self.stem(x))))
        x = self.mix(self.left(x), self.right(x))
        x = F.relu_(self.tail(x))
        return self.head(x.mean((2, 3)))


class Twice(nn.Module):
    """One ReLU module that runs twice, as in torchvision's ResNets."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x))))


class Fails(nn.Module):
    """Raises when it runs; counts how often."""

    def __init__(self, error):
        super().__init__()
        self.error, self.calls = error, 0

    def forward(self, x):
        self.calls += 1
        raise self.error


def seeded(network, seed=0):
    """`network` in eval mode with weights of size one and biases drawn from `seed`."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        drawn = torch.randn(tensor.shape, generator=generator)
        if tensor.dim() > 1:
            tensor.copy_(drawn / tensor[0].numel() ** 0.5)
        elif name.endswith(("running_var", "bn.weight")):
            tensor.copy_(drawn.abs() + 0.5)
        else:
            tensor.copy_(drawn * 0.1)
    return network.eval()


def branching(seed=0):
    return seeded(Branching(), seed)


def strided(seed=0):
    """Layers "0" to "5": stride 2, ReLU in place, max-pool, 3 × 3, ReLU in place, stride 2."""
    return seeded(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 7, 3, stride=2, padding=1),
        ),
        seed,
    )


def unpadded(seed=0):
    """Layers "0" to "2" without padding: stride 2, ReLU, stride 2."""
    return seeded(nn.Sequential(nn.Conv2d(3, 5, 5, stride=2), nn.ReLU(), nn.Conv2d(5, 6, 3, stride=2)), seed)


def photo(*shape, seed=0):
    """A seeded picture 0..1 with large and small structure."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((*shape[:2], 5, 7), generator=generator)
    smooth = F.interpolate(coarse, size=shape[2:], mode="bilinear")
    return (0.8 * smooth + 0.2 * torch.rand(shape, generator=generator)).clamp(0, 1)
