"""Where one scene of a film ends and the next begins: nothing is carried over a cut."""

from __future__ import annotations

import cv2
import numpy as np

from phosphene.film.flow import Array, Flow

SEEN = 0.5  # less than this share of a still was there before: perhaps a cut
LOST = 0.15  # less than this: surely
DIFFER = 10.0  # levels between a still and the one before, moved along the flow, where it is one
COLORS = 0.25  # Bhattacharyya distance of the colours of two scenes, at least
BINS = 8


def cut(before: Array, now: Array, flow: Flow) -> bool:
    """Whether `now` begins a scene; both `[H, W, 3]` uint8."""
    seen = float(flow.seen.mean())
    if seen < LOST:
        return True
    return seen < SEEN and flow.differ > DIFFER and distance(before, now) > COLORS


def distance(one: Array, other: Array) -> float:
    """Of two stills' colours: 0 alike … 1 nothing in common."""
    first, second = (
        cv2.calcHist([image], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3).astype(np.float32)
        for image in (one, other)
    )
    return float(cv2.compareHist(first, second, cv2.HISTCMP_BHATTACHARYYA))
