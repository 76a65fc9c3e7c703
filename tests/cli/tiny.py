"""The quickest dream there is, and a photo for it."""

import numpy as np
from PIL import Image

QUICK = ["--octaves", "1", "--steps", "2", "--seed", "3"]


def make_photo(path, height=64, width=96, seed=0):
    """A smooth coloured picture: noise on a coarse grid, made larger."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path
