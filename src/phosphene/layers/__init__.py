"""What a network's layers are: shape, stride, receptive field, size and cost, found by looking."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from phosphene.address import names, parse
from phosphene.layers.cost import costs
from phosphene.layers.field import fields, strides
from phosphene.lens import Lens


@dataclass(frozen=True)
class Row:
    """A layer, by the name that objectives take, for a picture of a certain size.

    `stride` and `receptive_field` are in pixels along a row of the image. `stride` is None for vectors
    (and where it is no whole number); `receptive_field` is None where a position sees the whole picture,
    more than about 2000 px of it, or where what it sees depends on the position.
    `height` and `width` are the layer's, None for vectors. `gradient_flops` are the floating-point
    operations (two for a multiplication and an addition) of convolutions, linear layers and products of
    matrices in one gradient with respect to the picture: forward up to this layer, and back from it;
    `share` is their part of the most that any layer takes. Both are None where they couldn't be counted.
    """

    name: str
    kind: str
    channels: int
    stride: int | None
    receptive_field: int | None
    depth: int = 0  # parts that it is inside of
    height: int | None = None
    width: int | None = None
    parameters: int = 0  # of the layer and all in it
    gradient_flops: int | None = None
    share: float | None = None
    calls: int = 1  # how often it runs


def maps(lens: Lens, size: tuple[int, int] | None = None) -> list[Row]:
    """Every layer that can be watched, with what is known without measuring: a `Row` without numbers."""
    parts, known = dict(lens.module.named_modules()), names(lens.module)
    rows = []
    for name, shape in lens.addresses(*(size or (lens.size, lens.size))).items():
        if address := parse(name, known):
            height, width = shape[2:] if len(shape) == 4 else (None, None)
            kind = type(parts[address.name]).__name__
            rows.append(Row(name, kind, shape[1], None, None, address.name.count("."), height, width))
    return rows


def table(lens: Lens, size: tuple[int, int] | None = None) -> list[Row]:
    """A `Row` for every layer of `lens` that can be watched, in module order.

    `size` is the picture's height and width in px, those that the network was trained with unless given.
    """
    size = size or (lens.size, lens.size)
    shapes = lens.addresses(*size)
    known = names(lens.module)
    sites = {name: address for name in shapes if (address := parse(name, known))}
    steps = strides(lens, list(sites), size)
    seen = fields(lens, sites, {name: step for name, step in steps.items() if step})
    flops, calls = costs(lens, sites, size)
    most = max(flops.values(), default=0)
    return [
        replace(
            row,
            stride=steps.get(row.name),
            receptive_field=seen.get(row.name),
            parameters=size_of(lens.module.get_submodule(sites[row.name].name)),
            gradient_flops=flops.get(row.name),
            share=flops[row.name] / most if most and row.name in flops else None,
            calls=calls.get(sites[row.name].name, 1),
        )
        for row in maps(lens, size)
    ]


def size_of(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())
