"""How a zoom's picture moves from one frame to the next, and the resampling that keeps it sharp.

    source = target + turn · (1 - zoom) · (place - target) + drift        in pixels

Positions are doubles and pixels lie at their centres. What comes from outside is the picture,
mirrored at its edges and without its structure, which would repeat itself in rings. Where the
picture shrinks, the kernel is as much wider.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.errors import PhospheneError

Easing = Literal["none", "in", "out", "in-out"]
Resample = Literal["linear", "cubic", "lanczos", "notebook"]
RANGES = {"zoom": (-0.5, 0.5), "rotate": (-180.0, 180.0), "drift": (-1.0, 1.0), "target": (0.0, 1.0)}
RAMP = 4  # a film's first or last quarter is for getting going, or coming to rest
ROWS = 64  # of a turned picture at a time
FADE = 2.0  # px outside of the picture until all structure is gone
SOFT = 24  # blots on the shorter side: what is left of the picture there


@dataclass(frozen=True)
class Motion:
    """What happens to a frame before it is dreamed on."""

    zoom: float = 0.05  # of the picture's size per frame, inwards; below 0 outwards
    rotate: float = 0.0  # degrees per frame, clockwise
    drift: tuple[float, float] = (0.0, 0.0)  # right and down, in shorter sides per frame: where one flies to
    target: tuple[float, float] = (0.5, 0.5)  # from the left and from the top: the point that stays
    easing: Easing = "none"  # whether the film gets going softly, comes to rest softly, or both
    resample: Resample = "lanczos"
    steady: float = 1.0  # how much of the first picture's brightness, colour and contrast is held: 0..1

    def __post_init__(self) -> None:
        for name, (low, high) in {**RANGES, "steady": (0.0, 1.0)}.items():
            value = getattr(self, name)
            pair = isinstance(value, (tuple, list))
            numbers = list(value) if pair else [value]
            if len(numbers) != 1 + (name in ("drift", "target")) or not all(
                isinstance(n, (int, float)) and not isinstance(n, bool) and low <= n <= high for n in numbers
            ):
                what = "two numbers, each" if name in ("drift", "target") else "a number"
                raise PhospheneError(
                    "E_PARAM", f"{name} is {value!r:.80}, expected {what} {low:g} to {high:g}"
                )
            if pair:
                object.__setattr__(self, name, tuple(float(n) for n in numbers))
        for name, choices in (("easing", get_args(Easing)), ("resample", get_args(Resample))):
            if getattr(self, name) not in choices:
                got = getattr(self, name)
                raise PhospheneError(
                    "E_PARAM", f"{name} is {got!r:.80}, expected one of {', '.join(choices)}"
                )
        if self.resample == "notebook" and (self.rotate or any(self.drift) or self.target != (0.5, 0.5)):
            raise PhospheneError(
                "E_PARAM",
                "the notebook's resampling only zooms into the middle; "
                "give another resample, or no rotate, drift and target",
            )

    def speed(self, frame: int, frames: int) -> float:
        """How much of the motion comes after `frame` of `frames`: 0..1."""
        ramp = max(1.0, frames / RAMP)
        speed = 1.0
        if self.easing in ("in", "in-out"):
            speed *= eased((frame + 1) / ramp)
        if self.easing in ("out", "in-out"):
            speed *= eased((frames - 1 - frame) / ramp)
        return speed


CLASSIC = Motion(zoom=0.05, resample="notebook", steady=0.0)  # the 2015 notebook's
NUMBERS = frozenset(field.name for field in fields(Motion) if get_type_hints(Motion)[field.name] is float)


def eased(t: float) -> float:
    """From 0 to 1, beginning and ending at rest."""
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


@torch.no_grad()
def moved(image: Tensor, motion: Motion, speed: float = 1.0) -> Tensor:
    """`image` `[N, C, H, W]`, 0..1, one frame on; `speed` is how much of the motion is made."""
    size = image.shape[-2:]
    if motion.resample == "notebook":
        return _as_the_notebook(image, motion.zoom * speed)
    scale = 1 - motion.zoom * speed
    angle = math.radians(motion.rotate * speed)
    shorter = min(size)
    center = [motion.target[1] * size[0] - 0.5, motion.target[0] * size[1] - 0.5]
    shift = [motion.drift[1] * shorter * speed, motion.drift[0] * shorter * speed]
    if scale == 1 and angle == 0 and shift == [0.0, 0.0]:
        return image.clone()
    sources = _sources(size, scale, angle, center, shift)
    sharp = _sampled(image, motion.resample, scale, sources)
    outside = torch.maximum(_beyond(sources[0], size[0]), _beyond(sources[1], size[1]))
    if not bool(outside.any()):
        return sharp.clamp_(0, 1)
    soft = _sampled(_softened(image), "linear", 1.0, sources)
    return sharp.lerp_(soft, (outside / FADE).clamp(0, 1).to(image.device, image.dtype)).clamp_(0, 1)


def _sources(
    size: torch.Size, scale: float, angle: float, center: list[float], shift: list[float]
) -> tuple[Tensor, Tensor]:
    """The row and the column that every pixel comes from: `[H or 1, W]` and `[H, 1 or W]` of doubles."""
    down = torch.arange(size[0], dtype=torch.float64)[:, None] - center[0]
    across = torch.arange(size[1], dtype=torch.float64)[None] - center[1]
    y, x = scale * math.cos(angle) * down, scale * math.cos(angle) * across
    if angle:
        turn = scale * math.sin(angle)
        y, x = y - turn * across, x + turn * down
    return y + (center[0] + shift[0]), x + (center[1] + shift[1])


def _beyond(source: Tensor, length: int) -> Tensor:
    """How far outside of the picture a place is, in pixels."""
    return (-0.5 - source).clamp_min(0) + (source - (length - 0.5)).clamp_min(0)


def _softened(image: Tensor) -> Tensor:
    """Without its structure, for what is new to be dreamed on: what is outside isn't known."""
    size = image.shape[-2:]
    side = max(1.0, min(size) / SOFT)
    few = F.interpolate(image, size=[max(1, round(length / side)) for length in size], mode="area")
    return F.interpolate(few, size=size, mode="bicubic", align_corners=False)


