"""Several pictures in one batch: each is dreamed on as if it were alone.

python examples/batch.py [PHOTO]
"""

import sys

import torch

import phosphene

path = sys.argv[1] if len(sys.argv) > 1 else "examples/photo.jpg"
photo = phosphene.open_picture(path)
image = photo.tensor()
batch = torch.cat([image, image.flip(-1), 1 - image])  # as it is, mirrored, negative: [3, 3, H, W]

lens = phosphene.load("efficientnet_lite0")
settings = phosphene.Dream(max_size=256, steps=8, seed=1)
for frame in phosphene.dream(batch, "blocks.4.2 + blocks.3.2", lens, settings):
    print(frame.octave, frame.step, [round(score) for score in frame.score.tolist()])

for number, dreamed in enumerate(frame.full()):
    phosphene.save_picture(f"batch-{number}.png", photo.with_tensor(dreamed), overwrite=True)
