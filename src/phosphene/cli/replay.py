"""`phosphene replay`: the same picture again, or another one from the same recipe."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from phosphene import models, settings
from phosphene import recipe as recipes
from phosphene.cli import checkpoints, inputs, outputs
from phosphene.cli.again import again, photo_named
from phosphene.cli.batch import dream_all
from phosphene.cli.dash import plain
from phosphene.cli.dream import openers, with_seed
from phosphene.cli.flags import DreamFlags, Talk, Target, given
from phosphene.cli.report import Report
from phosphene.cli.show import recipe_of
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.recipe import Recipe

FILES = ("guide", "mask", "weights")
REMOTE = ("//", "\\\\")


def replay(
    file: Annotated[str, Parameter(name="FILE", help="a picture made by phosphene")],
    photo: Annotated[
        str, Parameter(name="PHOTO", help="the photo; left out, the recorded one beside FILE")
    ] = "",
    /,
    *,
    target: Target = Target(),  # noqa: B008
    talk: Talk = Talk(),  # noqa: B008
    flags: DreamFlags = DreamFlags(),  # noqa: B008
) -> int:
    """Make a picture again, bit for bit on the same machine; flags change the recipe."""
    file, photo, target = plain(file), plain(photo), target.typed()
    recipe = recipe_of(file)
    changes = settings.typed(given(flags))
    report = Report(events=talk.json, quiet=talk.quiet)
    if recipe.start:
        for difference in recipes.differences(recipe.software):
            report.note(f"made with {difference}: the picture may differ a little")
        photo = photo_named(recipe, photo, file)
        return again(
            recipe, with_seed(_dream(recipe, changes)), photo, target.output, target.overwrite, report
        )
    if photo != inputs.STDIN:
        photo = _photo(recipe, photo, file, report)
    chosen = with_seed(_dream(recipe, changes))
    open_, size = openers(chosen)
    until = None if changes else recipe.interrupted
    jobs, skipped = outputs.jobs(
        [photo],
        target.output,
        chosen,
        size,
        default="{stem}-replay.{ext}",
        overwrite=target.overwrite or target.resume,
        skip_existing=target.skip_existing,
        also=[file],
    )
    jobs, finished = checkpoints.planned(
        jobs, target, [file, chosen.guide, chosen.mask, chosen.weights], until
    )
    for output in [*skipped, *finished]:
        report.note(f"{output} exists; skipped")
    for difference in recipes.differences(recipe.software):
        report.note(f"made with {difference}: the picture may differ a little")
    return dream_all(
        jobs,
        chosen,
        replace(target, deterministic=target.deterministic or recipe.deterministic),
        talk,
        open_=open_,
        until=until,
        weights_sha256="" if changes.keys() & {"model", "weights"} else recipe.weights_sha256,
    )


def _dream(recipe: Recipe, changes: dict[str, Any]) -> Dream:
    """The recorded settings with `changes`; E_RECIPE for a file that isn't the recorded one."""
    recorded: dict[str, Any] = {}
    if "model" not in changes:
        models.refuse_code(recipe.dream.model, "the recipe")
        if recipe.dream.model.partition(":")[2].startswith(REMOTE):
            raise PhospheneError("E_RECIPE", "the recipe's network is on a server; give --model")
    if recipe.dream.threads > 4 * (os.cpu_count() or 1):
        recorded["threads"] = 0
    if changes.get("model", recipe.dream.model) != recipe.dream.model:
        recorded |= {"objective": models.find(changes["model"]).objective, "weights": ""}
        recorded |= dict.fromkeys(("mean", "std", "range", "channel_order"), "")
    else:
        _same_pictures(recipe, changes)
    for name in FILES:
        path = recorded.get(name, getattr(recipe.dream, name))
        if path and name not in changes:
            sha256 = recipe.weights_sha256 if name == "weights" else recipe.files.get(path, "")
            recorded[name] = _same_file(path, sha256, f"--{name}")
    return recipe.dream.but(**recorded | changes)


def _same_pictures(recipe: Recipe, changes: dict[str, Any]) -> None:
    """The files that the recorded objective itself reads."""
    if "objective" not in changes and recipe.dream.objective:
        from phosphene.expression import parse

        try:
            found = parse(recipe.dream.objective)
        except PhospheneError as error:
            if gone := recipes.missing(recipe.software):
                why = f"{error}; it was made with {', '.join(gone)}, not installed here"
                raise PhospheneError("E_RECIPE", why) from None
            raise
        for path in found.files:
            _same_file(path, recipe.files.get(path, ""), "--objective", recipes.sha256_of)


def _same_file(name: str, sha256: str, flag: str, of: Callable[[str], str] = recipes.file_sha256) -> str:
    """The path of a recorded file, if the bytes there are the recorded ones."""
    path = str(Path(name).expanduser())
    remote = name.startswith(REMOTE)  # a stranger's recipe doesn't make us call a server
    try:
        if not remote and sha256 and of(path) == sha256:
            return path
    except PhospheneError:
        pass
    raise PhospheneError(
        "E_RECIPE", f"the recorded file {name} isn't here, or isn't the same; give {flag} to choose one"
    )


def _photo(recipe: Recipe, photo: str, file: str, report: Report) -> str:
    """The photo that was asked for, or the recorded one beside the picture or in the current folder."""
    if not recipe.input:
        raise PhospheneError("E_RECIPE", "the recipe names no photo; its picture's metadata are damaged")
    if photo:
        if Path(photo).is_file() and recipes.file_sha256(photo) != recipe.input.sha256:
            report.note(f"{photo} isn't the recorded photo; the picture will be another one")
        return photo
    name = recipe.input.name
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise PhospheneError("E_RECIPE", "the recipe doesn't name its photo; give it as the second argument")
    places = [str(Path(file).with_name(name)) if file != inputs.STDIN else name, name]
    present = [path for path in places if Path(path).is_file()]
    for path in present:
        if recipes.file_sha256(path) == recipe.input.sha256:
            return path
    found = f"{present[0]} isn't the recorded photo any more" if present else f"there is no {places[0]}"
    raise PhospheneError("E_RECIPE", f"{found}; give the photo as the second argument")
