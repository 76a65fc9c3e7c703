"""Transforms: small random changes of the picture before the network sees it, so that a dream is robust.

A `Transform` takes a picture `[N, 3, H, W]`, 0..1, and one generator per image, and gives a picture
`[N·K, 3, H', W']` (K is 1 but for crops; image i's are i, i + N, …). All are differentiable. Values
are drawn once for the whole batch, or by `each` for every image. After lucid (Olah et al. 2017).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from numpy.random import RandomState
from torch import Tensor
from torch.nn import functional as F

from phosphene.errors import PhospheneError, nearest

Randoms = Sequence[RandomState]  # one for all images, or one each
Transform = Callable[[Tensor, Randoms], Tensor]

GREY = 0.5
STANDARD = "pad(12), jitter(8), scale(0.9, 1.1), rotate(10), jitter(4)"
WINDOWS = "pad(16), window(0.4, 1, 0.7), rotate(10), noise(0.04)"
CROPS = "crops(8), noise(0.08)"
NAMED = {"none": "", "standard": STANDARD, "windows": WINDOWS, "crops": CROPS}
STEP = re.compile(r"\s*([a-z]+)\s*\(([^()]*)\)\s*(?:,|$)")


def pad(pixels: float) -> Transform:
    """A margin of grey, `pixels` wide, on every side."""
    _within("pad", pixels, 0, 4096)
    return lambda image, _randoms: F.pad(image, [int(pixels)] * 4, value=GREY)


def jitter(pixels: float) -> Transform:
    """A window that is `pixels` smaller on each side, at a random place."""
    _within("jitter", pixels, 0, 4096)
    most = int(pixels)

    def move(image: Tensor, randoms: Randoms) -> Tensor:
        height, width = (max(1, side - most) for side in image.shape[-2:])
        tops = _drawn(randoms, lambda random: random.randint(0, image.shape[-2] - height + 1))
        lefts = _drawn(randoms, lambda random: random.randint(0, image.shape[-1] - width + 1))
        if len(tops) == 1:
            return image[..., tops[0] : tops[0] + height, lefts[0] : lefts[0] + width]
        return torch.stack(
            [one[:, y : y + height, x : x + width] for one, y, x in zip(image, tops, lefts, strict=True)]
        )

    return move


def scale(low: float, high: float) -> Transform:
    """Larger or smaller about the middle by a factor from `low` to `high`, the size in pixels as it was."""
    _within("scale", low, 0.05, 20)
    _within("scale", high, low, 20)
    return lambda image, randoms: _resampled(
        image, [(factor, 0.0) for factor in _drawn(randoms, lambda random: random.uniform(low, high))]
    )


def rotate(degrees: float) -> Transform:
    """Turned about the middle by up to so many degrees to either side, a third of the time not at all.

    lucid draws from -10 … 10 in whole degrees and five times more 0: 26 %, about the same.
    """
    _within("rotate", degrees, 0, 180)

    def angle(random: RandomState) -> float:
        turned, by = random.uniform() < 2 / 3, random.uniform(-degrees, degrees)
        return float(by) if turned else 0.0

    return lambda image, randoms: _resampled(image, [(1.0, a) for a in _drawn(randoms, angle)])


def crops(
    count: float, size: float = 0.0, first: float = 0.5, last: float = 0.05, *, done: float = 0.0
) -> Transform:
    """`count` square windows of each image, each resized to `size` px (0: its shorter side, at most 224).

    MaCo's (Fel et al. 2023): centres normal about the middle, deviation 0.15; sides of the shorter one
    normal, deviation 0.05, whose mean goes from `first` to `last` as `done` goes from 0 to 1.
    """
    _within("crops", count, 1, 1024)
    _within("crops' size", size, 0, 4096)
    _within("crops' first side", first, 0.05, 1)
    _within("crops' last side", last, 0.05, 1)
    mean = first + (last - first) * done

    def cut(image: Tensor, randoms: Randoms) -> Tensor:
        side = int(size) or min(224, *image.shape[-2:])
        found = []
        for _ in range(int(count)):
            windows = _drawn(randoms, lambda random: _window(random, mean, *image.shape[-2:]))
            windows = windows if len(windows) > 1 else windows * len(image)
            found += [
                _resized(one[None, :, top : top + length, left : left + length], side)
                for one, (top, left, length) in zip(image, windows, strict=True)
            ]
        return torch.cat(found)

    return cut


def window(low: float, high: float, last: float = 0.0, *, done: float = 0.0) -> Transform:
    """A square window, its side `low` to `high` of the picture's shorter one, anywhere, resized to that.

    With `last`, `low` goes there as `done` goes from 0 to 1: things are found in parts, then seen as a whole.
    """
    _within("window", low, 0.05, 1)
    _within("window", high, low, 1)
    _within("window's last", last, 0, high)
    low += (last - low) * done if last else 0

    def drawn(random: RandomState, height: int, width: int) -> tuple[int, int, int]:
        length = round(min(height, width) * random.uniform(low, high))
        return random.randint(height - length + 1), random.randint(width - length + 1), length

    def cut(image: Tensor, randoms: Randoms) -> Tensor:
        side = min(image.shape[-2:])
        windows = _drawn(randoms, lambda random: drawn(random, *image.shape[-2:]))
        windows = windows if len(windows) > 1 else windows * len(image)
        return torch.cat(
            [
                _resized(one[None, :, top : top + length, left : left + length], side)
                for one, (top, left, length) in zip(image, windows, strict=True)
            ]
        )

    return cut


def noise(deviation: float) -> Transform:
    """Normal noise of that deviation, added to every pixel."""
    _within("noise", deviation, 0, 1)

    def add(image: Tensor, randoms: Randoms) -> Tensor:
        shape = tuple(image.shape[1:])
        copies = len(image) // len(randoms) if len(randoms) > 1 else 1
        found = [random.normal(0, deviation, shape) for _ in range(copies) for random in randoms]
        return image + torch.stack([torch.from_numpy(one).to(image) for one in found])

    return add


def color(amount: float) -> Transform:
    """Each channel's contrast about grey times 1 ± `amount`, and up to half of it brighter or darker."""
    _within("color", amount, 0, 1)

    def shift(image: Tensor, randoms: Randoms) -> Tensor:
        drawn = _drawn(randoms, lambda random: random.uniform(-amount, amount, (2, 3)))
        copies = len(image) // len(drawn) if len(drawn) > 1 else 1
        values = torch.stack([torch.from_numpy(one).to(image) for one in drawn]).repeat(copies, 1, 1)
        gain, light = values[..., None, None].unbind(1)
        return (image - GREY) * (1 + gain) + GREY + light / 2

    return shift


