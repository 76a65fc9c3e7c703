"""A dream that is kept on disk, read and written in windows: pictures of any size in bounded memory.

python examples/poster.py [PHOTO [SCALE]]
"""

import sys

import phosphene
from phosphene.canvas import Disk
from phosphene.picture.rows import save_rows

path = sys.argv[1] if len(sys.argv) > 1 else "examples/photo.jpg"
scale = float(sys.argv[2]) if len(sys.argv) > 2 else 2
image = phosphene.open_picture(path).tensor()
lens = phosphene.load("efficientnet_lite0")
settings = phosphene.Dream(scale=scale, octaves=2, steps=2, tile=512, seed=1)

for frame in phosphene.dream(Disk.of(".", image), "blocks.4.2", lens, settings):
    print(frame.octave, frame.step, round(frame.score.item()))


def rows(top, bottom):
    return frame.rows(top, bottom)[0].permute(1, 2, 0).numpy()  # [bottom - top, W, 3]


save_rows("poster.dzi", rows, frame.photo.size, "dzi", overwrite=True)
