"""What modules give: tensors, alone or inside tuples, lists, dicts and dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

Path = tuple[str, ...]  # () is the output itself, ("features", "0") its item `[features][0]`
DEEP = 4  # items of items of …


def leaves(output: Any, kinds: tuple[type, ...] = (Tensor,), path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What is of one of these `kinds` in `output`, each with the way to it."""
    if isinstance(output, kinds):
        yield path, output
    elif len(path) < DEEP:
        for key, value in _items(output):
            yield from leaves(value, kinds, (*path, str(key)))


def _items(output: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(output, Mapping):
        yield from output.items()
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        yield from zip(output._fields, output, strict=True)
    elif isinstance(output, (tuple, list)):
        yield from enumerate(output)
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for field in dataclasses.fields(output):
            yield field.name, getattr(output, field.name, None)


def brackets(path: Path) -> str:
    """A path as it is written after a layer's name."""
    return "".join(f"[{key}]" for key in path)
