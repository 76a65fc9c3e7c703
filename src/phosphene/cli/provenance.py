"""What a picture will say of how it was made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phosphene import recipe
from phosphene.cli import inputs

if TYPE_CHECKING:
    from phosphene.cli.dreaming import Setup
    from phosphene.cli.visualize import Work
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
        software=recipe.software(dream),
    )


def visualized(work: Work, numbers: Sequence[int], image: int, most: int = 0) -> recipe.Recipe:
    """The recipe of an image of one batch of `visualize`: the objectives `numbers`; -1 is all, on a sheet.

    `most` is how many were made at once where it isn't all.
    """
    from phosphene.expression import parse
    from phosphene.objective import batch

    together = [work.objectives[number] for number in numbers]
    joined = batch(together) if len(together) > 1 else together[0]
    if work.mosaic:
        joined, most = parse(work.dream.objective), len(numbers)
    dream = work.settings(numbers).but(objective=joined.text)
    height, width = work.size
    photo = None
    if work.photo is not None:
        name = Path(work.photo_name).name.encode(errors="replace").decode()
        tall, wide = work.photo.size
        photo = recipe.Picture(name=name, sha256=work.photo.sha256, width=wide, height=tall)
    return recipe.Recipe(
        dream=dream.but(weights=private(dream.weights)),
        input=photo,
        start=recipe.Start(width=width, height=height, image=image, batch=most),
        weights_sha256=work.lens.weights_sha256,
        files={name: recipe.sha256_of(name) for name in joined.files},
        software=recipe.software(dream),
    )


def private(name: str) -> str:
    """A file's name for a recipe: as typed, but a picture needn't tell who its maker is."""
    home = str(Path.home())
    return "~" + name[len(home) :] if len(home) > 1 and name.startswith(home + os.sep) else name
