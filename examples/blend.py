"""Two layers at once, on the photo's own colours, and only in its upper half.

python examples/blend.py [PHOTO]
"""

import sys

import torch

import phosphene
from phosphene import Dream, layer, tv

path = sys.argv[1] if len(sys.argv) > 1 else "examples/photo.jpg"
photo = phosphene.open_picture(path)
lens = phosphene.load("efficientnet_lite0")

objective = layer("blocks.4.2") + 0.7 * layer("blocks.3.2") - 0.1 * tv()
settings = Dream(max_size=320, keep_color=True, seed=1)

height, width = photo.size
fade = torch.linspace(2, -1, height).clamp(0, 1)  # 1 at the top, 0 at the bottom, soft between
mask = fade[:, None].expand(height, width)

for frame in phosphene.dream(photo.tensor(), objective, lens, settings, mask=mask):
    print(frame.octave, frame.step, round(frame.score.item()))

phosphene.save_picture("blend.png", photo.with_tensor(frame.full()), overwrite=True)
