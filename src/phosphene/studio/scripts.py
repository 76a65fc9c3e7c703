"""A job as a Python program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phosphene.config import Dream
from phosphene.studio.recipes import GRAIN, changed, chosen, files, moved, times

UNIT = "phosphene.Picture({}.image.permute(1, 2, 0).numpy())"


def python(kind: str, asked: Mapping[str, Any]) -> str:
    """The same picture, or a film's stills, in Python; the uploads' names stand for the files."""
    found, names = changed(kind, asked["settings"]), files(asked)
    text, model = chosen(asked, found), found.pop("model", Dream().model)
    what = repr(text) if text else f"models.own(lens, guide={'guide' in names})"
    drawn = f"phosphene.guide({names['guide']!r}, {what})" if "guide" in names else what
    mask = ", mask=mask" if "mask" in names else ""
    make = {"visualize": _unit, "zoom": _flight, "video": _film}.get(kind, _dream)
    imports, lines = make(asked, found, drawn, mask)
    imports += [] if text else ["from phosphene import models"]
    load = ["", f"lens = phosphene.load({model!r})"]
    if mask:
        load.append(f"mask = phosphene.open_picture({names['mask']!r}).tensor().mean(1, keepdim=True)")
    return "\n".join(["import phosphene", *sorted(imports), *load, *lines]) + "\n"


Lines = tuple[list[str], list[str]]  # what is imported besides, and what comes after the network is loaded


def _dream(asked: Mapping[str, Any], found: dict[str, Any], what: str, mask: str) -> Lines:
    return [], [
        _opened(asked),
        f"settings = phosphene.Dream({_arguments(found)})",
        f"for frame in phosphene.dream(photo.tensor(), {what}, lens, settings{mask}):",
        "    pass",
        'phosphene.save_picture("dream.png", photo.with_tensor(frame.full()))',
    ]


def _unit(asked: Mapping[str, Any], found: dict[str, Any], what: str, mask: str) -> Lines:
    start = ", photo=photo.tensor()[0]" if asked.get("name") else ""
    objective = asked["settings"].get("objective", Dream().objective)
    arguments = ", ".join(filter(None, [repr(objective), _arguments(found)]))
    size = asked.get("size") or 512
    return ["from phosphene.features import settings"], [
        *([_opened(asked)] if start else []),
        f"(unit,) = phosphene.visualize({what}, lens, settings({arguments}), size={size}{start})",
        f'phosphene.save_picture("dream.png", {UNIT.format("unit")})',
    ]


def _flight(asked: Mapping[str, Any], found: dict[str, Any], what: str, mask: str) -> Lines:
    imports = [
        "from phosphene.canvas import Held",
        "from phosphene.film.motion import Motion",
        "from phosphene.film.shot import even",
        "from phosphene.film.zoom import Zoom, zoom",
        "from phosphene.octave import output_size, resampled",
        "from phosphene.presets import ZOOM",
    ]
    begun = [_opened(asked), "image = photo.tensor()"]
    if not asked.get("name"):
        size, seed = asked.get("size") or 512, found.get("seed", 0)
        imports.append("from phosphene.noise import GREY, Noise")
        noise = f"Noise(1, {size}, {size}, numbers=(0,)).image({GRAIN}, {seed})"
        begun = [f"image = (GREY + {noise}).clamp(0, 1)"]
    motion = ", ".join(f"{name}={_argument(value)}" for name, value in moved(asked).items())
    usual = ", ".join(["**ZOOM", *(f"{name!r}: {value!r}" for name, value in found.items())])
    frames = asked["frames"]
    flight = f"zoom(image, lens, {what}, settings, Zoom(Motion({motion})), frames={frames}{{}}{mask})"
    begun += [
        f"settings = phosphene.Dream(**{{{usual}}})",
        "height, width = even(output_size(*image.shape[-2:], settings), (0, 0))",
        "image = resampled(Held(image), (height, width)).rows(0, height)",
        "settings = settings.but(max_size=0, scale=1.0)",
    ]
    if asked.get("loop"):
        imports += ["from phosphene.film.flight import OVERLAP", "from phosphene.film.loop import looped"]
        begun += [f"over = max(1, {frames} // OVERLAP)"]
        flight = f'looped({flight.format(" + over")}, {frames}, over, "loop")'
    return imports, [
        *begun,
        f"for made in {flight.format('')}:",
        f'    phosphene.save_picture(f"{{made.number:04}}.png", {UNIT.format("made")})',
    ]


def _film(asked: Mapping[str, Any], found: dict[str, Any], what: str, mask: str) -> Lines:
    imports = [
        "from phosphene.film.carry import Dreamer",
        "from phosphene.film.shot import even",
        "from phosphene.film.source import look, stills",
        "from phosphene.film.video import flows, video",
        "from phosphene.octave import output_size",
    ]
    part = "".join(f", {name}={value!r}" for name, value in times(asked).items())
    parsed = what if what.startswith("phosphene.guide") else f"phosphene.parse({what})"
    return imports, [
        f"facts = look({asked.get('name') or 'film.mp4'!r})",
        f"settings = phosphene.Dream({_arguments(found)})",
        "before = facts.height, facts.width",
        "film = stills(facts, size=even(output_size(*before, settings), before)" + part + ")",
        f"dreamer = Dreamer({parsed}, lens, settings.but(max_size=0, scale=1.0){mask})",
        "for made in video(flows(film), dreamer):",
        '    phosphene.save_picture(f"{made.still.number:04}.png", phosphene.Picture(made.image))',
    ]


def _opened(asked: Mapping[str, Any]) -> str:
    return f"photo = phosphene.open_picture({asked.get('name') or 'photo.jpg'!r})"


def _arguments(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in found.items())


def _argument(value: Any) -> str:
    return repr(tuple(value)) if isinstance(value, list) else repr(value)
