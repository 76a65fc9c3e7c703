"""How long a dream will take, from a few steps of it on a small picture, and how much memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from phosphene.cli.dreaming import Setup
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from torch import Tensor

    from phosphene.memory import Planned
    from phosphene.picture import Picture
    from phosphene.picture.large import Large

PROBE = 384  # px: longest side of the picture that is measured
STEPS = 3  # of which the first warms up


def seconds(
    picture: Picture | Large, setup: Setup, octaves: Sequence[tuple[int, int]], planned: Planned
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
        _sample(picture), setup.objective, setup.lens, setup.dream.but(max_memory="", **changes)
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
    return round(per_pixel * setup.dream.steps * work, 2)


def _sample(picture: Picture | Large) -> Tensor:
    """Something of the photo's shape to measure on: the photo, or noise where it isn't in memory."""
    from phosphene.picture.large import Large

    if not isinstance(picture, Large):
        return picture.tensor()
    import torch

    height, width = picture.size
    shape = (max(1, side * PROBE // max(height, width)) for side in (height, width))
    return torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(0))
