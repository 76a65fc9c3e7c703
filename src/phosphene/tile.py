"""Tiles: the gradient of a large picture, taken part by part.

A tile's gradient is taken on a crop that reaches `halo` pixels past it on every side, from the
*sum* over positions; normalisation is for the whole picture and happens elsewhere. With a halo of
at least twice the receptive field's radius nothing differs from the untiled gradient. With less,
the grid is shifted at random in every step, so that no seam stays in one place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from numpy.random import RandomState
from torch import Tensor

from phosphene import ascent
from phosphene.canvas import Canvas, Kept
from phosphene.errors import PhospheneError
from phosphene.lens import Look
from phosphene.objective import Grid, Grids, Objective

ALIGN = 32  # px: tiles start where every layer's grid does, so strided layers see the same phase
WHOLE = 1536 * 1024  # px: up to here one tile is quickest
SHIFT = 64  # px: how far the grid moves to either side at least, as seams mustn't stay in one place
SMALLEST = 16  # px: a tile that is smaller is a mistake
GROWTH = 128  # px: a multiple of every stride, by which a picture grows to find them
Span = tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """Side of the tiles and reach of their halo, in pixels; `tile` 0 is the picture as a whole."""

    tile: int = 0
    halo: int = 0


def plan(height: int, width: int, tile: int, halo: int, spread: bool) -> Plan:
    """How to take the gradient of a picture; a score that doesn't add up over positions is whole."""
    if 0 < tile < SMALLEST:
        raise PhospheneError(
            "E_PARAM", f"tile is {tile}, expected 0 (as memory allows) or at least {SMALLEST} px"
        )
    return Plan(tile, halo) if spread and 0 < tile < max(height, width) else Plan()


def whole(height: int, width: int) -> int:
    """The side of a tile that holds the whole picture."""
    return _aligned(max(height, width))


