"""`phosphene video`: a film into a dream that holds together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from phosphene import recipe, settings
from phosphene.cli import filming, interrupt
from phosphene.cli.dash import plain
from phosphene.cli.dreaming import Setup, prepare
from phosphene.cli.filming import FilmFlags
from phosphene.cli.flags import DreamFlags, Sources, Talk, given, option
from phosphene.cli.report import Report
from phosphene.cli.spread import Spread
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.lock import only_writer

if TYPE_CHECKING:
    from phosphene.film.source import Facts
    from phosphene.film.video import Made


@dataclass(frozen=True)
class Cut:
    """What is taken of a film."""

    facts: Facts
    start: float
    end: float | None
    every: int

    @property
    def frames(self) -> int:
        """How many stills that are, as far as is known."""
        whole = self.facts.seconds or self.facts.frames / float(self.facts.rate or 25)
        seconds = max(0.0, min(self.end or whole, whole) - self.start)
        share = seconds / whole if whole else 1.0
        return max(1, round(self.facts.frames * share / self.every))


def video(
    film: Annotated[str, Parameter(name="FILM", help="any film that FFmpeg reads")],
    /,
    *,
    where: FilmFlags = FilmFlags(),  # noqa: B008
    start: Annotated[float, option("seconds into the film to begin at", metavar="X")] = 0.0,
    end: Annotated[float | None, option("seconds into the film to stop at", metavar="X")] = None,
    every: Annotated[int, option("take one still of so many", metavar="N")] = 1,
    few: Annotated[
        int, option("steps on a still that carries a dream on; 0 = a quarter of --steps", metavar="N")
    ] = 0,
    afresh: Annotated[bool, option("dream every still by itself: slow, and it flickers")] = False,
    spread: Spread = Spread(),  # noqa: B008
    talk: Talk = Talk(),  # noqa: B008
    sources: Sources = Sources(),  # noqa: B008
    flags: DreamFlags = DreamFlags(),  # noqa: B008
) -> int:
    """Dream on a film; the dream is carried along with what moves, so it doesn't flicker."""
    began = time.monotonic()
    film, output = plain(film), plain(where.output)
    _check(start, end, every, few)
    if spread.checked().wanted and (start or end is not None or every > 1 or where.preview):
        raise PhospheneError(
            "E_PARAM", "several workers take a whole film: no --start, --end, --every, --preview"
        )
    import phosphene.film  # noqa: F401  (says what is missing)
    from phosphene.film.source import look

    dream = settings.gather(given(flags), look=sources.preset, config=sources.config).dream
    output = output or str(Path(film).with_name(f"{Path(film).stem}-dream{Path(film).suffix or '.mp4'}"))
    report = Report(events=talk.json, quiet=talk.quiet, verbose=talk.verbose)
    filming.apart(film, output)
    if filming.finished(output, where, report):
        return 0
    seedless = dream.seed is None
    dream = filming.seeded(dream, output, where.resume)
    facts = look(film)
    if where.preview:
        dream, end = filming.previewed(dream), min(end or start + filming.PREVIEW, start + filming.PREVIEW)
    for note in facts.notes:
        report.note(note)
    if spread.wanted:
        from phosphene.cli.pieces import begun_with, film_spread

        if seedless and (seed := begun_with(output)) is not None:
            dream = dream.but(seed=seed)
        return film_spread(facts, output, dream, where, report, spread, few, afresh)
    with only_writer(output):
        last, values, signalled = filmed(
            Cut(facts, start, end, every), prepare(dream), output, where, report, few, afresh
        )
    filming.ended(report, output, began, last, values)
    return interrupt.stop.code if signalled else 0


def _check(start: float, end: float | None, every: int, few: int) -> None:
    if not 0 <= start < float("inf"):
        raise PhospheneError("E_PARAM", f"--start is {start}, expected seconds, 0 or more")
    if end is not None and not start < end < float("inf"):
        raise PhospheneError("E_PARAM", f"--end is {end}, expected seconds, more than --start ({start})")
    if every < 1:
        raise PhospheneError("E_PARAM", f"--every is {every}, expected 1 or more")
    if few < 0:
        raise PhospheneError("E_PARAM", f"--few is {few}, expected steps, or 0")


