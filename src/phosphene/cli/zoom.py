"""`phosphene zoom`: a photo that one flies into, and that never ends."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from phosphene import recipe, settings
from phosphene.cli import filming, interrupt
from phosphene.cli.dash import plain
from phosphene.cli.dreaming import Setup, open_photo, prepare
from phosphene.cli.filming import FilmFlags
from phosphene.cli.flags import DreamFlags, Sources, Talk, given, option
from phosphene.cli.report import Report
from phosphene.errors import PhospheneError
from phosphene.lock import only_writer
from phosphene.presets import ZOOM

if TYPE_CHECKING:
    from phosphene.film.motion import Motion
    from phosphene.film.zoom import Made
    from phosphene.picture import Picture

OVERLAP = 4  # a loop's last quarter flows into its beginning


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
        flight = Flight(picture, name, frames, fps, way, plain(timeline), loop)  # type: ignore[arg-type]
        values, device = _filmed(flight, prepare(dream), output, where, report)
    filming.ended(report, output, began, device, values)
    return interrupt.stop.code if "interrupted" in values else 0


@dataclass(frozen=True)
class Flight:
    """What is flown."""

    picture: Picture
    name: str
    frames: int
    fps: float
    motion: Motion
    timeline: str
    loop: bool

    @property
    def over(self) -> int:
        """How many frames at a loop's end flow into its beginning."""
        return max(1, self.frames // OVERLAP) if self.loop else 0


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


def _filmed(
    flight: Flight, setup: Setup, output: str, where: FilmFlags, report: Report
) -> tuple[dict[str, Any], Any]:
    """Make the frames and the film; what there is to tell, and the device."""
    from phosphene.film.kinds import Way
    from phosphene.film.loop import looped
    from phosphene.film.reel import Reel
    from phosphene.film.timeline import read
    from phosphene.film.zoom import Zoom
    from phosphene.film.zoom import zoom as flown
    from phosphene.octave import octave_count, output_size

    before = flight.picture.size
    size = filming.even(output_size(*before, setup.dream), (0, 0))
    dream = setup.dream.but(max_size=0, scale=1.0)
    dream = dream.but(octaves=octave_count(*size, dream))
    total = flight.frames + flight.over
    keys = None
    if flight.timeline:
        keys = read(flight.timeline, dream, flight.motion, setup.objective, frames=total, fps=flight.fps)
    rate = Fraction(flight.fps).limit_denominator(1001)
    base = 1 / rate
    identity = _identity(flight, setup, size)
    way = Way(
        width=size[1],
        height=size[0],
        time_base=base,
        rate=rate,
        codec=where.codec,
        quality=where.quality,
        recipe=filming.as_recipe("zoom", identity),
    )
    made: Made | None = None
    notes: list[str] = []
    with (
        interrupt.saving(filming.promise) as stop,
        Reel(output, way, identity, resume=where.resume, overwrite=where.overwrite) as reel,
    ):
        state = reel.state
        count, levels = (state["gradients"], state["levels"]) if state else (0, 0.0)
        watch = filming.Watch(report, flight.frames, reel.next)
        stills = flown(
            _sized(flight.picture.tensor(), size),
            setup.lens,
            setup.objective,
            dream,
            Zoom(flight.motion, keys),
            frames=total,
            state=state,
            mask=setup.mask,
        )
        if flight.loop:
            stills = looped(stills, flight.frames, flight.over, _kept(output))
        with watch.shown():
            for made in stills:
                count, levels = count + made.gradient_evaluations, levels + made.flicker_levels
                pixels = made.image.permute(1, 2, 0).cpu().contiguous().numpy()
                reel.add(pixels, made.number, 1, {**made.state, "gradients": count, "levels": levels})
                watch.at(made.number + 1, levels / max(1, made.number), count)
                for note in made.notes:
                    report.note(note)
                if stop.signal:
                    break
        if stop.signal:
            filming.left(reel, report)
        else:
            notes += reel.finish()
            shutil.rmtree(_kept(output), ignore_errors=True)
    for note in notes:
        report.note(note)
    frames = made.number + 1 if made else flight.frames
    return {
        "frames": frames,
        "flicker": round(levels / max(1, frames - 1), 4),
        "gradient_evaluations": count,
        "seed": dream.seed,
        **({"interrupted": True} if stop.signal else {}),
    }, setup.lens.device


def _kept(output: str) -> Path:
    """Where a loop's first frames wait for its last."""
    return filming.parts(output).with_suffix(".loop")


def _sized(image: Any, size: tuple[int, int]) -> Any:
    from phosphene.canvas import Held
    from phosphene.octave import resampled

    found = resampled(Held(image), size)
    return found.rows(0, size[0])


def _identity(flight: Flight, setup: Setup, size: tuple[int, int]) -> dict[str, Any]:
    """All that makes another film: JSON values by name."""
    values = setup.dream.model_dump(mode="json")
    return {
        "photo": flight.picture.sha256,
        "size": f"{size[1]}×{size[0]}",
        "frames": flight.frames,
        "fps": flight.fps,
        "motion": repr(flight.motion),
        "timeline": recipe.sha256_of(flight.timeline) if flight.timeline else "",
        "loop": flight.over,
        **{name: value for name, value in values.items() if name != "max_memory"},
        "objective": setup.objective.text,
        "weights' SHA-256": setup.lens.weights_sha256,
        **{f"{name}'s SHA-256": sha256 for name, sha256 in setup.files.items()},
        **recipe.software().model_dump(),
    }
