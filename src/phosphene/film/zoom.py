"""The endless zoom: dream, show, move, and dream on what has moved.

The carried picture is never rounded to a film's levels, and one generator draws the jitter of all
frames, as in the notebook of 2015, which `CLASSIC` is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from numpy.random import RandomState
from torch import Tensor

from phosphene import expression
from phosphene.canvas import Held
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.film.motion import Motion, moved
from phosphene.film.timeline import Timeline
from phosphene.frame import Frame
from phosphene.intake import photo_of
from phosphene.lens import Lens
from phosphene.objective import Objective
from phosphene.state import generator_at

MOST_CONTRAST = 1.4  # of the first picture's: what a steady film is kept under
LEAST_CONTRAST = 0.15  # that a first picture counts for, however dull it is


@dataclass(frozen=True)
class Zoom:
    """Where a film flies: one motion for all of it, or what the timeline says at every frame."""

    motion: Motion = Motion()  # noqa: RUF009
    timeline: Timeline | None = None


@dataclass(frozen=True)
class Made:
    """A frame of a film."""

    number: int
    image: Tensor  # [3, H, W], 0..1
    state: dict[str, Any]  # numbers, text and tensors: what `zoom(state=)` goes on from
    gradient_evaluations: int  # that this frame took
    flicker_levels: float  # mean |frame - the frame before, moved| in 8-bit levels; 0 for the first
    notes: tuple[str, ...] = ()  # what had to be changed, for people


def zoom(
    image: Tensor,
    lens: Lens,
    objective: Objective | str,
    config: Dream,
    way: Zoom = Zoom(),
    *,
    frames: int,
    state: Mapping[str, Any] | None = None,
    mask: Tensor | None = None,
    watch: Callable[[Frame], None] | None = None,
) -> Iterator[Made]:
    """Yield `frames` frames of a zoom into `image` `[1, 3, H, W]`, 0..1.

    `config`'s size is the film's. With a timeline, what it says of settings and objective holds.
    `state`, of the last frame that was made, goes on after it, bit for bit. `mask` is as in `dream`,
    and stays where it is. `watch` is called after every step. Raises what `dream` does, with the
    frame's number.
    """
    if frames < 1:
        raise PhospheneError("E_PARAM", f"frames is {frames}, expected at least 1")
    photo, config = photo_of(image, lens, config)
    if not isinstance(photo, Held) or photo.shape[0] != 1:
        raise PhospheneError("E_PARAM", f"image is {list(photo.shape)}, expected one picture [1, 3, H, W]")
    now = _begun(photo.image, config) if state is None else _read(state, photo)
    held = {"seed": now.seed, "max_size": 0, "scale": 1.0}
    bound = (expression.parse(objective) if isinstance(objective, str) else objective).bind(lens)
    timeline = way.timeline.bound(lens) if way.timeline else None
    motion = way.motion

    for number in range(now.next, frames):
        before = now.image
        if number:
            earlier = timeline.at(number - 1)[1] if timeline else motion
            before = moved(before, earlier, earlier.speed(number - 1, frames))
        if timeline:
            config, motion, bound = timeline.at(number)
        settings = config.but(**held, tile=now.tile or config.tile, checkpointing=now.checkpointing)
        last, evaluations, notes = _dreamed(before, bound, lens, settings, mask, now.random, number, watch)
        shown = _steadied(last.full(), now, motion.steady).contiguous()  # as a state that is read back
        now = replace(
            now,
            next=number + 1,
            image=shown,
            tile=last.config.tile,
            checkpointing=last.config.checkpointing,
        )
        flicker = 255 * float((shown - before).abs().mean()) if number else 0.0
        yield Made(number, shown[0], now.saved(), evaluations, flicker, notes)


def _dreamed(
    before: Tensor,
    objective: Objective,
    lens: Lens,
    config: Dream,
    mask: Tensor | None,
    random: RandomState,
    number: int,
    watch: Callable[[Frame], None] | None,
) -> tuple[Frame, int, tuple[str, ...]]:
    """The last step's frame, the number of steps, and what they noted."""
    notes: tuple[str, ...] = ()
    count = 0
    try:
        with closing(dream(before, objective, lens, config, mask=mask, random=random)) as steps:  # type: ignore[type-var]
            for frame in steps:
                count += 1
                notes += frame.notes
                if watch:
                    watch(frame)
    except PhospheneError as error:
        raise PhospheneError(error.code, f"frame {number}: {error}") from None
    return frame, count, notes


@dataclass(frozen=True)
class _State:
    """What goes on from frame to frame."""

    next: int
    image: Tensor  # [1, 3, H, W], as it was shown
    random: RandomState
    seed: int
    mean: list[float]  # the first picture's red, green and blue
    contrast: float  # and its deviation
    tile: int = 0
    checkpointing: bool = False

    def saved(self) -> dict[str, Any]:
        place = self.random.get_state(legacy=False)
        numbers = {**place["state"], "key": place["state"]["key"].tolist()}
        values = {name: getattr(self, name) for name in FIELDS}
        return {**values, "image": self.image.cpu(), "random": {**place, "state": numbers}}


FIELDS = tuple(field.name for field in fields(_State))


def _begun(photo: Tensor, config: Dream) -> _State:
    mean, contrast = _levels(photo)
    seed = config.seed or 0
    return _State(0, photo, RandomState(seed), seed, mean.flatten().tolist(), contrast)


def _read(state: Mapping[str, Any], photo: Held) -> _State:
    """A state that may come from a file, looked at before it is believed."""
    try:
        values = {name: state[name] for name in FIELDS}
        random, image, mean = generator_at(state["random"]), state["image"], state["mean"]
        whole = all(type(state[name]) is int and state[name] >= 0 for name in ("next", "seed", "tile"))
        numbers = all(type(value) is float for value in [*mean, state["contrast"]]) and len(mean) == 3
        good = list(image.shape) == list(photo.shape) and bool(torch.isfinite(image).all())
    except (KeyError, TypeError, AttributeError, RuntimeError):
        random, whole, numbers, good = None, False, False, False
    if not (random and whole and numbers and good and type(state["checkpointing"]) is bool):
        raise PhospheneError("E_CHECKPOINT", "the film's state is damaged or another film's; begin anew")
    image = image.to(photo.device, torch.float32)
    return _State(**{**values, "image": image, "random": random})


def _levels(image: Tensor) -> tuple[Tensor, float]:
    """Each channel's mean `[1, 3, 1, 1]`, and the deviation from it."""
    mean = image.mean((2, 3), keepdim=True)
    return mean, float((image - mean).square().mean().sqrt())


def _steadied(image: Tensor, start: _State, steady: float) -> Tensor:
    """`image` with the first picture's mean colour, and its contrast where there is too much."""
    if not steady:
        return image
    mean, contrast = _levels(image)
    first = torch.tensor(start.mean, device=image.device).view(1, 3, 1, 1)
    most = max(start.contrast, LEAST_CONTRAST) * MOST_CONTRAST
    gain = min(1.0, most / max(contrast, 1e-6)) ** steady
    changed: Tensor = (image - mean) * gain + mean + steady * (first - mean)
    return changed.clamp(0, 1)
