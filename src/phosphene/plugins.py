"""What others add: words for objectives, params, and sources of networks.

A package says so in its entry points, in the groups below, under the name that people will write; a program
calls `add`. Nothing of a package is imported before somebody writes that name, and nothing takes the place of
what phosphene has itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from phosphene.errors import PhospheneError

GROUPS = {"objective": "phosphene.objectives", "param": "phosphene.params", "source": "phosphene.sources"}
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
used: dict[tuple[str, str], str] = {}  # what was loaded by kind and name, and whose it is
_of_this_program: dict[tuple[str, str], Any] = {}


def add(kind: str, name: str, thing: Any) -> None:
    """Let this program's own `thing` have a name, as an entry point would. E_PARAM.

    An objective is a function that gives an `Objective`, a param a class under `phosphene.param.Param`, a
    source a function that makes an `nn.Module` or a `Lens` of what follows the colon.
    """
    if kind not in GROUPS or not isinstance(name, str) or not NAME.fullmatch(name):
        wanted = f"one of {', '.join(GROUPS)}, and a name of small letters, digits and _"
        raise PhospheneError("E_PARAM", f"got {str(kind)[:40]!r} and {str(name)[:80]!r}, expected {wanted}")
    _of_this_program[kind, name] = thing


@cache
def installed(kind: str) -> dict[str, EntryPoint]:
    """By name, what packages add; of two with the same name the package that sorts first has it."""
    found = [point for point in entry_points(group=GROUPS[kind]) if NAME.fullmatch(point.name)]
    return {point.name: point for point in sorted(found, key=_package, reverse=True)}


def added(kind: str) -> dict[str, str]:
    """What there is by name, and whose it is: 'swirls 1.2'."""
    own = {name: "this program" for of, name in _of_this_program if of == kind}
    return {name: _package(point) for name, point in installed(kind).items()} | own


def load(kind: str, name: str) -> Any:
    """What is added under `name`, or None. E_PLUGIN where its package can't be loaded."""
    if (kind, name) in _of_this_program:
        found = _of_this_program[kind, name]
    elif name in installed(kind):
        try:
            found = installed(kind)[name].load()
        except (Exception, SystemExit) as error:  # whatever somebody else's code does
            raise refused(kind, name, f"{type(error).__name__}: {error}") from error
    else:
        return None
    used[kind, name] = added(kind)[name]
    return found


def behind(param: str, model: str, objective: str) -> str:
    """The packages that had a part in a dream with these settings: 'inks 1.0, swirls 1.2'."""
    named: dict[str, Callable[[str], bool]] = {
        "param": param.__eq__,
        "source": f"{model}:".startswith,
        "objective": objective.__contains__,
    }
    marks = {"param": "", "source": ":", "objective": "("}
    return ", ".join(
        sorted({whose for (kind, name), whose in used.items() if named[kind](f"{name}{marks[kind]}")})
    )


def refused(kind: str, name: str, why: str) -> PhospheneError:
    """What is wrong with something that was added."""
    return PhospheneError(
        "E_PLUGIN",
        f"the {kind} {name!r} of {added(kind)[name]}: {' '.join(why.split())[:300]}; "
        "mend it, or tell its authors",
    )


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
