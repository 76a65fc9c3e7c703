"""What the time of a gradient goes into, and how near its convolutions come to the machine's best.

The best is the quickest of some convolutions of 3 × 3 in the cache, by the same library in the same
process: what no direct convolution goes beyond. `floor` is the time that the operations of forward
and input gradient would take at that speed, everything else for nothing.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import results
from benchmarks.cases import CASES, lens, operations
from phosphene.ascent.packed import LAST, convolve, pack

CONVOLUTION = ("mkldnn::_convolution_pointwise", "aten::_convolution")
KINDS = {
    "aten::hardtanh_backward": "masks of activations",
    "aten::threshold_backward": "masks of activations",
    "aten::max_pool2d_with_indices": "max-pool",
    "aten::max_pool2d_with_indices_backward": "max-pool",
    "aten::add": "sums",
    "aten::add_": "sums",
    "aten::cat": "concatenation, copies",
    "aten::copy_": "concatenation, copies",
    "_Normalise": "response norm",
    "_NormaliseBackward": "response norm",
}
WHOLE = ("_Normalise", "_NormaliseBackward")  # with all that they call


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """A table for each network and size: kinds of work, milliseconds, share."""
    best = quickest()
    text = f"Quickest convolution: {best / 1e9:.0f} GFLOP/s on {torch.get_num_threads()} threads.\n"
    for name in options.networks:
        for size in options.sizes:
            found, seconds = kinds(name, size)
            work = operations(name, size, size)
            whole = sum(found.values())
            rows = [
                [kind, f"{1e3 * spent:.1f}", f"{spent / whole:.0%}"]
                for kind, spent in sorted(found.items(), key=lambda pair: -pair[1])
            ]
            text += f"\n## {name} `{CASES[name]}`, {size} px\n\n"
            text += f"{work / 1e9:.1f} GFLOP in {1e3 * seconds:.0f} ms: {work / seconds / 1e9:.0f} GFLOP/s, "
            text += f"{work / seconds / best:.0%} of the quickest; floor {1e3 * work / best:.0f} ms\n\n"
            text += results.table(["what", "ms", "share"], rows)
            print(f"{name} {size} px: {1e3 * seconds:.0f} ms", flush=True)
    return text, {}


def kinds(name: str, size: int) -> tuple[dict[str, float], float]:
    """Seconds of each kind of work in one gradient, and of the whole without a profiler."""
    seer, layer = lens(name), CASES[name]
    image, best = torch.rand(1, 3, size, size), math.inf
    with seer.watching([layer]) as look:

        def gradient() -> None:
            x = image.clone().requires_grad_()
            torch.autograd.grad(look(x)[layer].square().mean(), x)

        for _ in range(5):
            start = time.perf_counter()
            gradient()
            best = min(best, time.perf_counter() - start)
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
            gradient()
    spent: dict[str, float] = defaultdict(float)
    inside = 0.0
    for event in profiled.key_averages(group_by_input_shape=True):
        kind = KINDS.get(event.key, "everything else")
        if event.key in CONVOLUTION:
            kind = convolution(event.input_shapes[0], event.input_shapes[1])
        if event.key in WHOLE:
            spent[kind] += event.cpu_time_total / 1e6
            inside += (event.cpu_time_total - event.self_cpu_time_total) / 1e6
        else:
            spent[kind] += event.self_cpu_time_total / 1e6
    spent["everything else"] -= inside  # its parts were counted by their own names
    return dict(spent), best


def convolution(image: list[int], weight: list[int]) -> str:
    """What kind of convolution takes a picture and a weight of these shapes."""
    if weight[1] == 1 and image[1] > 1:
        return "convolutions, depthwise"
    if image[1] <= 4:
        return "convolutions, from the picture"
    return "convolutions, 1×1" if weight[2:] == [1, 1] else "convolutions, larger"


def quickest() -> float:
    """Operations per second of the quickest convolution of 3 × 3."""
    best = 0.0
    for channels, side in ((64, 128), (128, 64), (256, 64), (512, 32)):
        x = torch.randn(1, channels, side, side).contiguous(memory_format=LAST)
        how = (1, 1), (1, 1), (1, 1), 1
        weight = pack(torch.randn(channels, channels, 3, 3), *how, list(x.shape))
        for _ in range(20):
            start = time.perf_counter()
            convolve(x, weight, None, *how, "none", [], "")
            best = max(best, 18 * channels**2 * side**2 / (time.perf_counter() - start))
    return best