WORDS: dict[str, tuple[str, Callable[..., Transform]]] = {
    "pad": ("PIXELS", pad),
    "jitter": ("PIXELS", jitter),
    "scale": ("LOW, HIGH", scale),
    "rotate": ("DEGREES", rotate),
    "crops": ("COUNT, SIZE, FIRST, LAST", crops),
    "window": ("LOW, HIGH, LAST", window),
    "noise": ("DEVIATION", noise),
    "color": ("AMOUNT", color),
}
CHANGING = {"crops", "window"}  # in the course of an octave


def composed(steps: Sequence[Transform]) -> Transform:
    """One after the other."""

    def all_of(image: Tensor, randoms: Randoms) -> Tensor:
        for step in steps:
            image = step(image, randoms)
        return image

    return all_of


def parse(text: str, done: float = 0.0) -> tuple[Transform, bool] | None:
    """The transform that `text` names, such as `pad(12), jitter(8)` or `standard`, and whether it is drawn
    for each image (`each standard`); None for `none`. `done`, 0..1, is how far the octave is: crops become
    smaller. E_PARAM says what was expected.
    """
    each = text.strip().startswith("each ")
    text = text.strip().removeprefix("each ").strip()
    text = NAMED.get(text, text)
    steps, place = [], 0
    while place < len(text):
        found = STEP.match(text, place)
        if not found:
            raise PhospheneError(
                "E_PARAM",
                f"transforms: got {text[place : place + 30]!r}, expected {', '.join(NAMED)} or a list "
                f"such as {STANDARD!r}",
            )
        steps.append(_step(found[1], found[2], done))
        place = found.end()
    return (composed(steps), each) if steps else None


