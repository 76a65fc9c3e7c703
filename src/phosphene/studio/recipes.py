"""A job as a line of the shell and as Python, and what differs between two."""

from __future__ import annotations

import shlex
from typing import Any

from phosphene.config import Dream
from phosphene.presets import VISUALIZE


def changed(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that aren't the defaults of that kind of job."""
    base = Dream(**VISUALIZE) if kind == "visualize" else Dream()
    now = base.but(**settings)
    return {name: value for name, value in now if value != getattr(base, name)}


def command(kind: str, settings: dict[str, Any], photo: str, size: int) -> str:
    """What is typed for the same picture; the photo's name stands for the file."""
    found = changed(kind, settings)
    if kind == "visualize":
        model, objective = found.pop("model", Dream().model), found.pop("objective", Dream().objective)
        words = ["phosphene", "visualize", model, objective or "LAYER", "--size", str(size)]
        words += ["--photo", photo] if photo else []
    else:
        words = ["phosphene", "dream", photo or "PHOTO"]
    for name, value in found.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else "--no-" + flag[2:])
        else:
            words += [flag, str(value)]
    return shlex.join([*words, "-o", "dream.png"])


def python(kind: str, settings: dict[str, Any], photo: str, size: int) -> str:
    """The same in Python."""
    found = changed(kind, settings)
    model, objective = found.pop("model", Dream().model), found.pop("objective", Dream().objective)
    arguments = ", ".join(f"{name}={value!r}" for name, value in found.items())
    lines = ["import phosphene", "", f"lens = phosphene.load({model!r})"]
    if kind == "visualize":
        lines[0] += "\nfrom phosphene.features import settings"
        call = f"phosphene.visualize({objective!r}, lens, settings({arguments}), size={size})"
        lines += [f"for unit in {call}:", "    print(unit.score, unit.image.shape)"]
    else:
        lines += [
            f"photo = phosphene.open_picture({photo or 'photo.jpg'!r})",
            f"settings = phosphene.Dream({arguments})",
            f"for frame in phosphene.dream(photo.tensor(), {objective or 'LAYER'!r}, lens, settings):",
            "    pass",
            'phosphene.save_picture("dream.png", photo.with_tensor(frame.full()))',
        ]
    return "\n".join(lines) + "\n"


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
