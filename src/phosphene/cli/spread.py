"""Photos and pieces of films, many at once: what the workers do, and how that is told here."""

from __future__ import annotations

import io
import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from phosphene.catalog.executor import Executor, Failure
from phosphene.catalog.tries import outcomes
from phosphene.cli import checkpoints, interrupt
from phosphene.cli.dreaming import dream_photo, open_photo, prepare
from phosphene.cli.faults import explained
from phosphene.cli.flags import Talk, Target, option
from phosphene.cli.outputs import STDOUT, Job, make_folder
from phosphene.cli.report import Report
from phosphene.config import Dream
from phosphene.errors import PhospheneError

TOLD = {"end", "note"}  # of a worker's events
USUAL = ("there is no checkpoint", "there was nothing to resume")  # as each goes on with what there may be


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class Spread:
    """Where the work is done."""

    ray: Annotated[
        str,
        option(
            "spread the work over a Ray cluster: auto (the one that runs, else this machine) or its address",
            metavar="ADDRESS",
        ),
    ] = ""
    workers: Annotated[
        int, option("so many at once, each on a thread of its own (default with --ray: all)", metavar="N")
    ] = 0

    def checked(self) -> Spread:
        """The same; E_PARAM for what can't be."""
        if self.workers < 0:
            raise PhospheneError("E_PARAM", f"--workers is {self.workers}, expected a number, 1 or more")
        return self

    @property
    def wanted(self) -> bool:
        return bool(self.ray or self.workers)


class Here:
    """A task whose names are those of the folder from which the command was given; E_INPUT elsewhere."""

    def __init__(self, folder: str, settings: Mapping[str, Any], device: str = "") -> None:
        if not (Path(folder).is_dir() and Path(folder).samefile(Path.cwd())):
            raise PhospheneError(
                "E_INPUT", f"{folder}: not there on {platform.node()}; begin in a folder that all nodes have"
            )
        self.dream = Dream(**settings)
        if device and self.dream.device == "auto":
            self.dream = self.dream.but(device=device)


class Photos(Here):
    """The task for photos; an item is a `Job` as JSON has it, what is left of it the events that it gave."""

    def __init__(
        self, folder: str, dream: Mapping[str, Any], target: Mapping[str, Any], device: str = ""
    ) -> None:
        super().__init__(folder, dream, device)
        self.target = Target(**target)
        self.setup = prepare(self.dream, deterministic=self.target.deterministic)

    def do(self, item: Mapping[str, Any]) -> list[dict[str, Any]]:
        with heard() as (report, events):
            jobs, finished = checkpoints.planned([Job(item["photo"], item["output"])], self.target)
            if finished:  # by a worker that died before it could say so
                report.done(finished[0], finished=True)
            for job in jobs:
                picture = open_photo(job.photo, self.setup.dream)
                for note in picture.notes:
                    report.note(f"{job.photo}: {note}")
                error = dream_photo(job, picture, self.setup, self.target, report)
                if error:
                    raise error
        return events


@contextmanager
def heard() -> Iterator[tuple[Report, list[dict[str, Any]]]]:
    """A report, and at the end the events that are worth telling elsewhere."""
    report = Report(events=True)
    report.result = io.StringIO()
    events: list[dict[str, Any]] = []
    try:
        yield report, events
    except Exception as error:
        raise explained(error) from error
    found = map(json.loads, report.result.getvalue().splitlines())
    events += [
        event for event in found if event["event"] in TOLD and not event.get("message", "").startswith(USUAL)
    ]


def spread_photos(
    jobs: Sequence[Job], dream: Dream, target: Target, talk: Talk, spread: Spread, fail_fast: bool = False
) -> int:
    """Dream on all photos of `jobs`, several at once; the result is the exit code.

    The pictures are those that one thread makes here. What is finished is skipped by a later run.
    """
    report = Report(events=talk.json, quiet=talk.quiet, verbose=talk.verbose)
    if any(STDOUT in (job.photo, job.output) for job in jobs):
        raise PhospheneError(
            "E_PARAM", "--ray can't take a photo from stdin or give one to stdout; name files"
        )
    make_folder(target.output)
    make_folder(target.checkpoint)
    if not jobs:
        return 0
    settings = {"folder": str(Path.cwd()), "dream": dream.model_dump(mode="json"), "target": asdict(target)}
    items = [{"photo": job.photo, "output": job.output} for job in jobs]
    with workers(Photos, settings, dream, spread, len(items)) as executor:
        return told(executor, items, report, "photo", fail_fast)


def workers(
    task: Callable[..., Any], settings: Mapping[str, Any], dream: Dream, spread: Spread, most: int
) -> AbstractContextManager[Executor]:
    """The workers, no more than there are items: those of the cluster, or processes of this machine."""
    if not spread.ray:
        from phosphene.catalog.local import Pool

        return Pool(task, settings, workers=min(spread.workers, most), threads=dream.threads or 1)
    from phosphene.catalog.cluster import Cluster

    return Cluster(
        task,
        settings,
        address=spread.ray,
        workers=spread.workers,
        most=most,
        threads=dream.threads or 1,
        device=dream.device,
    )


def told(
    executor: Executor, items: Iterable[Mapping[str, Any]], report: Report, name: str, fail_fast: bool = False
) -> int:
    """Do all items and tell of each; `name` is what an item is called by. The result is the exit code."""
    failed = done = 0
    with interrupt.saving(_promise) as stop:
        for item, result in outcomes(executor, items, stopped=lambda: bool(stop.signal)):
            done += 1
            if isinstance(result, Failure):
                failed += 1
                report.item = f"{item[name]}: "
                report.error(PhospheneError(result.code, result.text), **{name: item[name]})
                if fail_fast:
                    break
                continue
            for event in result:
                if event["event"] == "note":
                    report.note(event["message"])
                else:
                    report.done(event["output"], **_without(event, "v", "event", "output"))
        if stop.signal:
            report.note(f"stopped after {done}; the same command goes on")
            return stop.code
    return 1 if failed else 0


def _without(event: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in names}


def _promise() -> None:
    os.write(2, b"\nending; what is finished stays\n")
