"""`phosphene video`: a film into a dream that holds together."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from phosphene import settings
from phosphene.cli import filming, interrupt
from phosphene.cli.dash import plain
from phosphene.cli.dreaming import prepare
from phosphene.cli.filming import FilmFlags
from phosphene.cli.flags import DreamFlags, Sources, Talk, given, option
from phosphene.cli.report import Report
from phosphene.cli.spread import Spread
from phosphene.errors import PhospheneError
from phosphene.lock import only_writer

if TYPE_CHECKING:
    from phosphene.film.take import Take


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
    no_sound: Annotated[bool, option("leave the film's sound and subtitles out")] = False,
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
    from phosphene.film.take import Take

    dream = settings.gather(given(flags), look=sources.preset, config=sources.config).dream
    output = output or _beside(Path(film))
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
        return film_spread(facts, output, dream, where, report, spread, few, afresh, not no_sound)
    with only_writer(output):
        take = Take(facts, prepare(dream), start, end, every, few, afresh)
        values, signalled = filmed(take, output, where, report, not no_sound)
    filming.ended(report, output, began, take.setup.lens.device, values)
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


def _beside(film: Path) -> str:
    """A name for the dream of a film: in a container of the same kind, or in one that takes any sound."""
    from phosphene.film.kinds import CONTAINERS

    suffix = film.suffix if film.suffix.lower() in (*CONTAINERS, ".gif") else ".mkv"
    return str(film.with_name(f"{film.stem}-dream{suffix}"))


def filmed(
    take: Take, output: str, where: FilmFlags, report: Report, sound: bool = True
) -> tuple[dict[str, Any], bool]:
    """Dream the film and save it; what there is to tell, and whether it was interrupted."""
    from phosphene.film.reel import Reel
    from phosphene.film.take import figures

    notes: list[str] = []
    with (
        interrupt.saving(filming.promise) as stop,
        Reel(
            output,
            take.way(where.codec, where.quality),
            take.identity,
            sound=take.facts if sound else None,
            start=take.start,
            end=take.end,
            resume=where.resume,
            overwrite=where.overwrite,
        ) as reel,
    ):
        state = reel.state
        watch = filming.Watch(report, take.frames, reel.next)
        with watch.shown(), closing(take.shots(reel.next, state, halved=reel.plan.halved)) as shots:
            for shot in shots:
                reel.add(shot.pixels, shot.pts, shot.duration, shot.state)
                state = shot.state
                watch.at(shot.number + 1, shot.flicker, shot.gradient_evaluations)
                if stop.signal:
                    break
        if stop.signal:
            filming.left(reel, report)
        else:
            notes += reel.finish()
    for note in (*take.notes, *notes):
        report.note(note)
    assert state is not None
    interrupted = {"interrupted": True} if stop.signal else {}
    return {**figures(state), "seed": take.dream.seed, **interrupted}, bool(stop.signal)
