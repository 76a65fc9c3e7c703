"""What a layer's tensor is: a map, a vector or tokens; and as `[N, C, H, W]` or `[N, C]` whatever it was.

The network is looked at with pictures of several sizes. The dimensions that change with a picture's
sides are height and width, the one that changes with its area counts tokens, and the one that stays
is the channels. What can't be told apart is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from torch import Tensor

Size = tuple[int, int]  # height, width
Shape = tuple[int, ...]
MOST = 16  # class and register tokens
COARSEST = 64  # px for a token


@dataclass(frozen=True)
class Layout:
    """`kind` is "map" `[N, C, H, W]`, "nhwc", "vector" `[N, C]` or "tokens".

    Tokens are counted along `axis`: `prefix` ones, then those of a grid with one for every `stride` px.
    """

    kind: str
    axis: int = 1
    prefix: int = 0
    stride: int = 0


MAP, NHWC, VECTOR = Layout("map"), Layout("nhwc"), Layout("vector")


def fold(act: Tensor, grid: Size, prefix: int, axis: int = 1) -> Tensor:
    """Tokens `[N, prefix + h·w, C]` as `[N, C, h, w]`, without the prefix; `axis` 2 for `[N, C, T]`."""
    places = act.movedim(axis, 2)[:, :, prefix:]
    return places.reshape(*places.shape[:2], *grid)


def prefixed(act: Tensor, prefix: int, axis: int = 1) -> Tensor:
    """The class and register tokens of `[N, T, C]` as `[N, C, prefix]`."""
    return act.movedim(axis, 2)[:, :, :prefix]


def grids(size: Size, stride: int) -> list[Size]:
    """The grids that a picture may have: with what is left at its edges, or without."""
    (height, width) = size
    whole, begun = (height // stride, width // stride), (-(-height // stride), -(-width // stride))
    return [whole] if whole == begun else [whole, begun]


def grid(size: Size, layout: Layout, count: int) -> Size | None:
    """The grid of a picture of `size` that has `count` tokens with its prefix."""
    fitting = (one for one in grids(size, layout.stride) if one[0] * one[1] == count - layout.prefix)
    return next(fitting, None)


def strides(size: Size, shapes: Iterable[Shape]) -> set[int]:
    """Pixels of the picture for each position, of those of these 4-dimensional outputs that are maps."""
    found = set()
    for _, *dims in (shape for shape in shapes if len(shape) == 4):
        for sides in (dims[1:], dims[:2]):
            if 0 < sides[0] <= size[0]:
                stride = round(size[0] / sides[0])
                if tuple(sides) in grids(size, stride) and stride > 1:
                    found.add(stride)
    return {step for stride in found for times in range(5) if (step := stride * 2**times) <= COARSEST}


def layout(
    seen: Sequence[tuple[Size, Shape]],
    steps: Iterable[int] = (),
    prefix: int | None = None,
    lengths: Iterable[int] = (),
    channels_at: int | None = None,
) -> Layout | None:
    """What a tensor of these shapes, for pictures of these sizes, is; None if that can't be told.

    `steps` are the strides that grids may have, `prefix` is that of the tokens where it is known,
    `lengths` are those that token sequences have. `channels_at` is the dimension in which the module
    that gave it has its channels, where its kind says so.
    """
    kinds = {len(shape) for _, shape in seen}
    if len(kinds) != 1 or any(shape[:1] != (1,) or 0 in shape for _, shape in seen):
        return None
    (dims,) = kinds
    if dims == 2:
        return VECTOR if len({shape for _, shape in seen}) == 1 else None
    if dims == 3:
        return _tokens(seen, sorted(set(steps)), prefix)
    return _map(seen, set(lengths), channels_at) if dims == 4 else None


def _tokens(seen: Sequence[tuple[Size, Shape]], steps: Sequence[int], prefix: int | None) -> Layout | None:
    found = []
    for axis, step in product((1, 2), steps):
        if len({shape[3 - axis] for _, shape in seen}) > 1:
            continue
        options = [{shape[axis] - h * w for h, w in grids(size, step)} for size, shape in seen]
        common = set.intersection(*options) & set(range(MOST + 1))
        found += [Layout("tokens", axis, before, step) for before in common]
    known = [one for one in found if prefix and one.prefix == prefix]
    found = known or found
    least = min((one.prefix for one in found), default=0)
    found = [one for one in found if one.prefix == least]
    return found[0] if len({one.axis for one in found}) == 1 else None


def _map(seen: Sequence[tuple[Size, Shape]], lengths: set[int], channels_at: int | None) -> Layout | None:
    by_size = dict(seen)
    pairs = [(size, size[::-1]) for size in by_size if size[0] < size[1] and size[::-1] in by_size]
    if not pairs:
        return _one_map(*seen[0], lengths, channels_at)
    (one, other) = pairs[0]
    a, b = by_size[one], by_size[other]
    moved = tuple(i for i in range(4) if a[i] != b[i])
    stays = {i for i in range(1, 4) if len({shape[i] for shape in by_size.values()}) == 1}
    if moved == (2, 3):
        return MAP if 1 in stays else None
    if moved == (1, 2):
        return NHWC if 3 in stays else None
    if len(moved) == 1 and 1 in stays and moved[0] > 1 and a[5 - moved[0]] == 1:
        return MAP  # of whole rows or columns
    if moved or stays != {1, 2, 3}:
        return None
    return _constant(a, channels_at)


def _constant(shape: Shape, channels_at: int | None) -> Layout | None:
    """A map that has the same size for every picture."""
    _, a, b, c = shape
    if channels_at is not None:
        return MAP if channels_at == 1 else NHWC
    if b == c and (a != b or b == 1):
        return MAP
    return None


def _one_map(size: Size, shape: Shape, lengths: set[int], channels_at: int | None) -> Layout | None:
    """What there is to say when only one picture was looked at."""
    _, a, b, c = shape
    if channels_at is not None:
        return MAP if channels_at == 1 else NHWC
    if size[0] != size[1]:
        fits = [_alike(size, sides) for sides in ((b, c), (a, b))]
        return None if fits[0] == fits[1] else MAP if fits[0] else NHWC
    if b == c and a != b and not (b in lengths and b > 1):
        return MAP
    return NHWC if a == b != c and b > 1 else None


def _alike(size: Size, sides: Size) -> bool:
    stride = size[1] / sides[1]
    return sides[0] != sides[1] and abs(size[0] / stride - sides[0]) <= 1
