"""Rows for people: aligned columns, with rich's colours on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from phosphene.cli.report import interactive, printable


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """Print `rows` under `columns` on stdout."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    if interactive(sys.stdout) or os.environ.get("FORCE_COLOR"):
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE)
        for row in cells:
            table.add_row(*row)
        Console(markup=False, highlight=False).print(table)
        return
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    if title:
        print(title)
    for row in [list(columns), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
