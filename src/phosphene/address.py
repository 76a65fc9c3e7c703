"""A layer's address: `NAME`, `NAME#K` for its K-th call, `NAME[ITEM]` for an item of what it gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from phosphene import checks
from phosphene.outputs import Path, brackets

SUFFIX = re.compile(
    r"(?P<name>.+?)(?:#(?P<call>\d{1,9}))?(?P<path>(?:\[[^\[\]]+\])*)(?P<prefix>@prefix)?", re.DOTALL
)
LONG = 2000  # characters
RESERVED = ("class", "text")  # what `class:` and `text:` begin with
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./#-")


@dataclass(frozen=True)
class Address:
    """What to watch: a module by its first name, which of its calls (None: the only one), which item.

    With `prefix` it is the class and register tokens that are meant, not the grid.
    """

    name: str
    call: int | None = None
    path: Path = ()
    prefix: bool = False


@dataclass(frozen=True)
class Site:
    """One tensor of one call of a module."""

    name: str
    call: int
    path: Path = ()

    def __str__(self) -> str:
        return self.name + (f"#{self.call}" if self.call else "") + brackets(self.path)


def quoted(text: str) -> str:
    """`text` as a name of the grammar: bare where that is unmistakable, else in double quotes."""
    checks.text("a name", text)
    bare = bool(text) and set(text) <= PLAIN and not text.startswith("-") and text not in RESERVED
    return text if bare else json.dumps(text, ensure_ascii=False)


def parse(text: str, names: Mapping[str, str]) -> Address | None:
    """The address that `text` is; None if it is none. `names` has every name's first name."""
    if text in names:
        return Address(names[text])
    found = SUFFIX.fullmatch(text) if len(text) <= LONG else None
    if found is None or found["name"] not in names:
        return None
    call = None if found["call"] is None else int(found["call"])
    return Address(
        names[found["name"]], call, tuple(re.findall(r"\[([^\[\]]+)\]", found["path"])), bool(found["prefix"])
    )


def names(network: nn.Module) -> dict[str, str]:
    """Every name of every part of `network`, with the first name of that part."""
    first = {part: name for name, part in network.named_modules()}
    return {name: first[part] for name, part in _named(network, "", ()) if name}


def _named(part: nn.Module, name: str, around: tuple[nn.Module, ...]) -> Iterator[tuple[str, nn.Module]]:
    """A part that is registered under several names, with each of them; one inside itself, once."""
    yield name, part
    for key, child in part._modules.items():
        if child is not None and child not in (*around, part):
            yield from _named(child, f"{name}.{key}" if name else key, (*around, part))
