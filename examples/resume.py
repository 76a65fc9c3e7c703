"""A run that is stopped, kept in a file, and goes on later: the same picture, bit for bit.

python examples/resume.py [PHOTO]
"""

import sys

import torch

import phosphene

path = sys.argv[1] if len(sys.argv) > 1 else "examples/photo.jpg"
image = phosphene.open_picture(path).tensor()
lens = phosphene.load("efficientnet_lite2")
settings = phosphene.Dream(max_size=256, octaves=2, steps=6, seed=1)

for frame in phosphene.dream(image, "blocks.4.1", lens, settings):
    if (frame.octave, frame.step) == (0, 3):
        torch.save(frame.state(), "state.pt")  # the run could end here, and the program with it
uninterrupted = frame.full()

state = torch.load("state.pt", weights_only=True)
for frame in phosphene.dream(image, "blocks.4.1", lens, settings, resume=state):
    print(f"octave {frame.octave + 1}, step {frame.step + 1}")

print("the same, bit for bit:", torch.equal(frame.full(), uninterrupted))
