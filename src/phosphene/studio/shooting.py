"""Films: a zoom into a photo, or another film's dream, still by still."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phosphene.frame import Frame
from phosphene.noise import GREY, Noise
from phosphene.picture import Picture, save_picture
from phosphene.studio.making import Made, made_of
from phosphene.studio.recipes import GRAIN

if TYPE_CHECKING:
    from phosphene.film.flight import Flight
    from phosphene.film.reel import Reel
    from phosphene.film.shot import Shot, Watch
    from phosphene.film.take import Take
    from phosphene.studio.worker import Worker

KINDS = ("zoom", "video")


def film(worker: Worker, job: Mapping[str, Any]) -> None:
    """Make the film, from where it was left, as far as nobody asks for something else."""
    from phosphene.film.shot import as_recipe
    from phosphene.studio.worker import HELD, Asked, Sight

    began = time.monotonic()
    asked = job["asked"]
    made = made_of(job, worker.files, worker.lens)
    output = worker.files / f"{job['id']}.mp4"
    sight, wanted, place = Sight(), "", {"frame": 0, "frames": 0}

    def watch(frame: Frame) -> None:
        nonlocal wanted
        wanted = worker.asked(job["id"])
        worker.show(job, frame, sight, bool(wanted), **place)
        if wanted:
            raise Asked

    kept = output.with_suffix(".loop")
    source: Flight | Take = (
        _flight(asked, made) if job["kind"] == "zoom" else _take(asked, made, worker.files)
    )
    (worker.files / f"{job['id']}.recipe").write_text(as_recipe(job["kind"], source.identity), "utf-8")
    with _reel(str(output), source) as reel:
        place = {"frame": reel.next + 1, "frames": source.frames}
        worker.tell(job, "running")
        last: Shot | None = None
        try:
            with closing(_shots(source, reel, kept, watch)) as shots:
                for last in shots:
                    reel.add(last.pixels, last.pts, last.duration, last.state)
                    place["frame"] = min(last.number + 2, source.frames)
        except Asked:
            pass
        if wanted in HELD:
            reel.stop()
        elif last is not None or reel.next:
            reel.finish()
    seconds = time.monotonic() - began
    if last is not None:
        _poster(last, worker.files / f"{job['id']}.png")
    if wanted not in HELD:
        for left in (kept, Path(f"{output}.parts")):
            shutil.rmtree(left, ignore_errors=True)
    state = {**HELD, "cancel": "cancelled"}.get(wanted, "done")
    worker.tell(job, state, seconds=seconds, progress={**place, "frame": reel.folder.next})


def _flight(asked: Mapping[str, Any], made: Made) -> Flight:
    from phosphene.film.flight import Flight
    from phosphene.film.motion import Motion

    image = made.image
    if isinstance(image, Noise):
        image = (GREY + image.image(GRAIN, made.dream.seed or 0)).clamp(0, 1)
    sha256 = made.photo.sha256 if made.photo else "noise"
    motion = Motion(**(asked.get("motion") or {}))
    return Flight(image, sha256, made, asked["frames"], asked["fps"], motion, "", bool(asked.get("loop")))


def _take(asked: Mapping[str, Any], made: Made, files: Path) -> Take:
    from phosphene.film.source import look
    from phosphene.film.take import Take

    facts = look(files / f"{asked['film']}.upload")
    return Take(facts, made, asked.get("start") or 0.0, asked.get("end"), asked.get("every") or 1)


def _reel(output: str, source: Flight | Take) -> Reel:
    from phosphene.film.reel import Reel
    from phosphene.film.take import Take

    way, identity = source.way(), source.identity
    if not isinstance(source, Take):
        return Reel(output, way, identity, resume=True, overwrite=True)
    return Reel(
        output,
        way,
        identity,
        sound=source.facts,
        start=source.start,
        end=source.end,
        resume=True,
        overwrite=True,
    )


def _shots(source: Flight | Take, reel: Reel, kept: Path, watch: Watch) -> Generator[Shot, None, None]:
    from phosphene.film.flight import Flight

    if isinstance(source, Flight):
        return source.shots(reel.state, kept, watch)
    return source.shots(reel.next, reel.state, watch, halved=reel.plan.halved)


def _poster(shot: Shot, target: Path) -> None:
    """The newest still, for the gallery."""
    picture = Picture(np.ascontiguousarray(shot.pixels), None, 8, None, "png", "", ())
    save_picture(target, picture, format="png", overwrite=True)
