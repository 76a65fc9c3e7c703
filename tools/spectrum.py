"""The spectrum of natural photos, as `phosphene.param.maco` has it: its exponents.

Of scikit-image's astronaut, chelsea, coffee and rocket, in the channels that `uncolored` gives: the slope
of log amplitude against log frequency, rings of equal width in log f, Hann window.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from skimage import data

from phosphene.param.base import uncolored

PHOTOS = (data.astronaut, data.chelsea, data.coffee, data.rocket)
RINGS = 16
MARGIN = 0.02  # black and white stay so far away, as their logits say nothing of the photo


def slopes(channels: np.ndarray) -> np.ndarray:
    """Of `[3, H, W]`, one exponent a channel."""
    height, width = channels.shape[1:]
    window = np.outer(np.hanning(height), np.hanning(width))
    centred = (channels - channels.mean((1, 2), keepdims=True)) * window
    power = np.abs(np.fft.rfft2(centred)) ** 2
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    edges = np.geomspace(4 / min(height, width), 0.4, RINGS + 1)
    rings = [(low <= f) & (f < high) for low, high in pairwise(edges)]
    amplitude = np.array([[np.sqrt(channel[ring].mean()) for ring in rings] for channel in power])
    middles = np.sqrt(edges[1:] * edges[:-1])
    return np.array([-np.polyfit(np.log(middles), np.log(ring), 1)[0] for ring in amplitude])


def main() -> None:
    found = []
    for photo in PHOTOS:
        image = torch.from_numpy(photo()).float().permute(2, 0, 1)[None] / 255
        channels = uncolored(image.clamp(MARGIN, 1 - MARGIN))[0].numpy()
        found.append(slopes(channels))
        print(photo.__name__, found[-1].round(2))
    print("EXPONENT =", tuple([round(float(x), 2) for x in np.median(found, 0)]))


if __name__ == "__main__":
    main()
