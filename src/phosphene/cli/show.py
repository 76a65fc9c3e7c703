"""`phosphene show`: the recipe in a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.cli import inputs
from phosphene.cli.dash import plain
from phosphene.cli.flags import Talk
from phosphene.cli.report import printable
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.recipe import Recipe


def show(
    file: Annotated[str, Parameter(name="FILE", help="a picture made by phosphene, or -")],
    /,
    *,
    talk: Talk = Talk(),  # noqa: B008
) -> None:
    """The recipe in a picture: how it was made, from what, with what."""
    recipe = recipe_of(plain(file))
    if talk.json:
        print(json.dumps({"v": 1, "event": "recipe", **recipe.model_dump(mode="json")}))
        return
    found = rows(recipe)
    width = max(len(name) for name, _ in found) + 2
    for name, value in found:
        print(f"{name + ':':<{width}}{printable(value)}")


def recipe_of(file: str) -> Recipe:
    """The recipe in the picture `file` (`-` is stdin); E_RECIPE where there is none."""
    from phosphene.picture import read_recipe

    text = read_recipe(inputs.stdin_bytes() if file == inputs.STDIN else Path(file))
    if text is None:
        raise PhospheneError("E_RECIPE", f"{file} has no recipe in it; expected a picture made by phosphene")
    return Recipe.from_text(text)


def rows(recipe: Recipe) -> list[tuple[str, str]]:
    """What a person wants to know: the photo, then every setting that isn't the default, then the rest."""
    photo, software = recipe.input, recipe.software
    default = Dream()
    found = []
    if photo:
        size = f"{photo.width}×{photo.height}"
        found.append(("photo", f"{photo.name or 'stdin'} ({size}, SHA-256 {photo.sha256[:16]}…)"))
    if recipe.start:
        found.append(
            ("from", f"{'the photo' if photo else 'noise'}, {recipe.start.width}×{recipe.start.height} px")
        )
    for name, value in recipe.dream:
        if name in ("model", "objective", "octaves", "steps", "seed") or value != getattr(default, name):
            found.append((name, str(value)))
    if recipe.weights_sha256:
        found.append(("weights SHA-256", recipe.weights_sha256))
    found += [(f"{name} SHA-256", sha256) for name, sha256 in recipe.files.items()]
    if recipe.interrupted:
        found.append(("interrupted", f"octave {recipe.interrupted.octave}, step {recipe.interrupted.step}"))
    found.append(("made with", ", ".join(f"{name} {value}" for name, value in software if value != "")))
    return found
