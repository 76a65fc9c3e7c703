"""A film dreamed in pieces that begin at cuts, by several workers, and joined."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from phosphene import recipe
from phosphene.cli import filming
from phosphene.cli.filming import FilmFlags
from phosphene.cli.report import Report
from phosphene.cli.spread import Here, Spread, heard, told, workers
from phosphene.cli.video import filmed
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.film.kinds import CONTAINERS
from phosphene.film.segments import Segment, joined, segments
from phosphene.film.shot import as_recipe, even
from phosphene.film.source import Facts, look
from phosphene.film.take import Take
from phosphene.lock import only_writer

LEAST = 1.0  # s that a piece lasts at least


class Pieces(Here):
    """The task; an item is a piece's file and its place in the film, and what it gives are events."""

    def __init__(
        self,
        folder: str,
        dream: Mapping[str, Any],
        film: str,
        where: Mapping[str, Any],
        few: int,
        afresh: bool,
        sound: bool,
        device: str = "",
    ) -> None:
        from phosphene.cli.dreaming import prepare

        super().__init__(folder, dream, device)
        self.facts, self.where, self.few, self.afresh = look(film), where, few, afresh
        self.sound = sound
        self.setup = prepare(self.dream)

    def do(self, item: Mapping[str, Any]) -> list[dict[str, Any]]:
        output = item["piece"]
        where = FilmFlags(**self.where, output=output, resume=True)
        with heard() as (report, events), only_writer(output):
            if not filming.finished(output, where, report):
                take = Take(
                    self.facts, self.setup, item["start"], item["end"], few=self.few, afresh=self.afresh
                )
                filmed(take, output, where, report, self.sound)
        return [event for event in events if event["event"] == "note"]


def film_spread(
    facts: Facts,
    output: str,
    dream: Dream,
    where: FilmFlags,
    report: Report,
    spread: Spread,
    few: int,
    afresh: bool,
    sound: bool = True,
) -> int:
    """Dream the film's pieces with the workers and join them to `output`; the result is the exit code.

    OUT.pieces keeps what is finished, and the plan, until the film is there; a later run goes on with it.
    """
    from phosphene.octave import output_size

    suffix = Path(output).suffix.lower()
    if suffix not in CONTAINERS:
        raise PhospheneError("E_PARAM", f"several workers make {' '.join(CONTAINERS)}, got {output[:200]}")
    before = facts.height, facts.width
    size = even(output_size(*before, dream), before)
    kept = {"codec": where.codec, "quality": where.quality}
    made_by = {
        "film's SHA-256": recipe.sha256_of(facts.path),
        **dream.model_dump(mode="json", exclude={"max_memory", "device"}),
        **kept,
        "few": few,
        "afresh": afresh,
        "pieces of at least": LEAST,
    }
    with only_writer(output), ExitStack() as stack:
        folder = Path(f"{output}.pieces")
        pieces = _planned(folder, made_by, facts, size, where.overwrite)
        if len(pieces) == 1:
            report.note("the film has no cuts: one worker does it all")
        items = [
            {"piece": str(folder / f"{number:05d}{suffix}"), "start": piece.start, "end": piece.end}
            for number, piece in enumerate(pieces)
        ]
        todo = [item for item in items if not _there(str(item["piece"]))]
        if len(todo) < len(items):
            report.note(f"{len(items) - len(todo)} of {len(items)} pieces are there; going on")
        if todo:
            settings = {
                "folder": str(Path.cwd()),
                "dream": dream.model_dump(mode="json"),
                "film": facts.path,
                "where": kept,
                "few": few,
                "afresh": afresh,
                "sound": sound,
            }
            executor = stack.enter_context(workers(Pieces, settings, dream, spread, len(todo)))
            code = told(executor, todo, report, "piece")
            if code:
                return code
        paths = [str(item["piece"]) for item in items]
        comment = as_recipe("video", made_by)
        for note in joined(
            paths, pieces, output, facts, overwrite=where.overwrite, recipe=comment, sound=sound
        ):
            report.note(note)
        shutil.rmtree(folder, ignore_errors=True)
    report.done(output, frames=sum(piece.frames for piece in pieces), pieces=len(pieces))
    return 0


def _there(piece: str) -> bool:
    return Path(piece).is_file() and not filming.parts(piece).exists()


def begun_with(output: str) -> int | None:
    """The seed of a film that was begun in OUT.pieces."""
    try:
        seed = json.loads(Path(f"{output}.pieces", "plan.json").read_text("utf-8"))["made by"]["seed"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return seed if type(seed) is int and 0 <= seed < 2**32 else None


def _planned(
    folder: Path, made_by: Mapping[str, Any], facts: Facts, size: tuple[int, int], overwrite: bool
) -> list[Segment]:
    """The pieces, from the plan that is kept in `folder`; E_EXISTS if it is another film's or dream's."""
    place = folder / "plan.json"
    try:
        plan = json.loads(place.read_text("utf-8"))
        if plan["made by"] == made_by:
            return [Segment(**piece) for piece in plan["pieces"]]
        if not overwrite:
            raise PhospheneError(
                "E_EXISTS", f"{folder} has pieces of another dream; give --overwrite to begin anew"
            )
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    pieces = segments(facts, size, least=LEAST)
    try:
        folder.mkdir(parents=True)
        half = folder / "plan.json.part"
        plan = {"made by": made_by, "pieces": [asdict(piece) for piece in pieces]}
        half.write_text(json.dumps(plan), "utf-8")
        half.replace(place)
    except OSError as error:
        raise PhospheneError("E_OUTPUT", f"{folder}: {error.strerror}; give another output") from None
    return pieces
