"""`phosphene layers`: what can be dreamed, what it costs, and what it looks like."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated

from cyclopts import Parameter

from phosphene.cli.flags import OUTPUT, Talk, option
from phosphene.cli.report import Report
from phosphene.errors import PhospheneError


def layers(
    model: Annotated[str, Parameter(name="MODEL", help="the network")] = "",
    *,
    weights: Annotated[str, option("a file with its weights", metavar="FILE")] = "",
    mean: Annotated[
        str, option("what its input has subtracted", metavar="TEXT", allow_leading_hyphen=True)
    ] = "",
    std: Annotated[str, option("what its input is then divided by")] = "",
    range_: Annotated[str, option("black and white in its input", "--range", allow_leading_hyphen=True)] = "",
    channel_order: Annotated[str, option("of its input: rgb, bgr or l")] = "",
    size: Annotated[str, option("of the picture in px, as 320 or 640x480 (default: the network's own)")] = "",
    pictures: Annotated[
        str,
        option(
            "dream each layer, small; save a contact sheet, or thumbnails in a folder/",
            group=OUTPUT,
            metavar="OUT",
        ),
    ] = "",
    photo: Annotated[str, option("dream on this photo instead of noise", group=OUTPUT, metavar="FILE")] = "",
    layers: Annotated[  # the flag is --layers
        str,
        option("which layers to dream, as 'blocks.*,conv_stem'", "--layers", group=OUTPUT, metavar="PATTERN"),
    ] = "",
    overwrite: Annotated[bool, option("replace files that exist", group=OUTPUT)] = False,
    talk: Talk = Talk(),  # noqa: B008
) -> None:
    """The layers of a network: names for --objective, shapes, receptive fields, and what they cost."""
    from phosphene import models, settings
    from phosphene.layers import table

    if (photo or layers) and not pictures:
        raise PhospheneError("E_PARAM", "--photo and --layers belong to --pictures; give that, too")
    flags = {"model": model, "weights": weights, "mean": mean, "std": std}
    flags |= {"range": range_, "channel_order": channel_order}
    dream = settings.gather({name: value for name, value in flags.items() if value}).dream
    asked = sides(size)
    report = Report(events=talk.json, quiet=talk.quiet, verbose=talk.verbose)
    lens = models.load(
        dream.model,
        dream.weights,
        device="cpu",
        mean=dream.mean,
        std=dream.std,
        range=dream.range,
        channel_order=dream.channel_order,
        untrained=not pictures,
    )
    for note in lens.notes:
        report.note(note)
    asked = asked or (lens.size, lens.size)
    if pictures:
        from phosphene.cli.thumbnails import render
        from phosphene.layers import maps

        found = maps(lens)
        render(lens, found, pictures, photo=photo, pattern=layers, overwrite=overwrite, report=report)
        return
    rows = table(lens, asked)
    if not rows:
        lens.channels(lens.layers[0] if lens.layers else "input")  # says why, if the network itself does
        raise PhospheneError(
            "E_MODEL", f"{lens.name} has no layer that can be looked at; is it a vision network?"
        )
    if talk.json:
        for row in rows:
            report.event("layer", **dataclasses.asdict(row))
        return
    from phosphene.cli.tree import print_layers

    print_layers(rows, asked)


def sides(size: str) -> tuple[int, int] | None:
    """Height and width of '640x480' (which is 480, 640) or '320'; None of ''."""
    found = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", size.strip().lower())
    if not size:
        return None
    if not found or not 16 <= int(found[1]) <= 8192 or not 16 <= int(found[2] or found[1]) <= 8192:
        raise PhospheneError("E_PARAM", f"--size is {size[:40]!r}, expected 16 to 8192 px, as 320 or 640x480")
    return int(found[2] or found[1]), int(found[1])
