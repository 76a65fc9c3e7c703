"""Where a network without a card dreams well: found by looking at which layers run, and how coarse they are.

Two thirds of the depth at stride 16 is where features are things: eyes, heads, wheels. Depth is counted in
layers with weights, in the order in which they run. A block's output is preferred to what is inside one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.presented import explained

OBJECTIVE = (2 / 3, 16)  # depth, stride in px
GUIDE = (0.45, 8)
WEIGHTED = (nn.Linear, nn.Conv2d)
PREFIX = 16  # tokens at most that come before those of a grid
TRIES = 12  # layers that the lens may refuse before one that it doesn't


@dataclass(frozen=True)
class Seen:
    """A layer's output: the part of the depth that is behind it, px between its positions, its channels."""

    name: str
    depth: float
    stride: float
    channels: int
    block: bool  # there are layers with weights inside

    def distance(self, depth: float, stride: float, widest: int) -> float:
        """How far this is from what is wanted; what is inside a block, or narrow, is farther."""
        octaves = abs(math.log2(self.stride / stride))
        inside = 0.04 * self.name.count(".") + (0 if self.block else 0.12)
        return abs(self.depth - depth) + octaves + inside + (0.15 if self.channels * 8 < widest else 0)


def layer(lens: Lens, depth: float, stride: float) -> str:
    """The layer of `lens` nearest to `depth` (0..1) and to `stride`; E_LAYER where none can be watched."""
    found = look(lens)
    widest = {seen.stride: max(s.channels for s in found if s.stride == seen.stride) for seen in found}
    found.sort(key=lambda seen: seen.distance(depth, stride, widest[seen.stride]))
    for seen in found[:TRIES]:
        with suppress(PhospheneError), torch.no_grad(), lens.watching([seen.name]) as watch:
            if watch(grey(lens))[seen.name].dim() == 4:
                return seen.name
    raise PhospheneError(
        "E_LAYER", f"no layer of {lens.name} suggests itself; give --objective, `phosphene layers` lists them"
    )


def look(lens: Lens) -> list[Seen]:
    """The layers that run once and give a grid of positions, in the order in which they end."""
    ended: list[tuple[str, int, object]] = []  # name, layers with weights so far, output
    weighted = 0

    def see(name: str, part: nn.Module, output: object) -> None:
        nonlocal weighted
        weighted += isinstance(part, WEIGHTED)
        ended.append((name, weighted, output))

    with torch.no_grad(), hooked(lens.module, see):
        try:
            lens.module(lens.prepare(grey(lens)))
        except Exception as error:
            if not any(grid(output, lens.size)[0] for _, _, output in ended):
                raise explained(error, (lens.size, lens.size), lens.name, ["input"]) from error
    names = [name for name, _, _ in ended]
    parts = dict(lens.module.named_modules())
    found = []
    for name, before, output in ended:
        side, channels = grid(output, lens.size)
        if side and names.count(name) == 1:
            inside = (part for part in parts[name].modules() if part is not parts[name])
            block = any(isinstance(part, WEIGHTED) for part in inside)
            found.append(Seen(name, before / max(1, weighted), lens.size / side, channels, block))
    return found


def grid(output: object, size: int) -> tuple[int, int]:
    """How many positions along a side, and channels: of maps in either order, of tokens; else 0, 0."""
    if not isinstance(output, Tensor) or output.dim() not in (3, 4):
        return 0, 0
    _, *shape = output.shape
    if output.dim() == 3:
        side, channels = math.isqrt(shape[0]), shape[1]
        fits = shape[0] - side * side <= PREFIX
    else:
        side, channels = (shape[1], shape[0]) if shape[1] == shape[2] else (shape[0], shape[2])
        fits = side == shape[1]
    return (side, channels) if fits and 2 <= side <= size else (0, 0)


def grey(lens: Lens) -> Tensor:
    """`[1, 3, size, size]`, of the size that the network was trained with."""
    return torch.full((1, 3, lens.size, lens.size), 0.5, device=lens.device)


@contextmanager
def hooked(module: nn.Module, see: Callable[[str, nn.Module, object], None]) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        return lambda part, _inputs, output: see(name, part, output)

    handles = [part.register_forward_hook(hook(name)) for name, part in module.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
