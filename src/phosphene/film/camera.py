"""The motion of the camera: one for the whole still, found from the flow where that can be trusted.

In the dark, in the sky and on bare walls there is nothing to see a motion by, and what a flow finds there
is noise. A dream isn't bare there, and would swim. So the camera's motion is taken wherever it explains
a place about as well as the flow does; what moves by itself keeps its own.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

EACH = 4  # px from one point that is looked at to the next
TEXTURE = 4.0  # levels per px by which a point's motion can be seen
WITHIN = 0.5  # px by which a point may miss the camera's motion
FEWEST = 40  # points, and
SHARE = 0.3  # of all points, that have to agree about it
ABOUT = 1.2, 0.5  # times the flow's own error, and levels: about as well
WIDE = 4.0  # px: the places that are compared
EDGE = 2.0  # px: how softly one motion passes into the other
Array = NDArray[Any]


def places(way: Array) -> tuple[Array, Array]:
    """x and y `[H, W]` that a flow `[H, W, 2]` leads to."""
    height, width = way.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x + way[..., 0], y + way[..., 1]


def with_camera(back: Array, sure: Array, now: Array, before: Array) -> Array:
    """The flow `back` `[H, W, 2]`, with the camera's own where that will do; `now`, `before` are grey."""
    whole = _camera(back, sure, now)
    if whole is None:
        return back
    own, camera = (_error(way, now, before) for way in (back, whole))
    simple = (camera <= ABOUT[0] * own + ABOUT[1]).astype(np.float32)
    share = cv2.GaussianBlur(simple, (0, 0), EDGE)[..., None]
    found: Array = back + share * (whole - back)
    return found


def _camera(back: Array, sure: Array, now: Array) -> Array | None:
    """A shift, turn, zoom and shear of the whole still, if enough of it goes along."""
    slope = np.hypot(*(cv2.Sobel(now, cv2.CV_32F, dx, dy, scale=1 / 8) for dx, dy in ((1, 0), (0, 1))))
    y, x = np.nonzero(((slope > TEXTURE) & sure)[::EACH, ::EACH])
    points = np.stack([x, y], -1).astype(np.float32) * EACH
    if len(points) < FEWEST:
        return None
    there = points + back[::EACH, ::EACH][y, x]
    matrix, agree = cv2.estimateAffine2D(points, there, ransacReprojThreshold=WITHIN)
    if matrix is None or agree.sum() < max(FEWEST, SHARE * len(points)):
        return None
    x, y = places(np.zeros_like(back))
    a = (matrix - np.eye(2, 3)).astype(np.float32)
    return np.stack([a[i, 0] * x + a[i, 1] * y + a[i, 2] for i in (0, 1)], -1)


def _error(way: Array, now: Array, before: Array) -> Array:
    was = cv2.remap(before, *places(way), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    found: Array = cv2.GaussianBlur(cv2.absdiff(now, was).astype(np.float32), (0, 0), WIDE)
    return found