def filmed(
    cut: Cut, setup: Setup, output: str, where: FilmFlags, report: Report, few: int, afresh: bool
) -> tuple[Any, dict[str, Any], bool]:
    """Dream the film and save it; the device, what there is to tell, and whether it was interrupted."""
    from phosphene.film.ahead import ahead
    from phosphene.film.carry import Dreamer
    from phosphene.film.kinds import Way
    from phosphene.film.reel import Reel
    from phosphene.film.source import stills
    from phosphene.film.video import flows
    from phosphene.film.video import video as dreamed
    from phosphene.octave import octave_count, output_size

    facts, dream = cut.facts, setup.dream
    before = facts.height, facts.width
    size = filming.even(output_size(*before, dream), before)
    dream = dream.but(max_size=0, scale=1.0)
    dream = dream.but(octaves=octave_count(*size, dream))
    identity = _identity(cut, setup, size, few, afresh)
    made_by = filming.as_recipe("video", identity)
    way = Way.like(facts, size[1], size[0], codec=where.codec, quality=where.quality, recipe=made_by)
    dreamer = Dreamer(setup.objective, setup.lens, dream, setup.mask, few)
    took: list[str] = []
    made = None
    with (
        interrupt.saving(filming.promise) as stop,
        Reel(
            output,
            way,
            identity,
            sound=facts,
            start=cut.start,
            end=cut.end,
            resume=where.resume,
            overwrite=where.overwrite,
        ) as reel,
    ):
        watch = filming.Watch(report, cut.frames, reel.next)
        taken = stills(
            facts,
            start=cut.start,
            end=cut.end,
            every=cut.every,
            skip=reel.next,
            size=size,
            notes=took,
        )
        with watch.shown(), ahead(taken) as read, ahead(flows(read, reel.state)) as pairs:
            for made in dreamed(pairs, dreamer, reel.state, afresh=afresh):
                reel.add(made.image, made.still.pts, made.still.duration, made.state())
                watch.at(made.still.number + 1, made.flicker.ratio, made.evaluations)
                if stop.signal:
                    break
        if stop.signal:
            filming.left(reel, report)
        else:
            took += reel.finish()
    for note in took:
        report.note(note)
    return setup.lens.device, _told(made, reel.state, dream, bool(stop.signal)), bool(stop.signal)


def _identity(cut: Cut, setup: Setup, size: tuple[int, int], few: int, afresh: bool) -> dict[str, Any]:
    """All that makes another film: JSON values by name."""
    values = setup.dream.model_dump(mode="json")
    return {
        "film's SHA-256": recipe.sha256_of(cut.facts.path),
        "start": cut.start,
        "end": cut.end,
        "every": cut.every,
        "size": f"{size[1]}×{size[0]}",
        "few": few,
        "afresh": afresh,
        **{name: value for name, value in values.items() if name != "max_memory"},
        "objective": setup.objective.text,
        "weights' SHA-256": setup.lens.weights_sha256,
        **{f"{name}'s SHA-256": sha256 for name, sha256 in setup.files.items()},
        **recipe.software().model_dump(),
    }


def _told(made: Made | None, state: Any, dream: Dream, interrupted: bool) -> dict[str, Any]:
    """The end's figures."""
    from phosphene.film.video import Flicker

    if made is not None:
        frames, flicker, count = made.still.number + 1, made.flicker, made.evaluations
    else:  # all was there already
        frames, flicker, count = state["number"] + 1, Flicker(*state["flicker"]), state["evaluations"]
    return {
        "frames": frames,
        "flicker": round(flicker.ratio, 4) if flicker.stills else None,
        "flicker_levels": round(flicker.levels, 4),
        "source_levels": round(flicker.source_levels, 4),
        "gradient_evaluations": count,
        "seed": dream.seed,
        **({"interrupted": True} if interrupted else {}),
    }
