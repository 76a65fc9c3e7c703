"""A dream carried from still to still: what was added to the last one moves along and grows on.

What is carried is the detail, dream − still, not the dream: so nothing of the old still stays behind,
and light can't add up. It follows the flow and decays a little, and every still dreams a few steps on.
Where nothing could be seen before it starts from nothing and grows up within a few stills; elsewhere it
takes a part of a step, as much as doesn't flicker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.color import LUMA, with_color_of
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.film.flow import Array, Flow, apart
from phosphene.frame import Frame
from phosphene.lens import Lens
from phosphene.objective import Objective
from phosphene.octave import octave_sizes

FEW = 4  # times fewer steps on a still than on a scene's first
KEEP = 0.15  # of a step, where the dream has grown up
GROWTH = 4  # stills until it has
MOST = 6.0  # times a step, where it grows up more slowly than elsewhere
NEAR = 16.0  # px: how far around a pixel that is looked at
DECAY = 0.97  # from still to still
AMPLIFIED = 1.03  # at most, where interpolation has softened it
SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)  # of sharp interpolation, and then of the steps
CARRIED = 1.0, 0.4  # times the film's own flicker, or levels, whichever is more: of what is carried
ALLOWED = 1.05, 0.5  # the same, of the picture
EDGE = 1.5  # px: how softly new ground passes into old
PALE = 2.5  # px: how softly the dream's colours are drawn where they are stored at half the size


@dataclass(frozen=True)
class Carried:
    """A dream on a still. `detail` `[H, W, 3]` is what it adds, `age` `[H, W]` 0..1 how grown up it is."""

    still: Array  # `[H, W, 3]` float32, 0..1
    detail: Array
    age: Array
    strength: float  # the mean size of the scene's first detail
    light: Array  # `[3]`: how much brighter the scene's first dream is than its still
    evaluations: int = 0  # of the gradient, that it took

    @cached_property
    def raw(self) -> Array:
        """The dream `[H, W, 3]`, 0..1."""
        found: Array = np.clip(self.still + self.detail, 0, 1)
        return found


class Dreamer:
    """All that the stills of a film share. `few` steps are taken on each of a scene but the first.

    `watch` is called after every step. `halved` says that the film stores colours at half the size: finer
    ones would shimmer with every odd pixel that they move, so the dream's are drawn more softly.
    """

    def __init__(
        self,
        objective: Objective,
        lens: Lens,
        config: Dream,
        mask: Tensor | None = None,
        few: int = 0,
        watch: Callable[[Frame], None] | None = None,
        halved: bool = False,
    ) -> None:
        self.objective, self.lens, self.mask = objective.bind(lens), lens, mask
        self.config, self.watch, self.halved = config, watch, halved
        self.few = few or max(1, config.steps // FEW)

    def fresh(self, still: Array) -> Carried:
        """A dream of its own, as of a photo."""
        settings = self.config.but(keep_color=False)
        frames = dream(tensor(still), self.objective, self.lens, settings, mask=self.mask)
        count, last = self._last(frames)
        detail = array(last.full()) - still
        age = np.ones(still.shape[:2], np.float32)
        return Carried(still, detail, age, _size(detail), detail.mean((0, 1)), count)

    def on(self, last: Carried, still: Array, flow: Flow) -> Carried:
        """The dream on `still` that goes on from that on the still before."""
        before, own = flow.carry(last.raw), apart(still, flow.carry(last.still), flow)
        moved = self._moved(last, still, flow, before, max(CARRIED[0] * own, CARRIED[1]))
        weight = self._weight(moved)
        grown, count = self._grown(moved, weight)
        old = (moved.age >= 1)[..., None]
        for share in SHARES:
            detail = np.where(old, moved.detail + share * (grown - moved.detail), grown)
            new = replace(moved, detail=detail, evaluations=count)
            if apart(new.raw, before, flow) <= max(ALLOWED[0] * own, ALLOWED[1]):
                break
        return replace(new, age=np.minimum(1, moved.age + np.float32(1 / GROWTH)))

    def shown(self, carried: Carried) -> Array:
        """The film's picture `[H, W, 3]`, 0..1."""
        if self.config.keep_color:
            return array(with_color_of(tensor(carried.raw), tensor(carried.still)))
        if not self.halved:
            return carried.raw
        detail = carried.raw - carried.still
        light = detail @ np.array(LUMA, np.float32)
        color = cv2.GaussianBlur(detail - light[..., None], (0, 0), PALE)
        found: Array = np.clip(carried.still + light[..., None] + color, 0, 1)
        return found

    def _moved(self, last: Carried, still: Array, flow: Flow, before: Array, allowed: float) -> Carried:
        """The detail at its new place, as sharp as it can be without flicker, about as strong, as light."""
        seen = (cv2.GaussianBlur(flow.seen, (0, 0), EDGE) * flow.seen)[..., None]
        sharp, soft = (flow.carry(last.detail, sharp=way) * seen for way in (True, False))
        age = np.where(flow.seen > 0, flow.carry(last.age), 0)
        age = np.where(age > 0.99, np.float32(1), age).astype(np.float32)
        for share in SHARES:
            detail = share * sharp + (1 - share) * soft
            strength = _size(detail[age == 1]) if (age == 1).any() else last.strength
            held = DECAY * last.strength / max(strength, 1e-6)
            detail = detail * np.float32(np.clip(held, DECAY, AMPLIFIED))
            moved = replace(last, still=still, detail=detail, age=age)
            lighter = (moved.raw - still).mean((0, 1)) - last.light
            moved = replace(moved, detail=detail - lighter)
            if apart(moved.raw, before, flow) <= allowed:
                break
        return moved

    def _weight(self, moved: Carried) -> Array:
        """How many steps each pixel takes in the place of one, `[H, W]`, 0..MOST.

        New ground grows up in `GROWTH` stills: it takes more where it falls behind, as the gradient is
        largest where there is much to see already.
        """
        local = cv2.GaussianBlur(np.abs(moved.detail).mean(-1), (0, 0), NEAR)
        behind = moved.strength * np.minimum(1, moved.age + 1 / GROWTH) / np.maximum(local, 1e-4)
        pace = self.config.steps / (self.few * GROWTH)
        weight = np.where(moved.age < 1, np.clip(behind * pace, KEEP, MOST), KEEP).astype(np.float32)
        found: Array = cv2.GaussianBlur(weight, (0, 0), EDGE)
        return found

    def _grown(self, moved: Carried, weight: Array) -> tuple[Array, int]:
        """The detail after a few steps on every octave, in full; and how many gradients that took."""
        photo, added, count = tensor(moved.still), tensor(moved.detail), 0
        where = torch.from_numpy(weight / MOST)[None, None]
        if self.mask is not None:
            where = where * _sized(self.mask.float().mean(1, keepdim=True), tuple(where.shape[-2:]))
        sizes = octave_sizes(moved.still.shape[0], moved.still.shape[1], self.config)
        settings = self.config.model_copy(
            update={"octaves": 1, "steps": self.few, "max_size": 0, "scale": 1.0, "keep_color": False}
            | {"strength": self.config.strength * MOST}
        )
        for size in sizes:
            base = _sized(photo, size)
            start = (base + _sized(added, size)).clamp(0, 1) - base
            objective = self.objective.at(size[0] / sizes[-1][0], size[1] / sizes[-1][1])
            frames = dream(base, objective, self.lens, settings, mask=where, detail=start)
            taken, last = self._last(frames)
            count += taken
            added = added + _sized(last.image.cpu() - base - start, sizes[-1])
        return array((photo + added).clamp(0, 1) - photo), count

    def _last(self, frames: Iterator[Frame]) -> tuple[int, Frame]:
        """How many steps there are, and the last one's frame."""
        for count, frame in enumerate(frames, 1):  # noqa: B007
            if self.watch:
                self.watch(frame)
        return count, frame


def tensor(image: Array) -> Tensor:
    """`[1, 3, H, W]`."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def array(image: Tensor) -> Array:
    """`[H, W, 3]`."""
    found: Array = image[0].detach().cpu().float().permute(1, 2, 0).contiguous().numpy()
    return found


def _size(detail: Array) -> float:
    return float(np.abs(detail).mean())


def _sized(image: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image, size=size, mode="bilinear", align_corners=True)
