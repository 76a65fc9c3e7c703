"""Strides and receptive fields, found by looking.

A column of NaN in an image makes exactly those columns of a layer NaN that see it. With NaN in each
column of one stride period, one image each, the offsets between input columns and the output columns
they reach are the receptive field. Where they aren't the same at every position (attention in windows),
there is no such number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from phosphene.address import Address
from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.outputs import leaves
from phosphene.tokens import Shape

HEIGHTS, WIDTH = (32, 96, 224), 2048
PIXELS = 2**18  # of images at a time: bounds the memory
MARGIN = 8  # periods

Sites = Mapping[str, Address]
See = Callable[[str, Tensor], None]


def strides(lens: Lens, names: Collection[str], size: tuple[int, int]) -> dict[str, int | None]:
    """Input columns for each output column, from the shapes at two widths where the network takes them."""
    narrow, wide = lens.addresses(height(lens), WIDTH // 2), lens.addresses(height(lens), WIDTH)
    found: dict[str, int | None] = {}
    own = lens.addresses(*size)
    for name in names:
        if name in narrow and name in wide:
            found[name] = step(narrow[name], wide[name])
        else:  # beyond where a network takes one size only
            found[name] = evenly(own[name], size)
    return found


def step(narrow: Shape, wide: Shape) -> int | None:
    more = wide[-1] - narrow[-1] if len(wide) == 4 else 0
    return (WIDTH // 2) // more if more > 0 and (WIDTH // 2) % more == 0 else None


def evenly(shape: Shape, size: tuple[int, int]) -> int | None:
    """The stride, if a map divides the picture without remainder, alike in both directions."""
    if len(shape) != 4 or shape[2] < 2 or shape[3] < 2:
        return None
    each, left = {size[0] // shape[2], size[1] // shape[3]}, (size[0] % shape[2], size[1] % shape[3])
    return each.pop() if len(each) == 1 and left == (0, 0) else None


def height(lens: Lens) -> int:
    """The lowest picture that gets as far as one of the network's own size."""
    reached = len(lens.addresses(lens.size, lens.size))
    return next((h for h in HEIGHTS if len(lens.addresses(h, WIDTH // 2)) >= reached), HEIGHTS[0])


def fields(lens: Lens, sites: Sites, steps: Mapping[str, int]) -> dict[str, int]:
    """The width that one position of a layer sees, for those layers whose view ends inside the picture."""
    if not steps:
        return {}
    low, period = height(lens), max(steps.values())
    band = reach(lens, sites, steps, low, WIDTH, [WIDTH // 2], period)
    whole = {name: seen[0] for name, (seen, cut) in band.items() if not cut}
    widths = {name: max(seen) - min(seen) + steps[name] for name, seen in whole.items()}
    steady = scan(lens, {name: sites[name] for name in widths}, steps, low, widths, few=True)
    return scan(lens, {name: sites[name] for name in steady}, steps, low, widths)


def scan(
    lens: Lens, sites: Sites, steps: Mapping[str, int], low: int, widths: Mapping[str, int], few: bool = False
) -> dict[str, int]:
    """The fields of those layers that see alike from everywhere, by all columns of a period.

    With `few`, quickly, by single columns of some periods: whether there is such a number at all.
    """
    if not sites:
        return {}
    period = max(steps[name] for name in sites)
    most = 2 * max(widths[name] for name in sites) + MARGIN * period  # without padding, edges come inwards
    width = min(WIDTH, -(-most // period) * period)
    start = (width - period) // 2
    columns = [start + period * more for more in range(4)] if few else list(range(start, start + period))
    found = reach(lens, sites, steps, low, width, columns)
    return {
        name: max(map(max, filter(None, seen)), default=0) - min(map(min, filter(None, seen)), default=0) + 1
        for name, (seen, cut) in found.items()
        if not cut and (few or any(seen)) and same(seen, columns, steps[name])
    }


Reach = dict[str, tuple[list[set[int]], bool]]


def reach(
    lens: Lens,
    sites: Sites,
    steps: Mapping[str, int],
    height: int,
    width: int,
    columns: Sequence[int],
    band: int = 1,
) -> Reach:
    """For each layer and each of these columns, the offsets from it to the positions that see it.

    With `band`, from it or one of those that follow. And whether any position is at an edge, where the
    picture ends before the view does.
    """
    found: Reach = {name: ([], False) for name in steps if name in sites}
    batch = max(1, PIXELS // (height * width))
    for begin in range(0, len(columns), batch):
        part = columns[begin : begin + batch]
        image = torch.full((len(part), 3, height, width), 0.5)
        for index, column in enumerate(part):
            image[index, ..., column : column + band] = torch.nan

        def see(name: str, act: Tensor, part: Sequence[int] = part) -> None:
            reached = act[:, :, act.shape[2] // 2].isnan().any(1)  # [N, W]; all rows are alike
            cut = bool(reached[:, 0].any() or reached[:, -1].any())
            offsets: list[set[int]] = [set() for _ in part]
            for index, place in reached.nonzero().tolist():
                offsets[index].add(part[index] - steps[name] * place)
            found[name] = (found[name][0] + offsets, found[name][1] or cut)

        look(lens, image, {name: sites[name] for name in found}, see)
    return {name: (seen, cut or (band > 1 and not any(seen))) for name, (seen, cut) in found.items() if seen}


def same(seen: Sequence[set[int]], columns: Sequence[int], step: int) -> bool:
    """Whether a view is the same from all positions: columns a stride apart are seen alike."""
    alike: dict[int, set[frozenset[int]]] = defaultdict(set)
    for offsets, column in zip(seen, columns, strict=True):
        alike[column % step].add(frozenset(offsets))
    return all(len(kinds) == 1 for kinds in alike.values())


def look(lens: Lens, image: Tensor, sites: Sites, see: See) -> None:
    """Run the network once, as far as it gets, and show `see` every layer's map `[N, C, h, w]`."""
    shapes = lens.addresses(*image.shape[-2:])

    def meet(name: str, output: Tensor) -> None:
        shape, actual = shapes.get(name, ()), (1, *output.shape[1:])
        if len(shape) == 4 and actual == shape:
            see(name, output)
        elif len(shape) == 4 and actual == (1, *shape[2:], shape[1]):
            see(name, output.permute(0, 3, 1, 2))

    with torch.no_grad(), hooked(lens.module, sites, meet), torch.backends.cudnn.flags(enabled=False):
        try:
            lens.module(lens.prepare(image.to(lens.device)))
        except PhospheneError as error:
            if error.code != "E_WEIGHTS":
                raise
        except (RuntimeError, ValueError, AssertionError, TypeError, IndexError):
            pass  # it can't look at pictures of this size beyond here


@contextmanager
def hooked(module: nn.Module, sites: Sites, see: See) -> Iterator[None]:
    """Show `see` the tensor at each of these addresses when it is made."""
    wanted: dict[str, dict[int, list[tuple[str, Address]]]] = defaultdict(lambda: defaultdict(list))
    for name, address in sites.items():
        if not address.prefix:
            wanted[address.name][address.call or 0].append((name, address))
    calls: dict[str, int] = defaultdict(int)

    def hook(part: str) -> Callable[[nn.Module, object, object], None]:
        def met(_module: nn.Module, _inputs: object, output: object) -> None:
            here = wanted[part].get(calls[part], [])
            calls[part] += 1
            for name, address in here:
                for path, leaf in leaves(output):
                    if path[: len(address.path)] == address.path:
                        see(name, leaf)

        return met

    handles = [module.get_submodule(part).register_forward_hook(hook(part)) for part in wanted]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