def _sampled(image: Tensor, resample: str, scale: float, sources: tuple[Tensor, Tensor]) -> Tensor:
    y, x = sources
    if y.shape[1] > 1:
        return _turned(image, resample, scale, y, x)
    for axis, source in ((-2, y[:, 0]), (-1, x[0])):
        image = _along(image, axis, *_taps(resample, source, scale, image.shape[axis]))
    return image


def _along(image: Tensor, axis: int, taps: Tensor, weights: Tensor) -> Tensor:
    """Every row, or column, as a sum of some: `taps` and `weights` are `[count, length]`."""
    taps, weights = taps.to(image.device), weights.to(image.device, image.dtype)
    shape = [-1, 1] if axis == -2 else [-1]
    total = torch.zeros_like(image)
    for tap, weight in zip(taps, weights, strict=True):
        total.addcmul_(image.index_select(axis, tap), weight.view(shape))
    return total


def _turned(image: Tensor, resample: str, scale: float, y: Tensor, x: Tensor) -> Tensor:
    """Pixels lie as neighbours while they are gathered, all of their channels together."""
    height, width = image.shape[-2:]
    flat = image.permute(2, 3, 0, 1).reshape(height * width, -1).contiguous()
    out = torch.empty_like(flat)
    for top in range(0, height, ROWS):
        rows, by_row = _taps(resample, y[top : top + ROWS], scale, height)
        columns, by_column = _taps(resample, x[top : top + ROWS], scale, width)
        place = (rows[:, None] * width + columns).flatten(0, 1).flatten(1).T
        weight = (by_row[:, None] * by_column).flatten(0, 1).flatten(1).T
        out[top * width : (top + ROWS) * width] = F.embedding_bag(
            place.to(image.device).contiguous(),
            flat,
            per_sample_weights=weight.to(image.device, image.dtype).contiguous(),
            mode="sum",
        )
    return out.view(height, width, *image.shape[:2]).permute(2, 3, 0, 1).contiguous()


def _taps(resample: str, source: Tensor, scale: float, length: int) -> tuple[Tensor, Tensor]:
    """Which pixels of a side make up each `source` position, mirrored at the edges, and their weights."""
    kernel, radius = KERNELS[resample]
    stretch = max(1.0, scale)
    reach = math.ceil(radius * stretch)
    first = source.floor()
    near = torch.stack([first + offset for offset in range(1 - reach, reach + 1)])
    weights = kernel((near - source) / stretch)
    weights = weights / weights.sum(0)
    around = near.long().remainder(2 * length)
    return torch.minimum(around, 2 * length - 1 - around), weights


def _linear(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp_min(0)


def _cubic(x: Tensor) -> Tensor:
    """Catmull and Rom's."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


KERNELS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "linear": (_linear, 1),
    "cubic": (_cubic, 2),
    "lanczos": (_lanczos, 3),
}


def _as_the_notebook(image: Tensor, s: float) -> Tensor:
    """`scipy.ndimage.affine_transform(frame, [1-s, 1-s, 1], [h*s/2, w*s/2, 0], order=1)`, in doubles."""
    wide = torch.float32 if image.device.type == "mps" else torch.float64
    grown = image.to(wide)
    for axis in (-2, -1):
        length = image.shape[axis]
        source = (1 - s) * torch.arange(length, dtype=torch.float64) + length * s / 2
        first = source.floor().clamp(0, max(0, length - 2))
        taps = torch.stack([first, first + 1]).long().clamp_max(length - 1)
        share = source - first
        inside = (source >= 0) & (source <= length - 1)
        grown = _along(grown, axis, taps, torch.stack([1 - share, share]) * inside)
    return grown.to(image.dtype)
