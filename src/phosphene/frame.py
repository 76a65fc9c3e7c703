"""Frame: what the loop yields after every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phosphene.canvas import Canvas, Held, Kept
from phosphene.color import with_color_of
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.octave import zoomed
from phosphene.state import Given

BRIGHT = 0.9998  # of all values lie under what becomes white where nothing was clipped


@dataclass(frozen=True)
class Frame:
    """The picture after a step.

    `score` `[N]` is the objective's on the picture before the step; it stays a tensor, so that
    who reads it pays for the synchronisation. Of a dream on disk there is no `image` and no
    `full()`, as they wouldn't fit into memory: `rows` and `small` read it.
    """

    canvas: Kept  # the octave's picture
    octave: int
    octaves: int
    step: int
    steps: int
    score: Tensor
    config: Dream  # with octaves, seed and tile filled in
    objective: str
    base: Canvas  # the photo at the octave's size
    photo: Canvas  # the photo at the output's size
    good: Canvas  # the picture before the step, to go back to if the next gradient isn't finite
    given: Given  # the photo as it came, mask and detail
    random: dict[str, Any]  # where the jitter's random numbers are after the step
    halvings: int = 0
    params: Callable[[], Mapping[str, Tensor]] = dict  # what to go on from, of a param that isn't the pixels
    opacity: Tensor | None = None  # `[N, 1, H, W]`, 0..1, of a picture that one sees through
    notes: tuple[str, ...] = ()  # what had to be changed in this step, for people

    @property
    def done(self) -> bool:
        """True for the last frame of the run."""
        return self.octave == self.octaves - 1 and self.step == self.steps - 1

    @property
    def seed(self) -> int:
        """The seed of the run's jitter."""
        return self.config.seed or 0

    @property
    def image(self) -> Tensor:
        """The octave's picture, `[N, 3, H, W]`, of range 0..1, and valid until the next frame."""
        return _in_memory(self.canvas).image

    def full(self) -> Tensor:
        """The picture at the output's size, `[N, 3, H, W]`, 0..1: the photo with the detail so far.

        Without clipping, contrast is brought into the range as the notebook did it: everything is
        divided by the 99.98th percentile. A copy.
        """
        _in_memory(self.canvas)
        return self.rows(0, self.photo.shape[-2])

    @torch.no_grad()
    def rows(self, top: int, bottom: int) -> Tensor:
        """Some rows of `full()`, `[N, 3, bottom - top, W]`."""
        picture = self._plain.rows(top, bottom)
        if not self.config.clip:
            picture = picture / self._bright
        picture = picture.clamp(0, 1)
        return with_color_of(picture, self.photo.rows(top, bottom)) if self.config.keep_color else picture

    def small(self, longest: int = 512) -> Tensor:
        """Every so many-th row and column of `full()`, so that no side is longer than `longest`."""
        height, width = self.photo.size
        by = -(-max(height, width) // longest)
        return torch.cat([self.rows(y, y + 1)[..., ::by] for y in range(0, height, by)], -2)

    @cached_property
    def _plain(self) -> Canvas:
        """The picture at the output's size, as it came out of the steps."""
        if self.canvas.size == self.photo.size:
            return self.canvas
        with torch.no_grad():
            grown = zoomed(self.canvas.minus(self.base), self.photo.size)
            return self.photo.plus(grown)

    @cached_property
    def _bright(self) -> Tensor:
        """The 99.98th percentile of each image, `[N, 1, 1, 1]`, from its brightest values alone."""
        count = int(np.prod(self._plain.shape[1:]))
        most = count - int(BRIGHT * (count - 1))
        brightest = [np.empty(0, np.float32)] * self._plain.shape[0]
        for top, bottom in self._plain.strips():
            strip = self._plain.rows(top, bottom).cpu()
            for image, values in enumerate(strip):
                together = np.concatenate((brightest[image], values.reshape(-1).numpy()))
                kept = min(most, len(together))
                brightest[image] = np.partition(together, len(together) - kept)[len(together) - kept :]
        levels = [_percentile(np.sort(values), count) for values in brightest]
        return torch.tensor(levels, device=self.photo.device).clamp_min(1e-6).view(-1, 1, 1, 1)

    def state(self, *, copy: bool = True) -> dict[str, Any]:
        """All that `dream(..., resume=state)` needs to go on from here, bit for bit: a copy.

        Numbers, text and tensors only, so `torch.load(weights_only=True)` reads it back. Without
        `copy` its tensors may be the run's own, valid until the next frame. Pictures on disk stay
        there, as `canvas.Disk`: `checkpoint.save` knows how to write them.
        """
        numbers = self.random["state"]
        pictures = {name: _state_of(getattr(self, name), copy) for name in ("canvas", "good")}
        return {
            "octave": self.octave,
            "step": self.step,
            "image": pictures["canvas"],
            "good": pictures["good"],
            "score": self.score.detach().cpu().clone() if copy else self.score.detach().cpu(),
            "random": {**self.random, "state": {**numbers, "key": numbers["key"].tolist()}},
            "halvings": self.halvings,
            "config": self.config.to_json(),
            "objective": self.objective,
            "photo_shape": list(self.photo.shape),
            "digests": self.given.digests,
            **self.params(),
        }

    def _repr_png_(self) -> bytes:
        from phosphene.picture import png_bytes

        return png_bytes((self.full() if isinstance(self.canvas, Held) else self.small())[0])


def _in_memory(canvas: Kept) -> Held:
    if isinstance(canvas, Held):
        return canvas
    raise PhospheneError(
        "E_MEMORY", "this dream is on disk, as it doesn't fit into memory; read it by rows(top, bottom)"
    )


def _state_of(canvas: Canvas, copy: bool) -> Tensor | Canvas:
    if not isinstance(canvas, Held):
        return canvas
    image = canvas.image.detach().cpu()
    return image.clone() if copy else image


def _percentile(largest: np.ndarray[Any, np.dtype[np.float32]], count: int) -> float:
    """numpy's percentile of `count` values, of which these are the largest, sorted."""
    place = BRIGHT * (count - 1)
    first = int(place) - (count - len(largest))
    low, high = largest[first], largest[min(first + 1, len(largest) - 1)]
    share = np.float32(place - int(place))
    return float(high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share)