def rolls(jitter: int, patch: int) -> tuple[int, int]:
    """The shifts of a step, from the first to before the last, in pixels.

    Of a network with patches they are at least one patch and a whole number of them, so that each pixel
    is as often at every place of a patch, and no grid of patches is left in the picture.
    """
    if not patch or not jitter:
        return -jitter, jitter + 1
    span = -(-(2 * jitter + 1) // patch) * patch
    return -(span // 2), span - span // 2


def largest(height: int, width: int, plan: Plan) -> int:
    """The pixels of the largest crop that `plan` makes of a picture, wherever its grid is."""
    return math.prod(_sides(side, plan)[2] for side in (height, width))


def pixels(height: int, width: int, plan: Plan) -> int:
    """The pixels of all crops together: what takes time."""
    return math.prod(count * crop for count, _, crop in (_sides(side, plan) for side in (height, width)))


def shift(plan: Plan, random: RandomState) -> tuple[int, int]:
    """A random place (y, x) for the grid of tiles, in pixels to either side of the middle."""
    reach = _reach(plan) // ALIGN
    y, x = random.randint(-reach, reach + 1, 2) * ALIGN
    return int(y), int(x)


def grids(look: Look, layers: frozenset[str], image: Tensor | Canvas) -> dict[str, Grid]:
    """The grid of each layer, and of "input", on the whole `image`, found on thin strips of its size."""
    height, width = image.shape[-2:]
    found = {"input": Grid(height, width, 1)}
    with torch.no_grad():
        sizes = (height, 96), (height + GROWTH, 96), (96, width)
        tall, taller, wide = (look(torch.zeros(1, 3, *size, device=image.device)) for size in sizes)
    for layer in layers - {"input"}:
        if tall[layer].dim() != 4:
            found[layer] = Grid(1, 1, 0)
            continue
        rows, columns = tall[layer].shape[2], wide[layer].shape[3]
        more = taller[layer].shape[2] - rows
        found[layer] = Grid(rows, columns, GROWTH // more if more else 0)
    return found


def gradients(
    parts: Sequence[Objective],
    look: Look,
    image: Kept,
    plan: Plan,
    grid: tuple[int, int],
    whole: Grids | None,
    roll: tuple[int, int] = (0, 0),
    seen: Callable[[Tensor], Tensor] | None = None,
) -> tuple[list[Kept], Tensor]:
    """The gradient of each part's score at `image` `[N, 3, H, W]`, and the score of all, `[N]`.

    The network sees the image rolled by `roll` (y, x) pixels, and the gradients are rolled back. Of a
    picture that isn't tiled it may see what `seen` makes of it: a transform.
    """
    (down, right), (height, width) = roll, image.size
    found = [image.empty() for _ in parts]
    score = torch.zeros(image.shape[0], device=image.device)
    columns = list(_crops(width, plan, grid[1]))
    for tile_y, (first, last) in _crops(height, plan, grid[0]):
        image.expect(first - down, last - first)
        for tile_x, (start, end) in columns:
            crop = image.crop(first - down, start - right, last - first, end - start)
            window = tile_y[0] - first, tile_y[1] - first, tile_x[0] - start, tile_x[1] - start
            if plan.tile:
                pieces, part_score = _gradients(parts, look, crop, whole, window)
            else:
                pieces, part_score = _gradients(parts, look, crop, None, None, seen)
            for g, piece in zip(found, pieces, strict=True):
                part = piece[:, :, slice(*window[:2]), slice(*window[2:])]
                g.paste(tile_y[0] - down, tile_x[0] - right, part)
            score += part_score
            del crop, pieces, piece, part  # what would lie in the way of the next crop's
    if plan.tile:
        ascent.trim()
    return found, score


def _gradients(
    parts: Sequence[Objective],
    look: Look,
    image: Tensor,
    whole: Grids | None,
    window: tuple[int, int, int, int] | None,
    seen: Callable[[Tensor], Tensor] | None = None,
) -> tuple[list[Tensor], Tensor]:
    with torch.inference_mode(False), torch.enable_grad():
        x = image.detach().clone() if image.is_inference() else image.detach()
        x.requires_grad_()
        acts = look(seen(x) if seen else x)
        found, total, count = [], torch.zeros(image.shape[0], device=image.device), image.shape[0]
        for rest, part in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
            score = part.score(acts, whole, images=count)
            total = total + (part.score(acts, whole, window) if window else score).detach()
            found.append(torch.autograd.grad(score.sum(), x, retain_graph=rest > 0)[0])
    return found, total


def _aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def _reach(plan: Plan) -> int:
    """How far the grid is shifted: the first and the last crop have that to spare, as they have one halo."""
    return min(max(plan.halo, SHIFT), plan.tile // 4) // ALIGN * ALIGN


def _sides(length: int, plan: Plan) -> tuple[int, int, int]:
    """Along one side: how many tiles there are, a tile's length, a crop's."""
    most = max(ALIGN, plan.tile // ALIGN * ALIGN)
    if not plan.tile or length <= plan.tile:
        return 1, length, length
    tile = _aligned(-(-length // -(-length // most)))
    halo = _aligned(plan.halo)
    crop = tile + halo + max(halo, _reach(plan)) + length % ALIGN
    return -(-length // tile), tile, min(crop, length)


def _crops(length: int, plan: Plan, shift: int) -> Iterator[tuple[Span, Span]]:
    """Along one side: every tile's span, and its crop's.

    All crops are of one length, as a network's steps are made ready for every size that they see,
    which takes time and stays in memory. A crop starts at a multiple of ALIGN and its length is
    congruent to the whole side's, so that networks whose padding depends on the size (TensorFlow's
    SAME) pad it as they pad the whole.
    """
    count, tile, crop = _sides(length, plan)
    edges = [edge for edge in range(tile + shift, tile * count + shift, tile) if 0 < edge < length]
    for start, end in pairwise([0, *edges, length] if count > 1 else [0, length]):
        first = min(max(0, start - _aligned(plan.halo)), length - crop)
        yield (start, end), (first, first + crop)
