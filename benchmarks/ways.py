"""The ways to climb: each takes some steps on a picture and says how long one of them took.

phosphene    as it runs: the loop's frames, from one to the next
plain        the same with --plain
bfloat16     the same in bfloat16
cut          a loop in PyTorch that ends at the layer and wants no gradients of weights
straight     a loop in PyTorch: the whole network, a hook, gradients of the weights too
torch-dreams, dreamlens   from PyPI, as their own documentation uses them
gemm         no climb: a product of large matrices, as the measure of the machine
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.cases import CASES, EnoughError, lens, usual
from benchmarks.peers import FOLDER

if TYPE_CHECKING:
    from phosphene.canvas import Disk

Clock = Callable[[], float]
Steps = Callable[[int], float]  # so many steps -> seconds of one of them
OURS = ("phosphene", "plain", "cut", "straight")
PEERS = ("torch-dreams", "dreamlens")
LARGE = 32_000_000  # px: from here on a picture is dreamed on disk
SIDES = (512, 1024, 1536, 2048, 3072)


def way(name: str, case: str, height: int, width: int, clock: Clock, max_memory: str = "") -> Steps:
    """The way of that `name` on the network `case`, at a size in pixels."""
    if name == "gemm":
        return lambda _: gemm(clock)
    if name in ("phosphene", "plain", "bfloat16"):
        return climb(name, case, height, width, clock, max_memory)
    if name in PEERS:
        sys.path.append(FOLDER)
        make = {"torch-dreams": torch_dreams, "dreamlens": dreamlens}[name]
        return make(usual(case), CASES[case], height, width, clock)
    return loop(usual(case), CASES[case], name == "cut", height, width, clock)


def between(times: list[float]) -> float:
    """Seconds of a step from the times at which each came to the same point; the first warms up."""
    return (times[-1] - times[0]) / (len(times) - 1)


def climb(name: str, case: str, height: int, width: int, clock: Clock, max_memory: str) -> Steps:
    """phosphene's own loop, on one octave."""
    from phosphene import engine
    from phosphene.config import Dream

    seer = lens(case, plain=name == "plain", dtype="bfloat16" if name == "bfloat16" else "float32")
    image = noise(height, width)

    def steps(count: int) -> float:
        config = Dream(octaves=1, steps=count + 1, smooth=0, seed=0, max_memory=max_memory)
        frames = engine.dream(image, CASES[case], seer, config)
        return between([clock() for _ in frames])

    return steps


def noise(height: int, width: int) -> Tensor | Disk:
    """A picture to start from `[1, 3, H, W]`; a large one on disk, as the command line has it."""
    from phosphene.canvas import Disk

    random = torch.Generator().manual_seed(0)
    if height * width <= LARGE:
        return torch.rand(1, 3, height, width, generator=random)
    canvas = Disk.new(tempfile.gettempdir(), (1, 3, height, width))
    for top, bottom in canvas.strips():
        canvas.put(top, torch.rand(1, 3, bottom - top, width, generator=random))
    return canvas


def loop(module: nn.Module, layer: str, cut: bool, height: int, width: int, clock: Clock) -> Steps:
    """Ascent as most people write it; `cut` ends the pass at the layer and freezes the weights."""
    module.requires_grad_(not cut)
    start = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        seen.append(output)
        if cut:
            raise EnoughError

    module.get_submodule(layer).register_forward_hook(hook)

    def steps(count: int) -> float:
        x, times = start.clone(), []
        for _ in range(count + 1):
            x.requires_grad_()
            with suppress(EnoughError):
                module(4 * x - 2)
            module.zero_grad()
            (g,) = gradient_of(seen.pop().square().mean(), x, cut)
            x = (x.detach() + 2 / 255 * g / g.abs().mean()).clamp(0, 1)
            times.append(clock())
        return between(times)

    return steps


def gradient_of(score: Tensor, x: Tensor, cut: bool) -> tuple[Tensor, ...]:
    """At the picture alone, or by `backward()`, which finds those of the weights as well."""
    if cut:
        return torch.autograd.grad(score, x)
    score.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return (x.grad,)


def torch_dreams(module: nn.Module, layer: str, height: int, width: int, clock: Clock) -> Steps:
    """Its Dreamer; without the transforms, that would change the size."""
    from torch_dreams import Dreamer

    dreamer = Dreamer(module, quiet=True, device="cpu")
    dreamer.set_custom_transforms(nn.Identity())

    def steps(count: int) -> float:
        times = []

        def loss(outputs: list[Tensor]) -> Tensor:
            times.append(clock())
            return -outputs[0].square().mean()

        layers = [module.get_submodule(layer)]
        dreamer.render(layers, width=width, height=height, iters=count + 1, custom_func=loss)
        return between(times)

    return steps


def dreamlens(module: nn.Module, layer: str, height: int, width: int, clock: Clock) -> Steps:
    """Its FeatureVisualizer; without the transforms, that would change the size."""
    from dreamlens import FeatureVisualizer, RenderConfig, TransformConfig

    visualizer = FeatureVisualizer(module, quiet=True)

    def steps(count: int) -> float:
        times = []

        def loss(outputs: list[Tensor]) -> Tensor:
            times.append(clock())
            return -outputs[0].square().mean()

        config = RenderConfig(
            width=width, height=height, steps=count + 1, transform=TransformConfig(transforms=nn.Identity())
        )
        visualizer.maximize(module.get_submodule(layer), config=config, objective=loss)
        return between(times)

    return steps


def gemm(clock: Clock) -> float:
    """Seconds of an operation in the product of large matrices, at best."""
    best = math.inf
    for side in SIDES:
        a, b = torch.randn(side, side), torch.randn(side, side)
        for _ in range(3):
            start = clock()
            torch.mm(a, b)
            best = min(best, (clock() - start) / (2 * side**3))
    return best


CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
