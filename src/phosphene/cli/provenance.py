"""What a picture will say of how it was made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from phosphene import recipe
from phosphene.cli import inputs

if TYPE_CHECKING:
    from phosphene.cli.dreaming import Setup
    from phosphene.picture import Picture
    from phosphene.picture.large import Large


def recipe_for(
    picture: Picture | Large, photo: str, setup: Setup, octaves: int, until: recipe.Stop | None
) -> recipe.Recipe:
    """The recipe of the dream of one photo, if it comes to its end, or to the step `until`."""
    dream = setup.dream.but(octaves=octaves, device=str(setup.lens.device), threads=setup.threads)
    names = {name: private(name) for name in (dream.guide, dream.mask, dream.weights) if name}
    height, width = picture.size
    name = "" if photo == inputs.STDIN else Path(photo).name.encode(errors="replace").decode()
    return recipe.Recipe(
        dream=dream.but(
            **{field: names.get(getattr(dream, field), "") for field in ("guide", "mask", "weights")}
        ),
        input=recipe.Picture(name=name, sha256=picture.sha256, width=width, height=height),
        weights_sha256=setup.lens.weights_sha256,
        files={names.get(name, name): sha256 for name, sha256 in setup.files.items()},
        interrupted=until,
        deterministic=setup.deterministic,
        software=recipe.software(),
    )


def private(name: str) -> str:
    """A file's name for a recipe: as typed, but a picture needn't tell who its maker is."""
    home = str(Path.home())
    return "~" + name[len(home) :] if len(home) > 1 and name.startswith(home + os.sep) else name
