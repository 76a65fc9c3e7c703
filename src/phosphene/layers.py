"""What a network's layers are: kind, channels, stride and receptive field, found by looking.

A column of NaN in an image makes exactly those columns of a layer NaN that see it. With NaN in each
column of one stride period, one image each, the offsets between input columns and the output
columns they reach are the receptive field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError
from phosphene.lens import Lens

HEIGHT, WIDTH = 32, 2048
BATCH = 8  # images at a time: bounds the memory

Columns = dict[str, list[int]]


@dataclass(frozen=True)
class Row:
    """A layer: `stride` and `receptive_field` in pixels along a row of the image.

    `stride` is None for vectors (and where it is no whole number); `receptive_field` is None where
    a position sees the whole picture, or more than about 2000 px of it.
    """

    name: str
    kind: str
    channels: int
    stride: int | None
    receptive_field: int | None


def table(lens: Lens) -> list[Row]:
    """A `Row` for every layer of `lens` that can be watched, in module order."""
    kinds = {name: type(part).__name__ for name, part in lens.module.named_modules()}
    narrow, wide = shapes(lens, WIDTH // 2), shapes(lens, WIDTH)
    names = [name for name in lens.layers if name in wide]
    strides = {name: stride(narrow[name], wide[name]) for name in names}
    fields = receptive_fields(lens, {name: step for name, step in strides.items() if step})
    return [Row(name, kinds[name], wide[name][1], strides[name], fields.get(name)) for name in names]


def stride(narrow: torch.Size, wide: torch.Size) -> int | None:
    """Input columns for each output column, from the shapes at `WIDTH // 2` and at `WIDTH`."""
    more = wide[-1] - narrow[-1] if len(wide) == 4 else 0
    return (WIDTH // 2) // more if more and (WIDTH // 2) % more == 0 else None


def shapes(lens: Lens, width: int) -> dict[str, torch.Size]:
    """The output shape of every layer that runs once and gives a map or a vector."""
    found: dict[str, list[torch.Size | None]] = {}

    def see(name: str, output: object) -> None:
        fits = isinstance(output, Tensor) and output.dim() in (2, 4)
        found.setdefault(name, []).append(output.shape if fits and isinstance(output, Tensor) else None)

    look(lens, torch.full((1, 3, HEIGHT, width), 0.5), see)
    return {name: seen[0] for name, seen in found.items() if len(seen) == 1 and seen[0] is not None}


def receptive_fields(lens: Lens, strides: dict[str, int]) -> dict[str, int]:
    """The width that one position of a layer sees, for those layers whose view ends inside the picture."""
    period, middle = max(strides.values(), default=0), WIDTH // 2
    seen: Columns = {name: [] for name in strides}
    cut: set[str] = set()
    for start in range(middle, middle + period, BATCH):
        columns = range(start, min(start + BATCH, middle + period))
        image = torch.full((len(columns), 3, HEIGHT, WIDTH), 0.5)
        for index, column in enumerate(columns):
            image[index, ..., column] = torch.nan

        def see(name: str, output: object, columns: range = columns) -> None:
            if name not in strides or not isinstance(output, Tensor):
                return
            reached = output[:, :, output.shape[2] // 2].amax(1).isnan()  # [N, W]; all rows are alike
            if bool(reached[:, 0].any() or reached[:, -1].any()):
                cut.add(name)
            for index, place in reached.nonzero().tolist():
                seen[name].append(columns[index] - strides[name] * place)

        look(lens, image, see)
    return {
        name: max(offsets) - min(offsets) + 1 for name, offsets in seen.items() if offsets and name not in cut
    }


def look(lens: Lens, image: Tensor, see: Callable[[str, object], None]) -> None:
    """Run the network once, as far as it has weights, and show `see` every layer's output."""
    with torch.no_grad(), hooked(lens.module, see), torch.backends.cudnn.flags(enabled=False):
        try:
            lens.module(lens.prepare(image.to(lens.device)))
        except PhospheneError as error:
            if error.code != "E_WEIGHTS":
                raise


@contextmanager
def hooked(module: nn.Module, see: Callable[[str, object], None]) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        return lambda _module, _inputs, output: see(name, output)

    handles = [part.register_forward_hook(hook(name)) for name, part in module.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
