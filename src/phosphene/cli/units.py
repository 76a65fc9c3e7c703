"""What becomes of the pictures of `phosphene visualize`: files, figures, a page."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phosphene.cli.outputs import UNSAFE, fill
from phosphene.cli.provenance import visualized
from phosphene.cli.report import Report
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from torch import Tensor

    from phosphene.cli.visualize import Work
    from phosphene.evidence import Evidence, Photos
    from phosphene.features import Seen
    from phosphene.picture import Picture

LONGEST = 100  # characters of a file's name
NAMED = 20  # photos
ROW = 8  # pictures that are in one row if they belong together
TOGETHER = re.compile(r" [+-] [\d.e-]+\*(diversity|alignment)\([^)]*\)")


@dataclass(frozen=True)
class Places:
    """Where the pictures go: one file each, or all on a sheet; and the page."""

    files: list[Path]
    sheet: Path | None
    page: Path
    shown: str


def places(
    out: str, texts: Sequence[str], overwrite: bool, report: bool, inputs: Sequence[str] = ()
) -> Places:
    """E_OUTPUT and E_EXISTS before anything is made."""
    from phosphene.picture import atomic, output_format

    if out == "-":
        raise PhospheneError("E_OUTPUT", "visualize writes files; give a name such as -o unit.png")

    names = [slug(text) for text in texts]
    out = fill(out, {}) if out else f"{names[0]}.png" if len(texts) == 1 else "units/"
    folder = out.endswith(("/", os.sep)) or Path(out).is_dir() or (len(texts) > 1 and not Path(out).suffix)
    if folder:
        try:
            Path(out).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PhospheneError("E_OUTPUT", f"{out}: {error.strerror}; give another folder") from None
        digits = len(str(len(texts) - 1))
        files = [Path(out) / f"{n:0{digits}}-{name}.png" for n, name in enumerate(names)]
        files = [Path(out) / f"{names[0]}.png"] if len(texts) == 1 else files
        found = Places(files, None, Path(out) / "index.html", out)
    else:
        output_format(out)
        alone = len(texts) == 1
        found = Places(
            [Path(out)] if alone else [], None if alone else Path(out), Path(out).with_suffix(".html"), out
        )
    checked = [*found.files, *filter(None, [found.sheet]), *([found.page] if report else [])]
    for path in checked:
        if any(path.exists() and Path(name).exists() and path.samefile(name) for name in inputs):
            raise PhospheneError(
                "E_OUTPUT", f"{path} is an input, which is never replaced; give another output"
            )
        atomic.check(path, overwrite=overwrite)
    return found


def slug(text: str) -> str:
    """An objective as part of a file's name."""
    return UNSAFE.sub("-", text).strip("-.")[:LONGEST] or "unit"


def save(work: Work, found: Sequence[tuple[Seen, list[int]]], targets: Places, overwrite: bool) -> None:
    import torch

    from phosphene.features import mosaic, over_grey
    from phosphene.noise import GREY
    from phosphene.picture import Picture, save_picture
    from phosphene.picture.sheet import contact_sheet

    if work.mosaic:
        count = len(work.objectives)
        tile_of = {one.number: over_grey(one.image, one.opacity) for one, _ in found}
        complete = len(tile_of) == count and all(one.ended for one, _ in found)
        gap = torch.full_like(found[0][0].image, GREY)
        tiles = mosaic([tile_of.get(number, gap) for number in range(count)], work.mosaic[1])
        text = _recipe(work, found[0][1], 0) if complete else ""
        save_picture(targets.files[0], Picture(_pixels(tiles)), recipe=text, overwrite=overwrite)
        return
    if targets.sheet:
        row = len(work.groups[0]) if work.groups else 0  # what belongs together
        made = contact_sheet(
            [(caption(one.objective), _pixels(over_grey(one.image, one.opacity))) for one, _ in found],
            columns=row if row <= ROW else 0,
        )
        save_picture(targets.sheet, Picture(made), recipe=_of_sheet(work, found), overwrite=overwrite)
        return
    for one, numbers in found:
        text = _recipe(work, numbers, numbers.index(one.number)) if one.ended else ""
        save_picture(targets.files[one.number], _picture(one), recipe=text, overwrite=overwrite)


