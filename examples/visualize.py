"""What units want to see: the pictures that excite them most, grown from noise.

python examples/visualize.py [MODEL LAYER CHANNEL...]
"""

import sys

import phosphene
from phosphene.picture import Picture
from phosphene.presets import VISUALIZE

model, layer, *channels = sys.argv[1:] or ["efficientnet_lite0", "blocks.2.1", "3", "7"]
lens = phosphene.load(model)
objectives = [phosphene.channel(layer, int(channel)) for channel in channels]
settings = phosphene.Dream(**VISUALIZE | {"steps": 64, "seed": 1})

for seen in phosphene.visualize(objectives, lens, settings, size=128):
    picture = Picture(seen.image.permute(1, 2, 0).numpy())
    phosphene.save_picture(f"unit-{channels[seen.number]}.png", picture, overwrite=True)
    print(objectives[seen.number].text, seen.score)
