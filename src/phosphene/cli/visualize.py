"""`phosphene visualize`: what units want to see, and how much that says."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from phosphene import settings
from phosphene.cli import interrupt, units
from phosphene.cli.dash import plain
from phosphene.cli.dream import with_seed
from phosphene.cli.flags import DreamFlags, Sources, Talk, given, option
from phosphene.cli.report import Report
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.presets import FOR_CLASSES, VISUALIZE, of_class, visualization

if TYPE_CHECKING:
    from phosphene.evidence import Photos
    from phosphene.features import Seen
    from phosphene.frame import Frame
    from phosphene.lens import Lens
    from phosphene.objective import Objective
    from phosphene.picture import Picture


MOST = 64  # variants or steps: they are one batch


@dataclass(frozen=True)
class Work:
    """What all batches share."""

    dream: Dream
    lens: Lens
    objectives: list[Objective]
    size: tuple[int, int]
    photo: Picture | None
    photo_name: str
    groups: tuple[tuple[int, ...], ...] = ()  # what belongs together in a batch; () = as is quick
    mosaic: tuple[int, int] | None = None  # rows and columns of one picture of all
    classes: Dream | None = None  # the settings of classes, where they are on a sheet with others

    def settings(self, numbers: Sequence[int]) -> Dream:
        """Those of a batch of these objectives."""
        apart = self.classes and all(of_class(self.objectives[number].text) for number in numbers)
        return self.classes if self.classes and apart else self.dream


def visualize(
    model: Annotated[str, Parameter(name="MODEL", help="the network")],
    *objectives: Annotated[
        str, Parameter(name="OBJECTIVE", help="what to see: LAYER:CHANNEL, LAYER:0-15, LAYER:*, class:NAME …")
    ],
    output: Annotated[
        str, option("a picture; of several objectives a contact sheet, or a folder", "--output", "-o")
    ] = "",
    size: Annotated[
        str, option("side in pixels, of a photo the longer one, or WIDTHxHEIGHT", metavar="PX")
    ] = "224",
    batch: Annotated[int, option("pictures at once; 0 = as many as fit and are quick", metavar="N")] = 0,
    photo: Annotated[str, option("start from this photo instead of noise", metavar="FILE")] = "",
    photos: Annotated[
        str, option("natural photos to compare with; '' = those of scikit-image", metavar="FOLDER")
    ] = "",
    variants: Annotated[int, option("so many pictures of each, as different as may be", metavar="N")] = 0,
    interpolate: Annotated[int, option("so many steps from one objective to another", metavar="N")] = 0,
    report: Annotated[bool, option("also write an HTML page: pictures, figures, photos")] = False,
    no_figures: Annotated[bool, option("don't compare with photos")] = False,
    overwrite: Annotated[bool, option("replace files that exist")] = False,
    talk: Talk = Talk(),  # noqa: B008
    sources: Sources = Sources(),  # noqa: B008
    flags: DreamFlags = DreamFlags(),  # noqa: B008
) -> int:
    """What units want to see, from noise, and their activation beside that on natural photos."""
    began = time.monotonic()
    typed = given(flags) | {"model": plain(model)}
    named = [plain(one) for one in objectives]
    texts = named or [str(typed.get("objective", ""))]
    dream = with_seed(_settings(typed, sources, texts))
    wanted = named or ([dream.objective] if "objective" in typed else [])
    if not wanted:
        raise PhospheneError("E_PARAM", "no objective given; name one, such as LAYER:CHANNEL or 'LAYER:*'")
    for flag, instead in (
        ("mask", "dream with it"),
        ("guide", "give 'guide(\"FILE\", LAYER)' as the objective"),
    ):
        if typed.get(flag):
            raise PhospheneError("E_PARAM", f"visualize has no --{flag}; {instead}")
    if batch < 0:
        raise PhospheneError("E_PARAM", f"--batch is {batch}, expected 0 or more")
    if no_figures and report:
        raise PhospheneError("E_PARAM", "--report is made of figures; leave one of the two flags out")
    talking = Report(events=talk.json, quiet=talk.quiet, verbose=talk.verbose)
    if variants or interpolate:
        _check_together(variants, interpolate)
    work = prepared(dream, wanted, sides(size), plain(photo), variants, interpolate)
    if any(map(of_class, texts)):
        apart = _settings(typed, sources, list(filter(of_class, texts)))
        apart = work.dream.but(**{name: getattr(apart, name) for name in FOR_CLASSES})
        work = replace(work, classes=None if apart == work.dream else apart)
    no_figures = no_figures or work.mosaic is not None
    if no_figures and report:
        raise PhospheneError("E_PARAM", "a mosaic has no figures and no --report; leave the flag out")
    titles = [work.dream.objective] if work.mosaic else [one.text for one in work.objectives]
    read = [work.photo_name, *(name for one in work.objectives for name in one.files)]
    targets = units.places(plain(output), titles, overwrite, report, list(filter(None, read)))
    for note in work.lens.notes:
        talking.note(note)
    compared = None if no_figures else _photos(plain(photos))
    for note in compared.notes if compared else ():
        talking.note(note)
    found = climbed(work, batch, talking)
    if not found:
        return interrupt.stop.code
    units.save(work, found, targets, overwrite)
    figures = units.figures_of(work, [one for one, _ in found], compared)
    if report and compared:
        units.write_page(work, [one for one, _ in found], figures, compared, targets.page, overwrite)
    units.tell(talking, found, figures, targets)
    ended = {"interrupted": True} if interrupt.stop.signal else {}
    talking.done(
        targets.shown, **units.ending(work, began, [one for one, _ in found], targets, figures), **ended
    )
    return interrupt.stop.code if interrupt.stop.signal else 0


def _settings(typed: dict[str, Any], sources: Sources, objectives: list[str]) -> Dream:
    """With the defaults of the objectives, and of the param that is chosen, wherever that was."""

    def gathered(base: dict[str, Any]) -> Dream:
        return settings.gather(typed, look=sources.preset, config=sources.config, base=base).dream

    return gathered(visualization(gathered(VISUALIZE).param, objectives))


def _check_together(variants: int, interpolate: int) -> None:
    for flag, number in (("variants", variants), ("interpolate", interpolate)):
        if number and not 2 <= number <= MOST:
            raise PhospheneError("E_PARAM", f"--{flag} is {number}, expected 2 to {MOST}")
    if variants and interpolate:
        raise PhospheneError("E_PARAM", "--variants and --interpolate don't go together; give one of them")


def prepared(
    dream: Dream,
    wanted: Sequence[str],
    size: int | tuple[int, int],
    photo: str,
    variants: int = 0,
    interpolate: int = 0,
) -> Work:
    """Load and bind everything."""
    from phosphene import features as see
    from phosphene import models
    from phosphene.picture import open_picture

    models.weights_of(dream.model, dream.weights)  # says what is missing before torch is imported
    opened = open_picture(Path(photo)) if photo else None
    import torch

    if dream.threads:
        torch.set_num_threads(dream.threads)
    lens = models.of(dream)
    read = [see.read(text) for one in wanted for text in see.units(one, lens)]
    mosaic, title, shape = read[0].terms[0].mosaic, read[0].text, None
    if mosaic and (variants or interpolate):
        raise PhospheneError(
            "E_PARAM", "a grid is a mosaic of its own; leave --variants and --interpolate out"
        )
    if interpolate and len(read) != 2:
        raise PhospheneError("E_PARAM", f"--interpolate has {len(read)} objectives, expected 2")
    if mosaic and len(read) == len(read[0].terms) == 1 and read[0].terms[0].weight == 1:
        read, shape = mosaic(lens)
    bound = [one.bind(lens) for one in read]
    groups: tuple[tuple[int, ...], ...] = ()
    if variants:
        groups = tuple(tuple(range(n * variants, (n + 1) * variants)) for n in range(len(bound)))
        bound = [again for one in bound for again in see.variants(one, variants)]
    if interpolate:
        groups = (tuple(range(interpolate)),)
        bound = see.between(bound[0], bound[1], interpolate)
    dream = dream.but(
        objective=title if shape else bound[0].text,
        dtype=lens.dtype,
        device=str(lens.device),
        threads=torch.get_num_threads(),
    )
    height_width = see.shape(size, None if opened is None else opened.tensor())
    return Work(dream, lens, bound, height_width, opened, photo, groups, shape)


def sides(text: str) -> int | tuple[int, int]:
    """`224` as it is; of `320x240`, which has the width first, height and width."""
    width, _, height = text.lower().replace("×", "x").partition("x")
    if not width.isdigit() or not (height or width).isdigit() or not 16 <= int(width) <= 65_536:
        raise PhospheneError("E_PARAM", f"--size is {text[:40]!r}, expected pixels, such as 224 or 320x240")
    if not 16 <= int(height or width) <= 65_536:
        raise PhospheneError("E_PARAM", f"--size is {text[:40]!r}, expected at least 16 px on each side")
    return (int(height), int(width)) if height else int(width)


def _photos(folder: str) -> Photos:
    from phosphene.evidence import photos

    return photos(folder)


def climbed(work: Work, batch: int, report: Report) -> list[tuple[Seen, list[int]]]:
    """Every objective's picture, in their order, each with the numbers of its batch; fewer after Ctrl-C."""
    from phosphene import features

    groups = [list(group) for group in work.groups] or features.batches(
        work.objectives, work.lens, work.dream, work.size, batch
    )
    for group in work.groups:
        features.check_room([work.objectives[n] for n in group], work.lens, work.dream, work.size)
    found: list[tuple[Seen, list[int]]] = []
    photo = None if work.photo is None else work.photo.tensor()[0]
    with interrupt.saving(lambda: None) as stop:
        report.start_progress()
        try:
            for count, numbers in enumerate(groups, 1):
                report.item = f"batch {count} of {len(groups)}: " if len(groups) > 1 else ""
                together = [work.objectives[number] for number in numbers]
                frames = features.frames(together, work.lens, work.settings(numbers), work.size, photo)
                try:
                    last = _last(frames, report, stop)
                except PhospheneError as error:
                    if error.code != "E_ZERO_GRADIENT" or len(groups) == 1:
                        raise
                    report.note(str(error))
                    continue
                found += [(one, numbers) for one in features.seen(last, numbers, work.objectives, work.lens)]
                if stop.signal:
                    break
        finally:
            report.item = ""
            report.stop_progress()
    return sorted(found, key=lambda one: one[0].number)


def _last(frames: Iterator[Frame], report: Report, stop: interrupt.Stop) -> Frame:
    last = None
    for last in frames:
        report.frame(last)
        if stop.signal:
            break
    assert last is not None
    for note in last.notes:
        report.note(note)
    return last
