"""Frame: what the loop yields after every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from phosphene.color import with_color_of
from phosphene.config import Dream
from phosphene.octave import zoomed
from phosphene.state import Given


@dataclass(frozen=True)
class Frame:
    """The picture after a step.

    `image` `[N, 3, H, W]` is the octave's, of range 0..1, and valid until the next frame.
    `score` `[N]` is the objective's on the picture before the step; it stays a tensor, so that
    who reads it pays for the synchronisation.
    """

    image: Tensor
    octave: int
    octaves: int
    step: int
    steps: int
    score: Tensor
    config: Dream  # with octaves, seed and tile filled in
    objective: str
    base: Tensor  # the photo at the octave's size
    photo: Tensor  # the photo at the output's size
    good: Tensor  # the picture before the step, to go back to if the next gradient isn't finite
    given: Given  # the photo as it came, mask and detail
    random: dict[str, Any]  # where the jitter's random numbers are after the step
    halvings: int = 0
    notes: tuple[str, ...] = ()  # what had to be changed in this step, for people

    @property
    def done(self) -> bool:
        """True for the last frame of the run."""
        return self.octave == self.octaves - 1 and self.step == self.steps - 1

    @property
    def seed(self) -> int:
        """The seed of the run's jitter."""
        return self.config.seed or 0

    @torch.no_grad()
    def full(self) -> Tensor:
        """The picture at the output's size, `[N, 3, H, W]`, 0..1: the photo with the detail so far.

        Without clipping, contrast is brought into the range as the notebook did it: everything is
        divided by the 99.98th percentile.
        """
        size = (self.photo.shape[-2], self.photo.shape[-1])
        if self.image.shape[-2:] == size:
            picture = self.image.clone()
        else:
            picture = self.photo + zoomed(self.image - self.base, size)
        if not self.config.clip:
            picture = picture / _bright(picture)
        picture = picture.clamp_(0, 1)
        return with_color_of(picture, self.photo) if self.config.keep_color else picture

    def state(self, *, copy: bool = True) -> dict[str, Any]:
        """All that `dream(..., resume=state)` needs to go on from here, bit for bit: a copy.

        Numbers, text and tensors only, so `torch.load(weights_only=True)` reads it back. Without
        `copy` its tensors may be the run's own, valid until the next frame.
        """
        numbers = self.random["state"]
        tensors = {name: getattr(self, name).detach().cpu() for name in ("image", "good", "score")}
        return {
            "octave": self.octave,
            "step": self.step,
            **{name: tensor.clone() if copy else tensor for name, tensor in tensors.items()},
            "random": {**self.random, "state": {**numbers, "key": numbers["key"].tolist()}},
            "halvings": self.halvings,
            "config": self.config.to_json(),
            "objective": self.objective,
            "photo_shape": list(self.photo.shape),
            "digests": self.given.digests,
        }

    def _repr_png_(self) -> bytes:
        from phosphene.picture import png_bytes

        return png_bytes(self.full()[0])


def _bright(picture: Tensor) -> Tensor:
    import numpy as np

    levels = [np.percentile(one.cpu().numpy(), 99.98) for one in picture]
    return torch.tensor(levels, dtype=picture.dtype, device=picture.device).clamp_min(1e-6).view(-1, 1, 1, 1)
