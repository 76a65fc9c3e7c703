"""What each layer of a network dreams, small and quick: a contact sheet, or a folder of thumbnails."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phosphene.cli.report import Report, interactive
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from torch import Tensor

    from phosphene.layers import Row
    from phosphene.lens import Lens
    from phosphene.picture import Picture

SIDE = 128  # px
MOST = 80  # layers, where nobody chose: beyond, the blocks only
PLAIN = re.compile(
    r"Identity|Drop|Norm|BatchNorm|ReLU|GELU|SiLU|Swish|Sigmoid|Tanh|Act|Flatten|Sequential|ModuleList|Softmax|Permute",
)
SETTINGS = {
    "steps": 9,
    "octaves": 3,
    "octave_scale": 1.3,
    "jitter": 12,
    "step_size": 3,
    "smooth": 0.6,
    "seed": 1,
}
SHEET = "sheet.png"


def chosen(rows: Sequence[Row], pattern: str) -> list[Row]:
    """The maps among these layers whose name fits one of the patterns, or those that differ most."""
    maps = [row for row in rows if row.height and row.width]
    if pattern:
        patterns = [part.strip() for part in pattern.split(",")]
        found = [row for row in maps if any(fnmatchcase(row.name, one) for one in patterns)]
        if not found:
            raise PhospheneError(
                "E_LAYER", f"no layer with a map fits {pattern[:200]!r}; `phosphene layers` lists all"
            )
        return found
    found = [row for row in maps if not PLAIN.search(row.kind) and (row.height or 0) > 1]
    if len(found) > MOST:
        parts = {row.name.partition("#")[0] for row in found}
        inside = {name.rpartition(".")[0] for name in parts}
        blocks = {
            name for name in inside & parts if not any(name.startswith(f"{one}.") for one in inside & parts)
        }
        found = [
            row
            for row in found
            if row.name in blocks or not any(row.name.startswith(f"{block}.") for block in blocks)
        ]
    return found


def targets(place: str, rows: Sequence[Row], overwrite: bool) -> dict[str, Path]:
    """The file of each layer, and that of the sheet ('' is its name); E_EXISTS now rather than later."""
    from phosphene.picture import output_format
    from phosphene.picture.atomic import check

    folder = Path(place)
    if not place.endswith(("/", "\\")) and not folder.is_dir():
        output_format(place)
        check(place, overwrite)
        return {"": folder}
    if not folder.is_dir():
        try:
            folder.mkdir()
        except OSError as error:
            raise PhospheneError("E_OUTPUT", f"{place} can't be made: {error.strerror}") from None
    safe = {row.name: re.sub(r"[^\w.#\[\]-]+", "-", row.name)[:120] for row in rows}
    files = {row.name: folder / f"{index:03}-{safe[row.name]}.png" for index, row in enumerate(rows, 1)}
    files[""] = folder / SHEET
    for file in files.values():
        check(file, overwrite)
    return files


def start(photo: str) -> Tensor:
    """`[1, 3, H, W]`: the photo made small, or grey with a little noise."""
    import torch
    from torch.nn.functional import interpolate

    if not photo:
        random = torch.Generator().manual_seed(1)
        coarse = torch.randn(1, 3, SIDE // 4, SIDE // 4, generator=random)
        noise = interpolate(coarse, size=(SIDE, SIDE), mode="bicubic")
        return (0.5 + 0.06 * noise + 0.03 * torch.randn(1, 3, SIDE, SIDE, generator=random)).clamp(0, 1)
    from phosphene.picture import open_picture

    image = open_picture(photo).tensor()
    scale = SIDE * 1.25 / max(image.shape[-2:])
    size = [max(32, round(side * scale)) for side in image.shape[-2:]]
    return interpolate(image, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def dreams(lens: Lens, rows: Sequence[Row], photo: str, report: Report) -> Iterator[tuple[str, Any]]:
    """(name, pixels `[H, W, 3]`) of each layer that can be dreamed; the others are told."""
    from phosphene import engine
    from phosphene.config import Dream
    from phosphene.picture.picture import pixels_of
    from phosphene.words import layer

    image, config = start(photo), Dream.read(SETTINGS)
    with progress(report, len(rows)) as step:
        for row in rows:
            step(row.name)
            try:
                last = None
                for last in engine.dream(image, layer(row.name), lens, config):  # noqa: B007
                    pass
            except PhospheneError as error:
                if error.code in ("E_MEMORY", "E_DEVICE"):
                    raise
                report.note(f"{row.name} is left out: {error.code}: {error}")
                continue
            if last:
                yield row.name, pixels_of(last.full())


@contextmanager
def progress(report: Report, count: int) -> Iterator[Any]:
    """A function to be called with each layer's name: a bar on a terminal, else lines for --verbose."""
    if report.events or report.quiet or not interactive(sys.stderr):
        yield lambda name: report.detail(f"dreaming {name}")
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("dreaming", total=count)
        report.progress = bar
        begun = False

        def step(name: str) -> None:
            nonlocal begun
            bar.update(task, description=name[-40:], advance=int(begun))
            begun = True

        try:
            yield step
        finally:
            report.progress = None


def render(
    lens: Lens, rows: Sequence[Row], place: str, *, photo: str, pattern: str, overwrite: bool, report: Report
) -> None:
    """Dream the chosen layers and save them; the path of the sheet is the result."""
    from phosphene.picture import Picture, save_picture
    from phosphene.picture.sheet import contact_sheet

    wanted = chosen(rows, pattern)
    if not wanted:
        raise PhospheneError("E_LAYER", f"{lens.name} has no layer with a map; give --layers with a pattern")
    if len(wanted) < len(rows):
        hint = "" if pattern else "; --layers '*' takes every map"
        report.note(f"dreaming {len(wanted)} of {len(rows)} layers{hint}")
    files = targets(place, wanted, overwrite)
    shown = []
    for name, pixels in dreams(lens, wanted, photo, report):
        shown.append((name, pixels))
        if name in files:
            save_picture(files[name], picture(pixels), overwrite=overwrite)
            if report.events:
                report.event("picture", layer=name, output=str(files[name]))
    if not shown:
        raise PhospheneError("E_LAYER", "none of the layers could be dreamed; choose others with --layers")
    save_picture(files[""], Picture(contact_sheet(shown, lens.name)), overwrite=overwrite)
    report.done(str(files[""]), layers=[name for name, _ in shown])


def picture(pixels: Any) -> Picture:
    from phosphene.picture import Picture

    return Picture(pixels)