def _of_sheet(work: Work, found: Sequence[tuple[Seen, list[int]]]) -> str:
    """The recipe; '' if the sheet isn't whole, or has settings of two kinds."""
    count = len(work.objectives)
    if len(found) < count or work.classes or not all(one.ended for one, _ in found):
        return ""
    most = max(len(numbers) for _, numbers in found)
    return _recipe(work, range(count), -1, most if most < count else 0)


def _recipe(work: Work, numbers: Sequence[int], image: int, most: int = 0) -> str:
    """As text; '' of more than a recipe holds."""
    try:
        return visualized(work, numbers, image, most).to_text()
    except (PhospheneError, ValueError):
        return ""


def caption(objective: str) -> str:
    """What is to be seen, without what only keeps a batch together or apart, and without long numbers."""
    short = TOGETHER.sub("", objective)
    return re.sub(r"\d*\.\d{3,}", lambda number: f"{float(number[0]):.2g}", short)


def _picture(one: Seen) -> Picture:
    from phosphene.picture import Picture

    return Picture(_pixels(one.image), alpha=None if one.opacity is None else one.opacity.numpy())


def _pixels(image: Tensor) -> Any:
    return image.permute(1, 2, 0).cpu().numpy()


def figures_of(work: Work, found: Sequence[Seen], compared: Photos | None) -> list[Evidence]:
    from phosphene.evidence import evidence, survey

    if compared is None:
        return []
    values = survey([work.objectives[one.number].single() for one in found], work.lens, compared)
    return [evidence(one.score, row, compared) for one, row in zip(found, values, strict=True)]


def write_page(
    work: Work,
    found: Sequence[Seen],
    figures: Sequence[Evidence],
    compared: Photos,
    path: Path,
    overwrite: bool,
) -> None:
    from phosphene.evidence import attribution
    from phosphene.features import over_grey
    from phosphene.page import Unit, page
    from phosphene.picture import atomic

    units = [
        Unit(one.objective, image, attribution(wanted.single(), image, work.lens), figure)
        for one, figure in zip(found, figures, strict=True)
        for image, wanted in [(over_grey(one.image, one.opacity), work.objectives[one.number])]
    ]
    dream, photos, names = work.dream, figures[0], list(compared.images)
    transforms = dream.transforms + (f" (classes {work.classes.transforms})" if work.classes else "")
    about = {
        "network": dream.model,
        "picture": f"{work.size[1]}×{work.size[0]} px, {dream.steps} steps, {dream.param}, "
        f"transforms {transforms}, seed {dream.seed}",
        "compared with": f"{photos.crops} crops at several scales of {photos.photos} photos "
        f"from {photos.source}: {', '.join(names[:NAMED])}" + ", …" * (len(names) > NAMED),
    } | ({"not compared with": "; ".join(compared.notes)} if compared.notes else {})
    text = page(
        units, compared, title=f"What units of {dream.model} want to see", about=about, text=dream.to_json()
    )
    with atomic.write(path, overwrite=overwrite) as file:
        file.write(text.encode())


def tell(
    report: Report, found: Sequence[tuple[Seen, list[int]]], figures: Sequence[Evidence], targets: Places
) -> None:
    """A line or an event for each picture."""
    for index, (one, _) in enumerate(found):
        figure = figures[index] if figures else None
        path = str(targets.sheet or targets.files[0 if len(targets.files) == 1 else one.number])
        if report.events:
            more = told(figure) if figure else {}
            report.event(
                "unit", number=one.number, objective=one.objective, activation=one.score, output=path, **more
            )
        elif figure:
            report.note(
                f"{one.objective}: {one.score:.4g}, above {figure.percentile:.4g} % of {figure.crops} crops "
                f"of {figure.photos} photos ({figure.source})"
            )


def told(figure: Evidence) -> dict[str, Any]:
    """All figures, and the best crops, for a program."""
    best = [{**one.window._asdict(), "activation": one.activation} for one in figure.best]
    known = ("percentile", "crops", "photos", "source", "mean", "deviation", "highest")
    return {name: getattr(figure, name) for name in known} | {"best": best}


def ending(
    work: Work, began: float, found: Sequence[Seen], targets: Places, figures: Sequence[Evidence] = ()
) -> dict[str, Any]:
    from phosphene import budget

    return {
        "seconds": round(time.monotonic() - began, 3),
        "peak_bytes": budget.highest(work.lens.device),
        "units": len(found),
        "seed": work.dream.seed,
        **({"report": str(targets.page)} if targets.page.exists() and figures else {}),
    }
