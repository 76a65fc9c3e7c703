"""Where each pixel of a still was in the still before, and where it can't have been seen there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from phosphene.film.camera import places, with_camera

LONGEST = 960  # px: the flow of larger stills is found on smaller ones
AGREE = 0.01, 0.5  # a flow and the one back agree up to 0.01 (|f|² + |b|²) + 0.5 px² (Sundaram 2010)
ALIKE = 24  # levels by which a pixel, blurred, may differ from the one that it was
SAME = 5  # the same, where the flow there and back don't agree: in the dark, in the sky
FAR = 12.0  # px: how far around such a place its motion is looked for
STILL = 0.06  # px: less than this is no motion, or so many whole pixels
Array = NDArray[Any]


@dataclass(frozen=True)
class Flow:
    """From one still back to the one before."""

    back: Array  # `[H, W, 2]` float32, px: the pixel at (x, y) was at (x, y) + back
    seen: Array  # `[H, W]` float32: 1 where it was there to be seen, 0 where not
    differ: float  # mean difference of the two stills along the flow, in 8-bit levels

    @cached_property
    def _places(self) -> tuple[Array, Array]:
        """x and y of each pixel in the still before, `[H, W]`."""
        return places(self.back)

    def carry(self, image: Array, sharp: bool = False) -> Array:
        """What was `image` `[H, W]` or `[H, W, C]` at the still before, moved to where it is now.

        Linear interpolation softens where the motion is a fraction of a pixel; `sharp` is Lanczos'.
        """
        x, y = self._places
        how = cv2.INTER_LANCZOS4 if sharp else cv2.INTER_LINEAR
        moved: Array = cv2.remap(image, x, y, how, borderMode=cv2.BORDER_REPLICATE)
        return moved


def flow(before: Array, now: Array) -> Flow:
    """The flow from `now` back to `before`, both `[H, W, 3]` uint8; DIS (Kroeger et al. 2016)."""
    height, width = now.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    small = [cv2.cvtColor(_sized(one, size), cv2.COLOR_RGB2GRAY) for one in (before, now)]
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)  # a twentieth of a pixel, by which half the size is wrong, would flicker
    nothing: Any = None
    back = dis.calc(small[1], small[0], nothing)
    forth = dis.calc(small[0], small[1], nothing)
    back = np.where((np.square(back).sum(-1) < STILL**2)[..., None], np.float32(0), back)
    sure = _agrees(back, forth)
    back = np.where(sure[..., None], back, _around(back, sure))
    back = with_camera(back, sure, small[1], small[0])
    seen = _inside(back)
    if scale < 1:
        factor = np.array([width / size[0], height / size[1]], np.float32)
        back = cv2.resize(back, (width, height), interpolation=cv2.INTER_LINEAR) * factor
        seen, sure = (cv2.resize(one.astype(np.float32), (width, height)) > 0.5 for one in (seen, sure))
    whole = np.rint(back)
    back = np.where(np.square(back - whole).sum(-1, keepdims=True) < STILL**2, whole, back)
    found = Flow(back, seen.astype(np.float32), 0.0)
    apart = np.abs(found.carry(before.astype(np.float32)) - now).mean(-1)
    alike = cv2.blur(apart, (5, 5)) < np.where(sure, ALIKE, SAME)
    return Flow(back, (seen & alike).astype(np.float32), float(apart.mean()))


def flicker(before: Array, now: Array, flow: Flow) -> float:
    """Mean |now − warp(before)| where it was seen, in 8-bit levels; both `[H, W, 3]`, 0..1."""
    return apart(now, flow.carry(before), flow)


def apart(one: Array, other: Array, flow: Flow) -> float:
    """Mean difference of two pictures `[H, W, 3]`, 0..1, where the flow is seen, in 8-bit levels."""
    differ = cv2.absdiff(one, other).mean(-1)
    return 255 * float((differ * flow.seen).sum() / max(1.0, float(flow.seen.sum())))


def _sized(image: Array, size: tuple[int, int]) -> Array:
    if (image.shape[1], image.shape[0]) == size:
        return image
    found: Array = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return found


def _agrees(back: Array, forth: Array) -> Array:
    there = cv2.remap(forth, *places(back), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = np.square(back + there).sum(-1)
    sizes = np.square(back).sum(-1) + np.square(there).sum(-1)
    agrees: Array = apart <= AGREE[0] * sizes + AGREE[1]
    return agrees


def _around(back: Array, sure: Array) -> Array:
    """The mean motion of the places nearby whose flow is sure."""
    weight = cv2.GaussianBlur(sure.astype(np.float32), (0, 0), FAR)
    summed = cv2.GaussianBlur(back * sure[..., None].astype(np.float32), (0, 0), FAR)
    found: Array = summed / np.maximum(weight, 1e-3)[..., None]
    return found


def _inside(back: Array) -> Array:
    (height, width), (x, y) = back.shape[:2], places(back)
    inside: Array = (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
    return inside
