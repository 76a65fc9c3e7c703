"""One photo after the other: a bad one doesn't stop the rest."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from phosphene.cli.dreaming import Setup, dream_photo, plan, prepare
from phosphene.cli.faults import explained
from phosphene.cli.flags import Talk, Target
from phosphene.cli.interrupt import stop
from phosphene.cli.outputs import STDOUT, Job, make_folder
from phosphene.cli.report import Report, printable
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.recipe import Stop

if TYPE_CHECKING:
    from phosphene.picture import Picture
    from phosphene.picture.large import Large

Open = Callable[[str], "Picture | Large"]
Do = Callable[[Job, "Picture", Setup], PhospheneError | None]


def dream_all(
    jobs: Sequence[Job],
    dream: Dream,
    target: Target,
    talk: Talk,
    *,
    open_: Open,
    fail_fast: bool = False,
    until: Stop | None = None,
    weights_sha256: str = "",
) -> int:
    """Do all `jobs` (or say what they would be, with `--dry-run`); the result is the exit code.

    The network is loaded when the first photo has turned out to be one; what is wrong with the
    network or the objective is wrong for all photos and is raised.
    """
    report = Report(
        events=talk.json,
        quiet=talk.quiet,
        verbose=talk.verbose,
        bytes_on_stdout=any(job.output == STDOUT for job in jobs),
    )
    if not target.dry_run:
        make_folder(target.output)
        make_folder(target.checkpoint)
    setup: Setup | None = None
    failed = 0
    for index, job in enumerate(jobs, 1):
        report.item = f"{job.photo} ({index} of {len(jobs)}): " if len(jobs) > 1 else ""
        error: Exception | None = None
        try:
            picture = open_(job.photo)
            for note in picture.notes:
                report.note(f"{job.photo}: {note}")
        except Exception as caught:
            error = caught
        else:
            if setup is None:
                setup = prepare(dream, deterministic=target.deterministic, compiled=not target.dry_run)
                _get_ready(setup, report)
                _same_weights(setup, weights_sha256)
            try:
                if target.dry_run:
                    _describe(job, picture, setup, report)
                else:
                    error = dream_photo(job, picture, setup, target, report, until)
            except BrokenPipeError:
                raise
            except Exception as caught:
                error = caught
        if error:
            failed += 1
            _tell(error, job, report, talk.debug)
        if stop.signal or (error and fail_fast):
            break
    if stop.signal:
        return stop.code
    return (1 if len(jobs) > 1 else 2) if failed else 0


def _get_ready(setup: Setup, report: Report) -> None:
    """Compile if that is wanted, and tell what there is to know of the network."""
    for note in setup.lens.notes:
        report.note(note)
    if setup.lens.compile:
        report.note("compiling; the first time this takes minutes")
        began = time.monotonic()
        with setup.lens.watching(setup.objective.layers):
            report.note(f"compiling: {time.monotonic() - began:.1f} s")


def _same_weights(setup: Setup, sha256: str) -> None:
    if sha256 and setup.lens.weights_sha256 != sha256:
        raise PhospheneError(
            "E_RECIPE",
            f"the weights of {setup.dream.model} aren't the recorded ones; "
            "give --model or --weights to take those that are here",
        )


def _tell(error: Exception, job: Job, report: Report, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    report.error(explained(error), photo=job.photo)


def _describe(job: Job, picture: Picture | Large, setup: Setup, report: Report) -> None:
    """What `--dry-run` prints for one photo."""
    from phosphene.cli import estimate, places

    planned = plan(job, picture, setup)
    memory = places.planned(setup, picture, planned["octaves"])
    expected = estimate.seconds(picture, setup, planned["octaves"], memory)
    if report.events:
        report.event(
            "plan",
            **planned,
            tile=memory.tile,
            halo=memory.halo,
            checkpointing=memory.checkpointing,
            canvas="disk" if memory.on_disk else "memory",
            predicted_peak_bytes=memory.peak,
            predicted_seconds=expected,
            seconds=expected,
        )
        return
    whole = memory.tile >= max(planned["width"], planned["height"])
    sizes = ", ".join(f"{width}×{height}" for width, height in planned["octaves"])
    for name, value in {
        "photo": planned["photo"],
        "output": f"{planned['output']} ({planned['width']}×{planned['height']})",
        "model": f"{planned['model']}, {planned['dtype']}",
        "device": f"{planned['device']}, {planned['threads']} threads",
        "objective": planned["objective"],
        "octaves": sizes,
        "steps": f"{planned['steps']} in each octave",
        "seed": planned["seed"],
        "tiles": ("none" if whole else f"{memory.tile} px, {memory.halo} px beyond")
        + (", activations computed again" if memory.checkpointing else ""),
        "memory": f"about {memory.peak / 1e9:.1f} GB at most"
        + (", the picture on disk" if memory.on_disk else ""),
        "time": f"about {expected:.{0 if expected >= 10 else 1}f} s" if expected else "unknown",
    }.items():
        print(f"{name + ':':<11}{printable(str(value))}")
