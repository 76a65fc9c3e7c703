"""A film whose end flows into its beginning.

Of `frames` + `over` frames the first `over` aren't shown but kept, as files; the film begins after
them, and its last `over` frames are mixed with them, ever more, so that the last is followed by the
first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from phosphene.errors import PhospheneError
from phosphene.film.zoom import Made
from phosphene.picture import atomic

LEVELS = 65535  # 16 bits


def looped(made: Iterable[Made], frames: int, over: int, folder: str | Path) -> Iterator[Made]:
    """The frames of a loop of `frames`, out of `frames` + `over` that are `made`.

    The first `over` are kept in `folder`, as PNG files of 16 bits, and found there again by a film
    that goes on; the caller removes the folder. A frame's `gradient_evaluations` are its own: what
    the kept ones took is added to the first that is shown.
    """
    if not 0 < over <= frames:
        raise PhospheneError(
            "E_PARAM", f"the loop's overlap is {over}, expected 1 to {frames}, the film's frames"
        )
    folder = Path(folder)
    before = 0
    with closing(iter(made)) as coming:  # type: ignore[type-var]  # of a generator
        for one in coming:
            if one.number < over:
                _keep(folder, one)
                before += one.gradient_evaluations
                continue
            back = one.number - frames
            image = one.image
            if back >= 0:
                image = mixed(image, _kept(folder, back, image), (back + 1) / (over + 1))
            yield replace(
                one,
                number=one.number - over,
                image=image,
                gradient_evaluations=one.gradient_evaluations + before,
            )
            before = 0


def mixed(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Two pictures `[3, H, W]` in one, which isn't duller than they are, as their mean would be."""
    mean = (1 - share) * one.mean((1, 2), keepdim=True) + share * other.mean((1, 2), keepdim=True)
    change = (1 - share) * one + share * other - mean
    contrast = (1 - share) * _deviation(one) + share * _deviation(other)
    return (mean + change * (contrast / _deviation(change).clamp_min(1e-6))).clamp(0, 1)


def _deviation(image: Tensor) -> Tensor:
    return (image - image.mean((1, 2), keepdim=True)).square().mean().sqrt()


def _name(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.png"


def _keep(folder: Path, made: Made) -> None:
    pixels = (made.image.clamp(0, 1) * LEVELS).round().cpu().permute(1, 2, 0).numpy().astype(np.uint16)
    whole, data = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
    if not whole:
        raise PhospheneError("E_OUTPUT", f"{folder}: a frame of the loop could not be written")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic.write(_name(folder, made.number), overwrite=True) as file:
        file.write(data.tobytes())


def _kept(folder: Path, number: int, like: Tensor) -> Tensor:
    path = _name(folder, number)
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        pixels = None
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape != (*like.shape[1:], 3):
        raise PhospheneError(
            "E_CHECKPOINT", f"{path}: the loop's beginning is missing or damaged; begin anew"
        )
    values = torch.from_numpy(pixels[..., ::-1].astype(np.float32) / LEVELS)
    return values.permute(2, 0, 1).contiguous().to(like.device)
