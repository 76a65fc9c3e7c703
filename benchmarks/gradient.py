"""Seconds for one gradient of the mean square of a layer, phosphene beside what is usually done.

    straight   the whole network, a hook, gradients of the weights too, as most loops do
    cut        the same, ended at the layer and frozen
    plain      phosphene without its fast path
    phosphene  as it runs

The ways take turns, so that what else the machine does falls on all of them; the table has the
medians. `GEMM` is the share of the speed at which this machine multiplies large matrices, from the
operations of forward and input gradient.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from phosphene.lens import Lens
from phosphene.models import efficientnet_lite
from phosphene.models.bvlc_googlenet import BVLCGoogLeNet

CASES = {
    "bvlc_googlenet": "inception_4c/output",
    "googlenet": "inception4c",
    "vgg16": "features.22",
    "resnet50": "layer3",
    "efficientnet_lite2": "blocks.4.1",
}
WAYS = ("straight", "cut", "plain", "phosphene")
Gradient = Callable[[], object]
Clock = Callable[[], float]


class UsualNorm(nn.Module):
    """Local response normalisation as PyTorch has it."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.local_response_norm(x, 5, 1e-4, 0.75, 1.0)


class EnoughError(Exception):
    """The layer has been reached."""


def network(name: str) -> nn.Module:
    """The network with seeded random weights; EfficientNet-Lite with its own."""
    torch.manual_seed(0)
    if name == "efficientnet_lite2":
        return efficientnet_lite.lens(name).module.to(memory_format=torch.contiguous_format)
    if name == "bvlc_googlenet":
        return BVLCGoogLeNet().eval()
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    made: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return made.eval()


@contextmanager
def loop(module: nn.Module, layer: str, image: Tensor, cut: bool) -> Iterator[Gradient]:
    """One gradient by a hook; `cut` ends the pass there and asks for no gradients of weights."""
    module = copy.deepcopy(module).requires_grad_(not cut)
    for name in ("pool1/norm1", "conv2/norm2"):
        if hasattr(module, name):
            module.add_module(name, UsualNorm())
    seen: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        seen.append(output)
        if cut:
            raise EnoughError

    def gradient() -> None:
        x = image.clone().requires_grad_()
        with suppress(EnoughError):
            module(x)
        module.zero_grad()
        seen.pop().square().mean().backward()

    with module.get_submodule(layer).register_forward_hook(hook):
        yield gradient


@contextmanager
def climb(lens: Lens, layer: str, image: Tensor) -> Iterator[Gradient]:
    """One gradient as in phosphene's own loop."""
    with lens.watching([layer]) as look:

        def gradient() -> None:
            x = image.clone().requires_grad_()
            torch.autograd.grad(look(x)[layer].square().mean(), x)

        yield gradient


def seconds(way: AbstractContextManager[Gradient], clock: Clock) -> float:
    """Of the second gradient in a row: the first pays for its memory."""
    with way as gradient:
        gradient()
        start = clock()
        gradient()
        return clock() - start


def gemm(clock: Clock) -> float:
    """Operations per second of a large matrix product, at best."""
    a, best = torch.randn(1536, 1536), math.inf
    for _ in range(10):
        start = clock()
        a @ a
        best = min(best, clock() - start)
    return 2 * len(a) ** 3 / best


def operations(lens: Lens, layer: str, image: Tensor) -> int:
    """Of forward and input gradient: a convolution takes the same number either way."""
    with torch.no_grad(), lens.watching([layer]) as look, FlopCounterMode(display=False) as counter:
        look(image)
    return 2 * counter.get_total_flops()


def measured(name: str, size: int, repeats: int, clock: Clock) -> str:
    """One line of the table."""
    module, layer, image = network(name), CASES[name], torch.rand(1, 3, size, size)
    plain, fast = (Lens(module, scale=4.0, mean=(2.0,) * 3, plain=plain) for plain in (True, False))
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    peaks = []
    for _ in range(repeats):
        ways = (
            loop(module, layer, 4 * image - 2, False),
            loop(module, layer, 4 * image - 2, True),
            climb(plain, layer, image),
            climb(fast, layer, image),
        )
        for way, gradient in zip(WAYS, ways, strict=True):
            times[way].append(seconds(gradient, clock))
        peaks.append(gemm(clock))
    middle = {way: statistics.median(found) for way, found in times.items()}
    quick = middle["phosphene"]
    share = operations(plain, layer, image) / quick / statistics.median(peaks)
    cells = [f"{value:.3f}" for value in middle.values()]
    ratios = [f"{middle[way] / quick:.2f}×" for way in WAYS[:-1]]
    return f"| {name} `{layer}` | {size} | {' | '.join([*cells, *ratios])} | {share:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="The speed of the gradient.")
    parser.add_argument("--networks", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--sizes", nargs="+", type=int, default=[224])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="processor time, one thread: for a busy machine")
    options = parser.parse_args()
    clock = time.process_time if options.cpu else time.perf_counter
    options.threads = 1 if options.cpu else options.threads
    torch.set_num_threads(options.threads)
    print(
        f"PyTorch {torch.__version__}, {options.threads} threads, {gemm(clock) / 1e9:.0f} GFLOP/s at GEMM\n"
    )
    heads = ["network", "px", *(f"{way}, s" for way in WAYS), *(f"÷ {way}" for way in WAYS[:-1]), "GEMM"]
    print(f"| {' | '.join(heads)} |\n|---|{'--:|' * (len(heads) - 1)}")
    for size in options.sizes:
        for name in options.networks:
            print(measured(name, size, options.repeats, clock), flush=True)


if __name__ == "__main__":
    main()
