"""`phosphene replay` of what `phosphene visualize` made: the same batch again, for one of its images."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from phosphene import recipe as recipes
from phosphene.cli import interrupt, units
from phosphene.cli.report import Report
from phosphene.cli.visualize import climbed, prepared
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.recipe import Recipe


def again(recipe: Recipe, dream: Dream, photo: str, output: str, overwrite: bool, report: Report) -> int:
    """Make the picture once more; E_RECIPE where the recipe's image isn't among its objectives."""
    from phosphene import expression

    assert recipe.start
    began = time.monotonic()
    objectives = expression.parse(dream.objective).each()
    index = recipe.start.image
    if index >= len(objectives):
        raise PhospheneError(
            "E_RECIPE", f"the recipe is of image {index} of {len(objectives)}; it is damaged"
        )
    work = prepared(dream, [one.text for one in objectives], (recipe.start.height, recipe.start.width), photo)
    if recipe.weights_sha256 not in ("", work.lens.weights_sha256):
        report.note("other weights than the recorded ones; the picture will be another one")
    texts = [dream.objective] if work.mosaic else [one.text for one in work.objectives]
    if not work.mosaic and any(term.together for one in work.objectives for term in one.terms):
        count = recipe.start.batch or len(texts)
        groups = (range(len(texts))[first : first + count] for first in range(0, len(texts), count))
        work = replace(work, groups=tuple(map(tuple, groups)))
    out = output or f"{units.slug(texts[max(0, index)])}-replay.png"
    targets = units.places(out, texts if index < 0 else texts[index : index + 1], overwrite, False)
    found = climbed(work, recipe.start.batch or len(objectives), report)
    if index >= 0 and not work.mosaic:
        found = [one for one in found if one[0].number == index]
        targets = units.Places(targets.files * len(texts), None, targets.page, targets.shown)
    if not found:
        return interrupt.stop.code
    units.save(work, found, targets, overwrite)
    more: dict[str, Any] = units.ending(work, began, [one for one, _ in found], targets)
    report.done(targets.shown, **more)
    return 0


def photo_named(recipe: Recipe, photo: str, file: str) -> str:
    """The photo that pictures grew from, beside `file` unless another one is given; '' from noise."""
    if photo or not recipe.input:
        return photo
    path = str(Path(file).with_name(recipe.input.name))
    if not Path(path).is_file() or recipes.file_sha256(path) != recipe.input.sha256:
        raise PhospheneError("E_RECIPE", f"{path} isn't the recorded photo; give it as the second argument")
    return path
