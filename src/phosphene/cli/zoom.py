"""`phosphene zoom`: a photo that one flies into, and that never ends."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from phosphene import settings
from phosphene.cli import filming, interrupt
from phosphene.cli.dash import plain
from phosphene.cli.dreaming import open_photo, prepare
from phosphene.cli.filming import FilmFlags
from phosphene.cli.flags import DreamFlags, Sources, Talk, given, option
from phosphene.cli.report import Report
from phosphene.errors import PhospheneError
from phosphene.lock import only_writer
from phosphene.presets import ZOOM

if TYPE_CHECKING:
    from phosphene.film.flight import Flight
    from phosphene.film.motion import Motion
    from phosphene.film.shot import Shot


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class MotionFlags:
    """How one flies."""

    zoom: Annotated[float | None, option("of the size per frame (default 0.05); below 0 outwards")] = None
    rotate: Annotated[float | None, option("degrees per frame, clockwise")] = None
    drift: Annotated[str, option("X,Y: where to, in shorter sides per frame", allow_leading_hyphen=True)] = ""
    target: Annotated[str, option("X,Y: the point to fly to (default 0.5,0.5, the middle)")] = ""
    easing: Annotated[str, option("none, in, out or in-out: get going softly, come to rest softly")] = ""
    resample: Annotated[str, option("lanczos (default), cubic, linear or notebook")] = ""
    steady: Annotated[float | None, option("how much of the photo's light is held, 0 to 1")] = None


def zoom(
    photo: Annotated[str, Parameter(name="PHOTO", help="where the flight begins")],
    /,
    *,
    where: FilmFlags = FilmFlags(),  # noqa: B008
    frames: Annotated[int, option("how many (default 100)", metavar="N")] = 100,
    fps: Annotated[float, option("frames per second (default 25)", metavar="X")] = 25.0,
    motion: MotionFlags = MotionFlags(),
    timeline: Annotated[str, option("keyframes of settings and motion: TOML", metavar="FILE")] = "",
    loop: Annotated[bool, option("let the end flow into the beginning")] = False,
    talk: Talk = Talk(),  # noqa: B008
    sources: Sources = Sources(),  # noqa: B008
    flags: DreamFlags = DreamFlags(),  # noqa: B008
) -> int:
    """Fly into a photo: each frame is the dream of the last one, a little enlarged."""
    began = time.monotonic()
    if not 1 <= frames <= 1_000_000:
        raise PhospheneError("E_PARAM", f"--frames is {frames}, expected 1 to 1000000")
    if not 0.1 <= fps <= 1000:
        raise PhospheneError("E_PARAM", f"--fps is {fps}, expected 0.1 to 1000")
    import phosphene.film  # noqa: F401  (says what is missing)
    from phosphene.film.flight import Flight

    name = plain(photo)
    found = settings.gather(given(flags), look=sources.preset, config=sources.config, base=ZOOM)
    way = _motion(motion, found.preset == "classic")
    output = plain(where.output) or str(Path(name).with_name(f"{Path(name).stem}-zoom.mp4"))
    report = Report(events=talk.json, quiet=talk.quiet, verbose=talk.verbose)
    filming.apart(name, output)
    if filming.finished(output, where, report):
        return 0
    dream = filming.seeded(found.dream, output, where.resume)
    if where.preview:
        dream, frames = filming.previewed(dream), min(frames, max(1, round(filming.PREVIEW * fps)))
    picture = open_photo(name, dream)
    if not hasattr(picture, "pixels"):
        raise PhospheneError("E_TOO_LARGE", f"{name} is too large for a film; give --max-size")
    with only_writer(output):
        setup, image = prepare(dream), picture.tensor()  # type: ignore[union-attr]
        flight = Flight(image, picture.sha256, setup, frames, fps, way, plain(timeline), loop)
        values, device = _filmed(flight, output, where, report)
    filming.ended(report, output, began, device, values)
    return interrupt.stop.code if "interrupted" in values else 0


def _motion(flags: MotionFlags, classic: bool) -> Motion:
    from phosphene.film.motion import CLASSIC, Motion

    values: dict[str, Any] = {
        name: getattr(flags, name)
        for name in ("zoom", "rotate", "easing", "resample", "steady")
        if getattr(flags, name) not in (None, "")
    }
    values |= {
        name: _pair(name, plain(getattr(flags, name))) for name in ("drift", "target") if getattr(flags, name)
    }
    return replace(CLASSIC if classic else Motion(), **values)


def _pair(name: str, text: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise PhospheneError(
            "E_PARAM", f"--{name} is {text[:40]!r}, expected two numbers, such as 0.3,0.6"
        ) from None
    return first, second


def _filmed(flight: Flight, output: str, where: FilmFlags, report: Report) -> tuple[dict[str, Any], Any]:
    """Make the frames and the film; what there is to tell, and the device."""
    from phosphene.film.reel import Reel

    shot: Shot | None = None
    notes: list[str] = []
    kept = filming.parts(output).with_suffix(".loop")
    way = flight.way(where.codec, where.quality)
    with (
        interrupt.saving(filming.promise) as stop,
        Reel(output, way, flight.identity, resume=where.resume, overwrite=where.overwrite) as reel,
    ):
        state = reel.state
        count, levels = (state["gradients"], state["levels"]) if state else (0, 0.0)
        watch = filming.Watch(report, flight.frames, reel.next)
        with watch.shown():
            for shot in flight.shots(state, kept):
                reel.add(shot.pixels, shot.pts, shot.duration, shot.state)
                count, levels = shot.gradient_evaluations, shot.state["levels"]
                watch.at(shot.number + 1, shot.flicker, count)
                for note in shot.notes:
                    report.note(note)
                if stop.signal:
                    break
        if stop.signal:
            filming.left(reel, report)
        else:
            notes += reel.finish()
            shutil.rmtree(kept, ignore_errors=True)
    for note in notes:
        report.note(note)
    frames = shot.number + 1 if shot else flight.frames
    return {
        "frames": frames,
        "flicker": round(levels / max(1, frames - 1), 4),
        "gradient_evaluations": count,
        "seed": flight.dream.seed,
        **({"interrupted": True} if stop.signal else {}),
    }, flight.setup.lens.device