def drawn(
    change: tuple[Transform, bool] | None, seed: Sequence[int], images: int
) -> Callable[[Tensor], Tensor] | None:
    """A step's transform, with its random numbers from `seed`: the same whenever the step is taken."""
    if change is None:
        return None
    transform, each = change
    numbers = range(images) if each else range(1)
    randoms = [RandomState([*seed, 1, number]) for number in numbers]
    return lambda image: transform(image, randoms)


def most_pixels(text: str, height: int, width: int) -> int:
    """How many pixels a picture has at most on its way through the transform that `text` names."""
    count, most = 1, height * width
    text = text.strip().removeprefix("each ").strip()
    for name, arguments in STEP.findall(NAMED.get(text, text)):
        first, *more = [int(float(number)) for number in arguments.split(",") if number.strip()]
        if name in ("pad", "jitter"):
            by = 2 * first if name == "pad" else -first
            height, width = max(1, height + by), max(1, width + by)
        elif name in ("crops", "window"):
            side = (more and more[0]) or min(224, height, width)
            count *= first if name == "crops" else 1
            height = width = side if name == "crops" else min(height, width)
        most = max(most, count * height * width)
    return most


def _step(name: str, arguments: str, done: float) -> Transform:
    if name not in WORDS:
        near = ", ".join(nearest(name[:40], list(WORDS), 3))
        raise PhospheneError("E_PARAM", f"there is no transform {name[:40]!r}; the nearest are {near}")
    usage, build = WORDS[name]
    build = partial(build, done=done) if name in CHANGING else build
    try:
        return build(*(float(number) for number in arguments.split(",") if number.strip()))
    except (TypeError, ValueError):
        raise PhospheneError(
            "E_PARAM", f"transforms: got {name}({arguments[:40]}), expected {name}({usage}) in numbers"
        ) from None


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise PhospheneError("E_PARAM", f"transform {name} is {value:g}, expected from {low:g} to {high:g}")


def _drawn(randoms: Randoms, draw: Callable[[RandomState], Any]) -> list[Any]:
    return [draw(random) for random in randoms]


def _window(random: RandomState, mean: float, height: int, width: int) -> tuple[int, int, int]:
    """Top, left and side of a square window."""
    shorter = min(height, width)
    length = int(shorter * min(1.0, max(0.05, random.normal(mean, 0.05))))
    y, x = (min(1.0, max(0.0, random.normal(0.5, 0.15))) for _ in range(2))
    top, left = y * height - length / 2, x * width - length / 2
    return round(min(max(0, top), height - length)), round(min(max(0, left), width - length)), length


def _resized(window: Tensor, side: int) -> Tensor:
    return F.interpolate(window, size=(side, side), mode="bilinear", align_corners=False)


def _resampled(image: Tensor, changes: Sequence[tuple[float, float]]) -> Tensor:
    """Each image times a factor and turned by degrees about its middle; bilinear, edges repeated."""
    if all(change == (1.0, 0.0) for change in changes):
        return image
    height, width = image.shape[-2:]
    y = torch.arange(height, device=image.device) - (height - 1) / 2
    x = torch.arange(width, device=image.device) - (width - 1) / 2
    grids = []
    for factor, degrees in changes:
        c, s = math.cos(math.radians(degrees)) / factor, math.sin(math.radians(degrees)) / factor
        from_x = c * x[None] + s * y[:, None]
        from_y = -s * x[None] + c * y[:, None]
        grids.append(torch.stack((from_x * 2 / width, from_y * 2 / height), -1))
    copies = len(image) // len(grids)
    grid = torch.stack(grids).repeat(copies, 1, 1, 1)
    return F.grid_sample(image, grid.to(image.dtype), "bilinear", "border", align_corners=False)
