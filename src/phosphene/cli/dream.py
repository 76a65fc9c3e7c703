"""`phosphene dream`: photos into dreams."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from phosphene import folder, settings
from phosphene.cli import checkpoints, inputs, outputs
from phosphene.cli.batch import Open, dream_all
from phosphene.cli.dash import plain
from phosphene.cli.dreaming import open_photo
from phosphene.cli.flags import DreamFlags, Sources, Talk, Target, given, option
from phosphene.cli.report import Report
from phosphene.cli.spread import Spread, spread_photos
from phosphene.config import Dream
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from phosphene.picture import Picture
    from phosphene.picture.large import Large


def dream(
    *photos: Annotated[
        str, Parameter(name="PHOTO", help="pictures, patterns, folders (with --recursive), or - for stdin")
    ],
    target: Target = Target(),  # noqa: B008
    recursive: Annotated[bool, option("all pictures in folders")] = False,
    files_from: Annotated[
        str, option("a list of photos, one per line; - is stdin", metavar="FILE", allow_leading_hyphen=True)
    ] = "",
    fail_fast: Annotated[bool, option("stop at the first bad photo")] = False,
    spread: Spread = Spread(),  # noqa: B008
    talk: Talk = Talk(),  # noqa: B008
    sources: Sources = Sources(),  # noqa: B008
    flags: DreamFlags = DreamFlags(),  # noqa: B008
) -> int:
    """Dream on photos. Ctrl-C saves what there is; a second one ends at once."""
    target, spread = target.typed(), spread.checked()
    if spread.wanted:  # a run that is begun again skips what is finished and goes on with what isn't
        target = replace(target, resume=not (target.overwrite or target.skip_existing or target.dry_run))
    found = settings.gather(given(flags), look=sources.preset, config=sources.config)
    names = inputs.photos(
        [name for photo in photos for name in _in_folder(plain(photo), spread, recursive)],
        files_from=plain(files_from),
        recursive=recursive,
    )
    if not names:
        return _no_photo()
    if target.resume and found.dream.seed is None and "{seed" in target.output:
        raise PhospheneError("E_PARAM", "--resume can't tell which {seed} it was; give --seed")
    chosen = with_seed(found.dream)
    open_, size = openers(chosen)
    jobs, skipped = outputs.jobs(
        names,
        target.output,
        chosen,
        size,
        preset=found.preset,
        overwrite=target.overwrite or target.resume,
        skip_existing=target.skip_existing,
    )
    jobs, finished = checkpoints.planned(jobs, target, [chosen.guide, chosen.mask, chosen.weights])
    if target.resume and found.dream.seed is None:
        seed = checkpoints.begun_with_seed(jobs, [*finished, *skipped])
        chosen = chosen if seed is None else chosen.but(seed=seed)
    report = Report(events=talk.json, quiet=talk.quiet)
    for output in [*skipped, *finished]:
        report.note(f"{output} exists; skipped")
    if spread.wanted and not target.dry_run:
        return spread_photos(jobs, chosen, target, talk, spread, fail_fast)
    return dream_all(jobs, chosen, target, talk, open_=open_, fail_fast=fail_fast)


def _in_folder(name: str, spread: Spread, recursive: bool) -> list[str]:
    """With `--ray` or `--workers` a folder stands for the photos in it."""
    if not spread.wanted or recursive or name == inputs.STDIN or not os.path.isdir(name):  # noqa: PTH112
        return [name]
    return [str(path) for path in folder.pictures(name)]


def _no_photo() -> int:
    if sys.stdin is not None and sys.stdin.isatty():
        from phosphene.cli.app import app

        app.help_print(["dream"], console=app.error_console)
        return 2
    raise PhospheneError("E_INPUT", "no photo given; name one, or - to read it from stdin")


def with_seed(chosen: Dream) -> Dream:
    """A seed drawn now if none was given, so that names and plans can say it."""
    return chosen if chosen.seed is not None else chosen.but(seed=secrets.randbelow(2**32))


def openers(chosen: Dream) -> tuple[Open, Callable[[str], tuple[int, int]]]:
    """How to open a photo, and how to learn its dream's width and height beforehand; stdin is read once."""
    piped: dict[str, Picture | Large] = {}

    def open_(name: str) -> Picture | Large:
        return piped.pop(name) if name in piped else open_photo(name, chosen)

    def size(name: str) -> tuple[int, int]:
        from phosphene.octave import output_size

        try:
            picture = open_photo(name, chosen)
        except PhospheneError:
            return 0, 0  # it will be told when its turn comes
        if name == inputs.STDIN:
            piped[name] = picture
        height, width = output_size(*picture.size, chosen)
        return width, height

    return open_, size
