"""A job as a line of the shell, and what differs between two."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from phosphene.config import Dream
from phosphene.presets import ZOOM, visualization

NAMES = {"dream": "dream.png", "visualize": "dream.png", "zoom": "dream.mp4", "video": "dream.mp4"}
GRAIN = 0.1  # deviation of the noise that a flight into nothing begins with
MOTION = {
    "zoom": 0.05,
    "rotate": 0.0,
    "drift": [0.0, 0.0],
    "target": [0.5, 0.5],
    "easing": "none",
    "steady": 1.0,
}


def base(kind: str, settings: Mapping[str, Any]) -> Dream:
    """The defaults of that kind of job."""
    if kind == "visualize":
        return Dream(**visualization(str(settings.get("param", "")), [str(settings.get("objective", ""))]))
    return Dream(**(ZOOM if kind == "zoom" else {}))


def changed(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that aren't the defaults of that kind of job."""
    usual = base(kind, settings)
    return {name: value for name, value in usual.but(**settings) if value != getattr(usual, name)}


def command(kind: str, asked: Mapping[str, Any]) -> str:
    """What is typed for the same; the uploads' names stand for the files."""
    found, photo, names = changed(kind, asked["settings"]), _typed(asked.get("name") or ""), files(asked)
    objective = chosen(asked, found)
    if kind == "visualize":
        if "guide" in names:
            objective = f"guide({_quoted(names.pop('guide'))}, {objective})"
        model, size = found.pop("model", Dream().model), asked.get("size") or 512
        words = ["phosphene", "visualize", model, objective or "LAYER", "--size", str(size)]
        words += ["--photo", photo] if photo else []
    else:
        words = ["phosphene", kind, photo or ("FILM" if kind == "video" else "PHOTO")]
    if kind == "zoom":
        words += ["--frames", str(asked["frames"]), "--fps", f"{asked['fps']:g}"]
        words += [word for name, value in moved(asked).items() for word in (f"--{name}", _typed(value))]
        words += ["--loop"] if asked.get("loop") else []
    if kind == "video":
        words += [word for name, value in times(asked).items() for word in (f"--{name}", _typed(value))]
    for name, value in names.items():
        words += [f"--{name}", _typed(value)]
    if (
        kind != "visualize"
        and objective
        and (objective != Dream().objective or "model" in found or "guide" in names)
    ):
        found["objective"] = objective  # where it isn't said, the command line takes the network's own
    for name, value in found.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else "--no-" + flag[2:])
        else:
            words += [flag, str(value)]
    return shlex.join([*words, "-o", NAMES[kind]])


def chosen(asked: Mapping[str, Any], found: dict[str, Any]) -> str:
    """The objective, taken out of `found`; "" where it is the network's own, and that isn't known."""
    found.pop("objective", None)
    return str(asked["settings"].get("objective", Dream().objective))


def files(asked: Mapping[str, Any]) -> dict[str, str]:
    """The names of the guide and the mask, where there are any."""
    names = asked.get("names") or {}
    return {part: names.get(part) or part.upper() for part in ("guide", "mask") if asked.get(part)}


def times(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What of a film's times isn't as usual."""
    usual = {"start": 0.0, "end": None, "every": 1}
    return {name: asked[name] for name in usual if asked.get(name, usual[name]) != usual[name]}


def moved(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What of a zoom's motion isn't as usual."""
    motion = asked.get("motion") or {}
    return {name: value for name, value in motion.items() if _typed(value) != _typed(MOTION[name])}


def _quoted(name: str) -> str:
    """As the grammar of objectives has a file's name."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _typed(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(f"{one:g}" for one in value)
    if isinstance(value, str):
        return f"./{value}" if value.startswith("-") else value
    return f"{value:g}"


def described(kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """All that makes a job another, by name."""
    more = {"zoom": ("frames", "fps", "motion", "loop"), "video": ("start", "end", "every")}.get(kind, ())
    return {
        **asked["settings"],
        "kind": kind,
        "photo": asked.get("name"),
        **files(asked),
        **{name: asked.get(name) for name in more},
    }


def compared(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two recipes' settings: what is the same, and what isn't."""
    names = sorted({*one, *other})
    return {
        "same": {name: one[name] for name in names if name in one and one[name] == other.get(name)},
        "differs": [
            {"name": name, "a": one.get(name), "b": other.get(name)}
            for name in names
            if one.get(name) != other.get(name)
        ],
    }
