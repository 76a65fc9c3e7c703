"""A picture that a prompt grows out of noise, with any CLIP whose weights are on this machine.

python examples/text.py [PROMPT [MODEL]]; `phosphene models` says how weights get here.
"""

import sys

import phosphene
from phosphene.picture import Picture
from phosphene.presets import VISUALIZE

prompt = sys.argv[1] if len(sys.argv) > 1 else "a lighthouse"
model = sys.argv[2] if len(sys.argv) > 2 else "hf:openai/clip-vit-base-patch32"

try:
    lens = phosphene.load(model)
except phosphene.PhospheneError as error:
    sys.exit(f"{error.code}: {error}")
settings = phosphene.Dream(**VISUALIZE | {"steps": 32, "seed": 1})
for seen in phosphene.visualize(phosphene.text(prompt, crops=4), lens, settings, size=96):
    picture = Picture(seen.image.permute(1, 2, 0).numpy())
    phosphene.save_picture("text.png", picture, overwrite=True)
    print(prompt, seen.score)
