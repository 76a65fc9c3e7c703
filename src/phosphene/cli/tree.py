"""A network's layers as a tree for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from phosphene.cli.report import interactive, printable
from phosphene.cli.table import print_table

if TYPE_CHECKING:
    from phosphene.layers import Row

COLUMNS = ("layer", "kind", "channels", "size", "stride", "field", "parameters", "gradient", "share")


def print_layers(rows: Sequence[Row], size: tuple[int, int]) -> None:
    """Print `rows`, for a picture of `size`: a tree on a terminal, else a table with whole names."""
    from phosphene.address import quoted

    maps = [row for row in rows if not row.name.endswith("@prefix")]
    if not (interactive(sys.stdout) or os.environ.get("FORCE_COLOR")):
        print_table(COLUMNS, [(row.name, *cells(row)) for row in maps])
    else:
        draw(maps)
    dash = "- is the whole picture, or no fixed part of it"
    print(
        f"\nFor {size[1]}×{size[0]} px. Field: how many px across a position sees; {dash}.\n"
        "Gradient: operations of one gradient from the layer to the picture, forward and back; share: of all."
    )
    odd = next((row.name for row in maps if quoted(row.name) != row.name), "")
    if odd:
        print(f"Some names stand in double quotes: --objective '{printable(quoted(odd))}'")
    if len(maps) < len(rows):
        print("Class and register tokens: a layer's name with @prefix, as in " + first_prefix(rows))


def first_prefix(rows: Sequence[Row]) -> str:
    return next(printable(row.name) for row in rows if row.name.endswith("@prefix"))


def cells(row: Row) -> tuple[str, ...]:
    size = f"{row.width}×{row.height}" if row.height else "-"
    kind = f"{row.kind} ({row.calls} calls)" if row.calls > 1 else row.kind
    share = "-" if row.share is None else f"{row.share:.0%}"
    numbers = ["-" if value is None else str(value) for value in (row.stride, row.receptive_field)]
    return (
        kind,
        str(row.channels),
        size,
        *numbers,
        amount(row.parameters),
        amount(row.gradient_flops, "FLOP"),
        share,
    )


def amount(value: int | None, unit: str = "") -> str:
    """A number with three digits and k, M, G or T."""
    if not value:
        return "-"
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * factor:
            return f"{value / factor:.3g} {letter}{unit}"
    return f"{value} {unit}".rstrip()


def draw(rows: Sequence[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("layer", "kind") else "right", no_wrap=True)
    for guides, around, name, row in branches(rows):
        label = Text(guides + printable(around), "dim")
        table.add_row(label.append(printable(name), "not dim"), *cells(row))
    Console(highlight=False).print(table)


def branches(rows: Sequence[Row]) -> list[tuple[str, str, str, Row]]:
    """For each layer its line's guides, its name in two parts (what it is in, and itself), and its row."""
    names = [row.name for row in rows]
    known = set(names)
    parents = [parent(name, known) for name in names]
    children: dict[str, list[int]] = {}
    for index, above in enumerate(parents):
        children.setdefault(above, []).append(index)
    lines: list[tuple[str, str, str, Row]] = []

    def walk(above: str, guides: str) -> None:
        for index in children.get(above, []):
            last = index == children[above][-1]
            name = names[index]
            cut = len(above) + 1 if above and name.startswith(above) else 0
            mark = "" if not above else "└─ " if last else "├─ "
            lines.append((guides + mark, name[:cut], name[cut:], rows[index]))
            walk(name, guides + ("" if not above else "   " if last else "│  "))

    walk("", "")
    return lines


def parent(name: str, known: Set[str]) -> str:
    """The nearest layer around `name` that is in the list, '' if none is."""
    part = name
    while "." in part:
        part = part.rpartition(".")[0]
        if part in known:
            return part
    return ""
