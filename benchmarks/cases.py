"""The networks, the layer of each whose mean square is climbed, and what a step of it computes."""

from __future__ import annotations

from contextlib import suppress

import timm
import torch
import torchvision
from torch import Tensor, nn

from phosphene import models
from phosphene.lens import Lens
from phosphene.models.bvlc_googlenet import BVLCGoogLeNet

CASES = {
    "bvlc_googlenet": "inception_4c/output",
    "googlenet": "inception4c",
    "vgg16": "features.22",
    "resnet50": "layer3",
    "efficientnet_lite2": "blocks.4.1",
}
DENSE = ("vgg16", "bvlc_googlenet", "googlenet", "resnet50", "efficientnet_lite2")


class UsualNorm(nn.Module):
    """Local response normalisation as PyTorch has it."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.local_response_norm(x, 5, 1e-4, 0.75, 1.0)


class EnoughError(Exception):
    """The layer has been reached."""


def network(name: str) -> nn.Module:
    """The network with seeded random weights; EfficientNet-Lite with its own."""
    torch.manual_seed(0)
    if name.startswith("efficientnet"):
        if torch.get_default_device().type == "meta":
            made: nn.Module = timm.create_model(f"tf_{name}").eval()
            return made
        return models.load(name, plain=True, device="cpu").module.to(memory_format=torch.contiguous_format)
    if name == "bvlc_googlenet":
        return BVLCGoogLeNet().eval()
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    made = torchvision.models.get_model(name, weights=None, **options)
    return made.eval()


def usual(name: str) -> nn.Module:
    """The network as PyTorch's own layers make it, for loops that aren't phosphene's."""
    module = network(name).requires_grad_(True)
    for part in ("pool1/norm1", "conv2/norm2"):
        if hasattr(module, part):
            module.add_module(part, UsualNorm())
    return module


def lens(name: str, *, plain: bool = False, dtype: str = "float32") -> Lens:
    """The network as phosphene sees it, with an input from -2 to 2."""
    return Lens(network(name), name=name, scale=4.0, mean=(2.0,) * 3, plain=plain, dtype=dtype)


def operations(name: str, height: int, width: int) -> int:
    """Multiplications and additions of the convolutions up to the layer, forward and input gradient.

    A convolution takes as many back as forward. Counted on shapes alone.
    """
    with torch.device("meta"):
        module = network(name)
    total = 0

    def count(part: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(part, nn.Conv2d)
        total += 2 * output.numel() * part.weight[0].numel()

    def stop(*_: object) -> None:
        raise EnoughError

    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(count)
    module.get_submodule(CASES[name]).register_forward_hook(stop)
    with suppress(EnoughError), torch.no_grad():
        module(torch.empty(1, 3, height, width, device="meta"))
    return 2 * total
