"""A zoom from its photo to the stills of its film."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from phosphene import recipe
from phosphene.canvas import Held
from phosphene.config import Dream
from phosphene.film.kinds import Way
from phosphene.film.loop import looped
from phosphene.film.motion import Motion
from phosphene.film.shot import Setup, Shot, Watch, as_recipe, even, identity
from phosphene.film.timeline import read
from phosphene.film.zoom import Zoom, zoom
from phosphene.octave import octave_count, output_size, resampled

OVERLAP = 4  # a loop's last quarter flows into its beginning


@dataclass(frozen=True)
class Flight:
    """`frames` stills that fly into `photo` `[1, 3, H, W]`, 0..1, of that SHA-256."""

    photo: Tensor
    sha256: str
    setup: Setup
    frames: int
    fps: float
    motion: Motion = Motion()  # noqa: RUF009
    timeline: str = ""  # a TOML file
    loop: bool = False

    @property
    def over(self) -> int:
        """How many frames at a loop's end flow into its beginning."""
        return max(1, self.frames // OVERLAP) if self.loop else 0

    @cached_property
    def size(self) -> tuple[int, int]:
        """The film's, (H, W)."""
        height, width = self.photo.shape[-2:]
        return even(output_size(height, width, self.setup.dream), (0, 0))

    @cached_property
    def dream(self) -> Dream:
        """What every frame is dreamed with."""
        dream = self.setup.dream.but(max_size=0, scale=1.0)
        return dream.but(octaves=octave_count(*self.size, dream))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that makes another film: JSON values by name."""
        first = {
            "photo": self.sha256,
            "size": f"{self.size[1]}×{self.size[0]}",
            "frames": self.frames,
            "fps": self.fps,
            "motion": repr(self.motion),
            "timeline": recipe.sha256_of(self.timeline) if self.timeline else "",
            "loop": self.over,
        }
        return identity(first, self.dream, self.setup)

    def way(self, codec: str = "", quality: float | None = None) -> Way:
        """How its film is to be."""
        rate = Fraction(self.fps).limit_denominator(1001)
        return Way(
            width=self.size[1],
            height=self.size[0],
            time_base=1 / rate,
            rate=rate,
            codec=codec,
            quality=quality,
            recipe=as_recipe("zoom", self.identity),
        )

    def shots(
        self, state: Mapping[str, Any] | None, kept: Path, watch: Watch | None = None
    ) -> Generator[Shot, None, None]:
        """Its stills, after those that led to `state`. A loop's first ones wait in the folder `kept`."""
        count, levels = (state["gradients"], state["levels"]) if state else (0, 0.0)
        total = self.frames + self.over
        setup, keys = self.setup, None
        if self.timeline:
            keys = read(self.timeline, self.dream, self.motion, setup.objective, frames=total, fps=self.fps)
        made = zoom(
            resampled(Held(self.photo), self.size).rows(0, self.size[0]),
            setup.lens,
            setup.objective,
            self.dream,
            Zoom(self.motion, keys),
            frames=total,
            state=state,
            mask=setup.mask,
            watch=watch,
        )
        if self.loop:
            made = looped(made, self.frames, self.over, kept)
        for one in made:
            count, levels = count + one.gradient_evaluations, levels + one.flicker_levels
            pixels = one.image.permute(1, 2, 0).cpu().contiguous().numpy()
            going_on = {**one.state, "gradients": count, "levels": levels}
            flicker = levels / max(1, one.number)
            yield Shot(one.number, pixels, one.number, 1, going_on, flicker, count, one.notes)
