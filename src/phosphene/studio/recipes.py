"""A job as a line of the shell and as Python, and what differs between two."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from phosphene.config import Dream
from phosphene.presets import ZOOM, visualization

NAMES = {"dream": "dream.png", "visualize": "dream.png", "zoom": "dream.mp4", "video": "dream.mp4"}
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
    """What is typed for the same; the upload's name stands for the file."""
    found, photo = changed(kind, asked["settings"]), asked.get("name") or ""
    if kind == "visualize":
        model, objective = found.pop("model", Dream().model), found.pop("objective", Dream().objective)
        words = [
            "phosphene",
            "visualize",
            model,
            objective or "LAYER",
            "--size",
            str(asked.get("size") or 512),
        ]
        words += ["--photo", photo] if photo else []
    else:
        words = [
            "phosphene",
            kind if kind in NAMES else "dream",
            photo or ("FILM" if kind == "video" else "PHOTO"),
        ]
    if kind == "zoom":
        words += ["--frames", str(asked["frames"]), "--fps", f"{asked['fps']:g}"]
        words += [word for name, value in moved(asked).items() for word in (f"--{name}", _typed(value))]
        words += ["--loop"] if asked.get("loop") else []
    if kind == "video":
        usual = {"start": 0.0, "end": None, "every": 1}
        times = {name: asked.get(name) for name in usual if asked.get(name) != usual[name]}
        words += [word for name, value in times.items() for word in (f"--{name}", _typed(value))]
    for upload in ("guide", "mask"):
        words += [f"--{upload}", upload.upper()] if asked.get(upload) else []
    for name, value in found.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else "--no-" + flag[2:])
        else:
            words += [flag, str(value)]
    return shlex.join([*words, "-o", NAMES.get(kind, "dream.png")])


def moved(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What of a zoom's motion isn't as usual."""
    motion = asked.get("motion") or {}
    return {name: value for name, value in motion.items() if _typed(value) != _typed(MOTION[name])}


def _typed(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(f"{one:g}" for one in value)
    return value if isinstance(value, str) else f"{value:g}"


def python(kind: str, asked: Mapping[str, Any]) -> str:
    """The same in Python."""
    found = changed(kind, asked["settings"])
    model, objective = found.pop("model", Dream().model), found.pop("objective", Dream().objective)
    arguments = ", ".join(f"{name}={value!r}" for name, value in found.items())
    photo, what = asked.get("name") or "photo.jpg", objective or "LAYER"
    load = ["", f"lens = phosphene.load({model!r})"]
    opened = f"photo = phosphene.open_picture({photo!r})"
    if kind == "visualize":
        size = asked.get("size") or 512
        start = ", photo=photo.tensor()[0]" if asked.get("name") else ""
        arguments = ", ".join(filter(None, [repr(what), arguments]))
        lines = [
            "import phosphene",
            "from phosphene.features import settings",
            *load,
            *([opened] if start else []),
            f"for unit in phosphene.visualize({what!r}, lens, settings({arguments}), size={size}{start}):",
            "    print(unit.score, unit.image.shape)",
        ]
    elif kind == "zoom":
        motion = ", ".join(f"{name}={_argument(value)}" for name, value in moved(asked).items())
        usual = ", ".join(["**ZOOM", *(f"{name!r}: {value!r}" for name, value in found.items())])
        lines = [
            "import phosphene",
            "from phosphene.film.motion import Motion",
            "from phosphene.film.zoom import Zoom, zoom",
            "from phosphene.presets import ZOOM",
            *load,
            opened,
            f"settings, way = phosphene.Dream(**{{{usual}}}), Zoom(Motion({motion}))",
            f"for made in zoom(photo.tensor(), lens, {what!r}, settings, way, frames={asked['frames']}):",
            "    print(made.number, made.image.shape)",
        ]
    elif kind == "video":
        lines = [
            "import phosphene",
            "from phosphene.film.carry import Dreamer",
            "from phosphene.film.source import look, stills",
            "from phosphene.film.video import flows, video",
            *load,
            f"dreamer = Dreamer(phosphene.parse({what!r}), lens, phosphene.Dream({arguments}))",
            f"for made in video(flows(stills(look({asked.get('name') or 'film.mp4'!r}))), dreamer):",
            "    print(made.still.number, made.image.shape)",
        ]
    else:
        lines = [
            "import phosphene",
            *load,
            opened,
            f"settings = phosphene.Dream({arguments})",
            f"for frame in phosphene.dream(photo.tensor(), {what!r}, lens, settings):",
            "    pass",
            'phosphene.save_picture("dream.png", photo.with_tensor(frame.full()))',
        ]
    return "\n".join(lines) + "\n"


def _argument(value: Any) -> str:
    return repr(tuple(value)) if isinstance(value, list) else repr(value)


def described(kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """All that makes a job another, by name."""
    more = {"zoom": ("frames", "fps", "motion", "loop"), "video": ("start", "end", "every")}.get(kind, ())
    return {
        **asked["settings"],
        "kind": kind,
        "photo": asked.get("name"),
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
