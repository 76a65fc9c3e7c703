"""A timeline: settings, motion and objectives that change over a film, from keyframes in a TOML file.

    [[keyframe]]
    at = "2.5s"             # or a frame's number, or "50%"
    easing = "in-out"       # how values come here from where they were last said: none in out in-out
    objective = "blocks.4.1"
    zoom = 0.02

Numbers go evenly from one keyframe that names them to the next, objectives are cross-faded, text
and switches change at the keyframe. What no keyframe has said yet is as the film begins.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from phosphene import expression
from phosphene.config import Dream
from phosphene.errors import PhospheneError, nearest
from phosphene.film.motion import Easing, Motion, eased
from phosphene.lens import Lens
from phosphene.objective import Objective
from phosphene.settings import read_toml

TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|%|)")
MOTION = tuple(field.name for field in fields(Motion) if field.name != "easing")
DREAM = (  # what may differ from frame to frame; all else is the film's
    *("objective", "octaves", "octave_scale", "steps", "step_size", "strength", "jitter", "smooth"),
    *("laplacian", "balance", "param", "optimizer", "rate", "average", "transforms", "clip"),
    *("notebook_edges", "keep_color", "halo"),
)
STEPPED = {"octaves"}  # a number that isn't one in between: 0 stands for as many as fit


@dataclass(frozen=True)
class Key:
    """What one keyframe says."""

    frame: int
    values: Mapping[str, Any]
    easing: Easing = "none"


@dataclass(frozen=True)
class Timeline:
    """What every frame's settings are: `at(frame)`."""

    config: Dream
    motion: Motion
    objective: Objective
    keys: tuple[Key, ...]  # by time

    def bound(self, lens: Lens) -> Timeline:
        """The same with all of its objectives bound, so that no frame looks for a file again."""
        keys = tuple(
            replace(key, values={**key.values, "objective": key.values["objective"].bind(lens)})
            if "objective" in key.values
            else key
            for key in self.keys
        )
        return replace(self, objective=self.objective.bind(lens), keys=keys)

    def at(self, frame: int) -> tuple[Dream, Motion, Objective]:
        """The settings, the motion after it, and the objective of a frame."""
        values = {name: self._value(name, frame) for name in self._names}
        objective = values.pop("objective", self.objective)
        motion = {name: values.pop(name) for name in MOTION if name in values}
        return self.config.but(**values), replace(self.motion, **motion), objective

    @cached_property
    def _names(self) -> list[str]:
        return sorted({name for key in self.keys for name in key.values})

    def _value(self, name: str, frame: int) -> Any:
        first = Key(-1, {name: self._first(name)})
        saying = [key for key in self.keys if name in key.values]
        if not saying or saying[0].frame > 0:
            saying = [replace(first, frame=0), *saying]
        before = max((key for key in saying if key.frame <= frame), key=lambda key: key.frame)
        after = next((key for key in saying if key.frame > frame), before)
        one, other = before.values[name], after.values[name]
        if after is before:
            return one
        t = _eased((frame - before.frame) / (after.frame - before.frame), after.easing)
        return one if t == 0 else _between(name, one, other, t)

    def _first(self, name: str) -> Any:
        if name == "objective":
            return self.objective
        return getattr(self.motion if name in MOTION else self.config, name)


def _between(name: str, one: Any, other: Any, t: float) -> Any:
    if isinstance(one, Objective):
        return one if one.text == other.text else (1 - t) * one + t * other
    if isinstance(one, tuple):
        return tuple((1 - t) * a + t * b for a, b in zip(one, other, strict=True))
    if isinstance(one, (str, bool)) or name in STEPPED:
        return one
    value = (1 - t) * one + t * other
    whole = name in Dream.model_fields and isinstance(one, int)
    return math.floor(value + 0.5) if whole else value


def _eased(t: float, easing: Easing) -> float:
    curves = {"none": t, "in": t * t, "out": t * (2 - t), "in-out": eased(t)}
    return curves[easing]


