"""From a photo to its dream on disk: load, dream, save with the recipe."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phosphene import recipe
from phosphene.cli import inputs, interrupt, places
from phosphene.cli.checkpoints import Keeper, identity, kept_in
from phosphene.cli.flags import Target
from phosphene.cli.outputs import STDOUT, Job
from phosphene.cli.provenance import recipe_for
from phosphene.cli.report import Report, score
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.lock import only_writer

if TYPE_CHECKING:
    from torch import Tensor

    from phosphene.canvas import Disk
    from phosphene.frame import Frame
    from phosphene.lens import Lens
    from phosphene.objective import Objective
    from phosphene.picture import Picture
    from phosphene.picture.large import Large

HALF_DONE = ("E_DIVERGED", "E_ZERO_GRADIENT")  # the last frame before these is a good picture


@dataclass(frozen=True)
class Setup:
    """What all photos of a run share: the network, the objective bound to it, the mask."""

    dream: Dream
    lens: Lens
    objective: Objective
    mask: Tensor | None
    files: dict[str, str]  # name as typed -> SHA-256, of guide and mask
    threads: int
    deterministic: bool


def prepare(dream: Dream, *, deterministic: bool = False, compiled: bool = True) -> Setup:
    """Load and bind everything; seconds, most of them for importing torch.

    `compiled`: as far as the dream asks for it.
    """
    from phosphene import models

    models.weights_of(dream.model, dream.weights)  # says what is missing before torch is imported
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    if dream.threads:
        torch.set_num_threads(dream.threads)
    if deterministic or torch.are_deterministic_algorithms_enabled():  # it imports a compiler, for seconds
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if dream.objective:
        objective_of(dream)  # what is wrong with it is told before the network is loaded
    lens = models.of(dream, compile=dream.compile and compiled)
    dream = dream.but(dtype=lens.dtype, objective=dream.objective or models.own(lens, bool(dream.guide)))
    objective = objective_of(dream)
    return Setup(
        dream=dream,
        lens=lens,
        objective=objective.bind(lens),
        mask=_mask(dream.mask),
        files={name: recipe.sha256_of(name) for name in [*objective.files, dream.mask] if name},
        threads=torch.get_num_threads(),
        deterministic=deterministic,
    )


def objective_of(dream: Dream) -> Objective:
    """The objective; with a guide, the objective that is drawn to it at the layer."""
    from phosphene import expression, words

    objective = expression.parse(dream.objective)
    if not dream.guide:
        return objective
    layer = objective.terms[0].layer
    if objective.text != words.layer(layer).text:
        raise PhospheneError(
            "E_PARAM",
            f"--guide needs a plain layer as objective, got {dream.objective[:200]!r}; "
            "give a layer's name alone, or leave one of the two out",
        )
    return words.guide(dream.guide, layer)


def _mask(name: str) -> Tensor | None:
    """`[1, 1, H, W]`, 1 where to dream."""
    if not name:
        return None
    from phosphene.picture import open_picture

    return open_picture(name).tensor().mean(1, keepdim=True)


def open_photo(name: str, dream: Dream) -> Picture | Large:
    """The photo, or the one that is piped into stdin."""
    import numpy as np

    from phosphene.picture import Picture, open_picture

    picture: Picture | Large
    if name != inputs.STDIN:
        picture = places.opened(Path(name), dream)
    else:
        picture = open_picture(inputs.stdin_bytes())
    if not isinstance(picture, Picture):
        return picture
    planes = np.array(picture.pixels.transpose(2, 0, 1), order="C")  # as the engine wants them
    return replace(picture, pixels=planes.transpose(1, 2, 0))


def plan(job: Job, picture: Picture | Large, setup: Setup) -> dict[str, Any]:
    """What is about to be done with one photo; sizes are (width, height) in pixels."""
    from phosphene.octave import octave_sizes, output_size
    from phosphene.picture import check_output_size, output_format

    height, width = output_size(*picture.size, setup.dream)
    check_output_size(output_format(job.output), height, width)
    sizes = octave_sizes(height, width, setup.dream)
    return {
        "photo": job.photo,
        "output": job.output,
        "width": width,
        "height": height,
        "octaves": [[w, h] for h, w in sizes],
        "steps": setup.dream.steps,
        "model": setup.dream.model,
        "objective": setup.objective.text,
        "seed": setup.dream.seed,
        "device": str(setup.lens.device),
        "dtype": setup.dream.dtype,
        "threads": setup.threads,
    }


def dream_photo(
    job: Job,
    picture: Picture | Large,
    setup: Setup,
    target: Target,
    report: Report,
    until: recipe.Stop | None = None,
) -> PhospheneError | None:
    """Dream on one photo and save it, after a first Ctrl-C or E_DIVERGED as far as it came.

    `until` ends the run at that step. Gives the error that ended the run early but left a good picture.
    """
    from phosphene import budget
    from phosphene.picture import atomic, output_format
    from phosphene.picture.rows import check_tiles

    began = time.monotonic()
    planned = plan(job, picture, setup)
    report.plan(planned)
    whole = recipe_for(picture, job.photo, setup, len(planned["octaves"]), until)
    kept = kept_in(job.checkpoint) if target.resume else ""
    measure = bool(setup.dream.max_memory)
    where = places.planned(setup, picture, planned["octaves"], kept=kept, measure=measure)
    known = identity(whole) | {"canvas": "disk" if where.on_disk else "memory"}
    keeper = Keeper(job.checkpoint, known, target.checkpoint_every, report)
    target = replace(target, overwrite=target.overwrite or job.unfinished)
    with (
        only_writer(job.output),
        only_writer(job.checkpoint),
        interrupt.saving(_promise) as stop,
        places.ready(where),
    ):
        if job.output != STDOUT:
            atomic.check(job.output, overwrite=target.overwrite)
            if output_format(job.output) == "dzi":
                check_tiles(job.output, target.overwrite)
            if target.resume:
                atomic.sweep(job.output)
        keeper.check()
        if where.on_disk:
            places.check_room(planned, picture.size, setup, job.output)
        state = keeper.state() if target.resume else None
        chosen = {} if state else {"tile": where.tile, "checkpointing": where.checkpointing}
        frames = _frames(places.photo_of(picture, where, job.output), setup, setup.dream.but(**chosen), state)
        report.start_progress()
        try:
            last, error = _last_frame(frames, report, stop, until, keeper)
        finally:
            report.stop_progress()
        stopped = None if last.done else recipe.Stop(octave=last.octave + 1, step=last.step + 1)
        tiled = last.config.tile < max(last.photo.size)  # else the picture was one tile
        used = whole.dream.but(
            tile=last.config.tile if tiled else whole.dream.tile, checkpointing=last.config.checkpointing
        )
        made = whole.model_copy(update={"interrupted": stopped, "dream": used})
        _save(job.output, picture, last, "" if target.no_metadata else made.to_text(), target, report)
        if stopped == until:
            keeper.remove()
    ended = stopped and stopped.model_dump()
    if ended and not error:
        later = "; --resume goes on" if job.checkpoint and stopped != until else ""
        report.note(f"stopped at octave {ended['octave']}, step {ended['step']}; saved what there was{later}")
    report.done(
        job.output,
        seconds=round(time.monotonic() - began, 3),
        peak_bytes=budget.highest(setup.lens.device),
        score=score(last),
        seed=last.seed,
        **({"interrupted": ended} if ended else {}),
    )
    if not error:
        return None
    place = "stdout" if job.output == STDOUT else job.output
    return PhospheneError(error.code, f"{error}; saved the last good picture to {place}")


def _frames(
    photo: Tensor | Disk, setup: Setup, dream: Dream, resume: dict[str, Any] | None
) -> Iterator[Frame]:
    from phosphene import engine

    return engine.dream(photo, setup.objective, setup.lens, dream, mask=setup.mask, resume=resume)


def _last_frame(
    frames: Iterator[Frame],
    report: Report,
    stop: interrupt.Stop,
    until: recipe.Stop | None,
    keeper: Keeper,
) -> tuple[Frame, PhospheneError | None]:
    last = None
    with closing(frames):  # type: ignore[type-var]
        try:
            for last in frames:
                report.frame(last)
                for note in last.notes:
                    report.note(note)
                if until and (last.octave + 1, last.step + 1) == (until.octave, until.step):
                    break
                keeper.keep(last, now=bool(stop.signal))
                if stop.signal:
                    break
        except PhospheneError as error:
            if last is None or error.code not in HALF_DONE:
                raise
            return last, error
    assert last is not None
    return last, None


def _promise() -> None:
    """What the first Ctrl-C answers; plain `write`, as this runs inside a signal handler."""
    os.write(2, b"\nfinishing this step, then saving; once more ends at once\n")


def _save(
    output: str, picture: Picture | Large, last: Frame, text: str, target: Target, report: Report
) -> None:
    from phosphene.canvas import Disk
    from phosphene.picture import save_picture

    more: dict[str, Any] = {"recipe": text, "quality": target.quality}
    if isinstance(last.canvas, Disk):
        notes = places.saved(output, picture, last, overwrite=target.overwrite, **more)
    elif output != STDOUT:
        made = picture.with_tensor(last.full())  # type: ignore[union-attr]
        if last.opacity is not None:
            made = replace(made, alpha=last.opacity[0, 0].cpu().numpy())
        notes = save_picture(Path(output), made, overwrite=target.overwrite, **more)
    else:
        whole = io.BytesIO()  # so that what is piped on is whole as well
        notes = save_picture(whole, picture.with_tensor(last.full()), format="png", **more)  # type: ignore[union-attr]
        sys.stdout.buffer.write(whole.getvalue())
        sys.stdout.buffer.flush()
    for note in notes:
        report.note(note)
