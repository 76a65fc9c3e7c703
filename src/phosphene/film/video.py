"""A film's stills, dreamed one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from phosphene.film.carry import Carried, Dreamer
from phosphene.film.flow import Array, Flow, apart, flow
from phosphene.film.scenes import cut
from phosphene.film.source import Still

LEAST = 0.1  # levels: a film that flickers less counts as if it did


@dataclass(frozen=True)
class Flicker:
    """Mean |dream − warp(dream before)| where seen, of all stills so far that follow another."""

    stills: int = 0
    dream: float = 0.0  # sums of 8-bit levels
    film: float = 0.0  # the same of the film itself

    def and_(self, dream: float, film: float) -> Flicker:
        return Flicker(self.stills + 1, self.dream + dream, self.film + film)

    @property
    def levels(self) -> float:
        """The dream's, in 8-bit levels."""
        return self.dream / max(1, self.stills)

    @property
    def source_levels(self) -> float:
        """The film's own."""
        return self.film / max(1, self.stills)

    @property
    def ratio(self) -> float:
        """How many times the film's own, which counts as 0.1 level where it is less."""
        return self.levels / max(LEAST, self.source_levels)


@dataclass(frozen=True)
class Made:
    """A still's dream: `image` `[H, W, 3]` float32, 0..1; `state` is what `video(state=)` goes on from."""

    still: Still
    image: Array
    fresh: bool  # the first of a scene
    flicker: Flicker
    evaluations: int  # of the gradient, so far
    carried: Carried

    def state(self) -> dict[str, Any]:
        """Numbers and tensors."""
        carried = self.carried
        return {
            "number": self.still.number,
            "bits": 8 * self.still.pixels.dtype.itemsize,
            "still": torch.from_numpy(carried.still),
            "detail": torch.from_numpy(carried.detail),
            "age": torch.from_numpy(carried.age),
            "strength": carried.strength,
            "light": carried.light.tolist(),
            "flicker": [self.flicker.stills, self.flicker.dream, self.flicker.film],
            "evaluations": self.evaluations,
        }


def video(
    pairs: Iterator[tuple[Still, Flow | None]],
    dreamer: Dreamer,
    state: Mapping[str, Any] | None = None,
    *,
    afresh: bool = False,
) -> Iterator[Made]:
    """The dream of each still of `flows`, in order.

    A scene's first is dreamed as a photo is; the dream is carried on to the others. `state` is a
    `Made.state()`, and `pairs` the stills after it. `afresh` dreams every one as a photo: slower, and it
    flickers. Raises as `dream` does.
    """
    carried, flicker, count = _resumed(state) if state else (None, Flicker(), 0)
    shown = None if carried is None else dreamer.shown(carried)
    for still, way in pairs:
        now = scaled(still.pixels)
        if carried is None or way is None or afresh:
            new = dreamer.fresh(now)
        else:
            new = dreamer.on(carried, now, way)
        count += new.evaluations
        image = dreamer.shown(new)
        if way is not None and carried is not None and shown is not None:
            flicker = flicker.and_(
                apart(image, way.carry(shown), way), apart(now, way.carry(carried.still), way)
            )
        carried, shown = replace(new, evaluations=0), image
        yield Made(still, image, way is None, flicker, count, carried)


def flows(
    stills: Iterator[Still], state: Mapping[str, Any] | None = None
) -> Iterator[tuple[Still, Flow | None]]:
    """Each still with the flow back to the one before; None for the first of a scene."""
    before: Array | None = None if state is None else _eight(_unscaled(state["still"].numpy(), state["bits"]))
    for still in stills:
        now = _eight(still.pixels)
        way = None if before is None else flow(before, now)
        if before is None or way is None or cut(before, now, way):
            way = None
        yield still, way
        before = now


def scaled(pixels: Array) -> Array:
    """Integers `[H, W, 3]` as float32, 0..1."""
    found: Array = pixels.astype(np.float32) / np.iinfo(pixels.dtype).max
    return found


def _unscaled(image: Array, bits: int) -> Array:
    found: Array = np.rint(image * np.float32(2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    return found


def _eight(pixels: Array) -> Array:
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def _resumed(state: Mapping[str, Any]) -> tuple[Carried, Flicker, int]:
    still, detail, age = (state[name].numpy() for name in ("still", "detail", "age"))
    stills, dream, film = state["flicker"]
    light = np.array(state["light"], np.float32)
    return (
        Carried(still, detail, age, state["strength"], light),
        Flicker(stills, dream, film),
        state["evaluations"],
    )
