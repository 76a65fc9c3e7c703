"""How long a dream will take, from a few steps of it on a small picture, and how much memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from phosphene.cli.dreaming import Studio
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from phosphene.memory import Planned
    from phosphene.picture import Picture

PROBE = 384  # px: longest side of the picture that is measured
STEPS = 3  # of which the first warms up


def memory(picture: Picture, studio: Studio, octaves: Sequence[tuple[int, int]]) -> Planned:
    """The tiles that a dream will take, and the most memory that it is expected to."""
    from phosphene.memory import plan

    width, height = octaves[-1]
    held = picture.size == (height, width)  # then the dream needs no copy of it
    return plan(studio.objective, studio.lens, studio.dream, (1, height, width), photo_held=held)


def seconds(
    picture: Picture, studio: Studio, octaves: Sequence[tuple[int, int]], planned: Planned
) -> float | None:
    """The expected time of all steps, at the time per pixel that a few gradients take now.

    None where the objective can't be tried on a small picture.
    """
    from phosphene import engine, tile

    longest = max(max(size) for size in octaves)
    changes: dict[str, Any] = {
        "octaves": 1,
        "steps": STEPS,
        "scale": 1.0,
        "max_size": min(PROBE, longest),
        "seed": 0,
        "tile": 0,
        "checkpointing": planned.checkpointing,
    }
    frames = engine.dream(
        picture.tensor(), studio.objective, studio.lens, studio.dream.but(max_memory="", **changes)
    )
    times = []
    with closing(frames), suppress(PhospheneError):  # type: ignore[type-var]
        for frame in frames:
            float(frame.score[0])
            pixels = frame.image.shape[-2] * frame.image.shape[-1]
            times.append(time.monotonic())
    if len(times) < 2:
        return None
    per_pixel = (times[-1] - times[0]) / (len(times) - 1) / pixels
    plan = tile.Plan(planned.tile, planned.halo)
    work = sum(tile.pixels(height, width, plan) for width, height in octaves)
    return round(per_pixel * studio.dream.steps * work, 2)
