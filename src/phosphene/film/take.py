"""A film from its stills to those of its dream."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from phosphene import recipe
from phosphene.config import Dream
from phosphene.film.ahead import ahead
from phosphene.film.carry import Dreamer
from phosphene.film.kinds import Way
from phosphene.film.shot import Setup, Shot, Watch, as_recipe, even, identity
from phosphene.film.source import Facts, stills
from phosphene.film.video import Flicker, flows, video
from phosphene.octave import octave_count, output_size


@dataclass(frozen=True)
class Take:
    """What is dreamed of a film: from `start` to `end` seconds, one still of `every`."""

    facts: Facts
    setup: Setup
    start: float = 0.0
    end: float | None = None
    every: int = 1
    few: int = 0
    afresh: bool = False
    notes: list[str] = field(default_factory=list)  # about the film, once it was read

    @property
    def frames(self) -> int:
        """How many stills that are, as far as is known."""
        facts = self.facts
        whole = facts.seconds or facts.frames / float(facts.rate or 25)
        seconds = max(0.0, min(self.end or whole, whole) - self.start)
        share = seconds / whole if whole else 1.0
        return max(1, round(facts.frames * share / self.every))

    @cached_property
    def size(self) -> tuple[int, int]:
        """The dream's, (H, W)."""
        before = self.facts.height, self.facts.width
        return even(output_size(*before, self.setup.dream), before)

    @cached_property
    def dream(self) -> Dream:
        """What every still is dreamed with."""
        dream = self.setup.dream.but(max_size=0, scale=1.0)
        return dream.but(octaves=octave_count(*self.size, dream))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that makes another film: JSON values by name."""
        first = {
            "film's SHA-256": recipe.sha256_of(self.facts.path),
            "start": self.start,
            "end": self.end,
            "every": self.every,
            "size": f"{self.size[1]}×{self.size[0]}",
            "few": self.few,
            "afresh": self.afresh,
        }
        return identity(first, self.dream, self.setup)

    def way(self, codec: str = "", quality: float | None = None) -> Way:
        """How its film is to be: as the one that is dreamed on."""
        made_by = as_recipe("video", self.identity)
        height, width = self.size
        return Way.like(self.facts, width, height, codec=codec, quality=quality, recipe=made_by)

    def shots(
        self, skip: int, state: Mapping[str, Any] | None, watch: Watch | None = None, *, halved: bool = False
    ) -> Generator[Shot, None, None]:
        """Its stills, but for the first `skip`, which led to `state`; `halved` as `Dreamer` has it."""
        setup = self.setup
        dreamer = Dreamer(setup.objective, setup.lens, self.dream, setup.mask, self.few, watch, halved)
        taken = stills(
            self.facts,
            start=self.start,
            end=self.end,
            every=self.every,
            skip=skip,
            size=self.size,
            notes=self.notes,
        )
        with ahead(taken) as read, ahead(flows(read, state)) as pairs:
            for made in video(pairs, dreamer, state, afresh=self.afresh):
                still, ratio = made.still, made.flicker.ratio
                yield Shot(
                    still.number,
                    made.image,
                    still.pts,
                    still.duration,
                    made.state(),
                    ratio,
                    made.evaluations,
                )


def figures(state: Mapping[str, Any]) -> dict[str, Any]:
    """Of the stills up to a shot's state: how many, their flicker, the gradients."""
    flicker = Flicker(*state["flicker"])
    return {
        "frames": state["number"] + 1,
        "flicker": round(flicker.ratio, 4) if flicker.stills else None,
        "flicker_levels": round(flicker.levels, 4),
        "source_levels": round(flicker.source_levels, 4),
        "gradient_evaluations": state["evaluations"],
    }