def read(
    path: str | Path, config: Dream, motion: Motion, objective: Objective | str, *, frames: int, fps: float
) -> Timeline:
    """The timeline in a file, for a film of so many frames; E_INPUT and E_PARAM name what is wrong."""
    parsed = read_toml(Path(path), "E_INPUT")
    return parse(parsed, config, motion, objective, frames=frames, fps=fps, where=str(path))


def parse(
    content: Mapping[str, Any],
    config: Dream,
    motion: Motion,
    objective: Objective | str,
    *,
    frames: int,
    fps: float,
    where: str = "timeline",
) -> Timeline:
    """The timeline that a TOML file's `content` says."""
    tables = content.get("keyframe")
    unknown = [name for name in content if name != "keyframe"]
    if unknown or not isinstance(tables, list) or not tables:
        got = f"{unknown[0]!r:.80}" if unknown else "none"
        raise PhospheneError("E_PARAM", f"{where}: got {got}, expected [[keyframe]] tables, each with `at`")
    keys = [
        _key(table, config, motion, frames, fps, f"{where}: keyframe {i + 1}")
        for i, table in enumerate(tables)
    ]
    keys.sort(key=lambda key: key.frame)
    for one, other in pairwise(keys):
        if one.frame == other.frame:
            raise PhospheneError("E_PARAM", f"{where}: two keyframes are at frame {one.frame}; make them one")
    parsed = expression.parse(objective) if isinstance(objective, str) else objective
    return Timeline(config, motion, parsed, tuple(keys))


def _key(table: Any, config: Dream, motion: Motion, frames: int, fps: float, where: str) -> Key:
    if not isinstance(table, dict) or "at" not in table:
        raise PhospheneError("E_PARAM", f'{where}: has no `at`; give a frame, "2.5s" or "50%"')
    values = {name: value for name, value in table.items() if name not in ("at", "easing")}
    easing = table.get("easing", "none")
    if easing not in get_args(Easing):
        choices = ", ".join(get_args(Easing))
        raise PhospheneError("E_PARAM", f"{where}: easing is {easing!r:.80}, expected one of {choices}")
    for name in values:
        _check_name(name, where)
    try:
        checked = config.but(**{name: values[name] for name in values if name in DREAM})
        moving = replace(motion, **{name: values[name] for name in values if name in MOTION})
        values = {name: getattr(moving if name in MOTION else checked, name) for name in values}
        if "objective" in values:
            values["objective"] = expression.parse(values["objective"])
    except PhospheneError as error:
        raise PhospheneError(error.code, f"{where}: {str(error).removeprefix('settings: ')}") from None
    return Key(_frame(table["at"], frames, fps, where), values, easing)


def _check_name(name: str, where: str) -> None:
    if name in Dream.model_fields and name not in DREAM:
        hint = '; say objective = "guide(FILE, LAYER)"' if name == "guide" else ""
        raise PhospheneError("E_PARAM", f"{where}: {name} can't change within a film{hint}")
    if name not in {*DREAM, *MOTION}:
        near = ", ".join(nearest(name, [*DREAM, *MOTION], 3))
        raise PhospheneError("E_PARAM", f"{where}: there is no setting {name[:80]!r}; the nearest are {near}")


def _frame(at: Any, frames: int, fps: float, where: str) -> int:
    """The frame that a time means: 12, "12", "2.5s" or "50%" of the way to the last."""
    found = (
        TIME.fullmatch(str(at).strip()) if isinstance(at, (str, int)) and not isinstance(at, bool) else None
    )
    if not found or (not found[2] and "." in found[1]):
        raise PhospheneError("E_PARAM", f'{where}: at is {at!r:.80}, expected a frame, "2.5s" or "50%"')
    number = float(found[1]) * {"s": fps, "%": (frames - 1) / 100, "": 1}[found[2]]
    if number > 1e9:
        raise PhospheneError("E_PARAM", f"{where}: at is {at!r:.80}, expected a time within the film")
    return math.floor(number + 0.5)
