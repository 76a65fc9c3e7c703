"""One photo, the default look.

python examples/dream.py [PHOTO]
"""

import sys

import phosphene

path = sys.argv[1] if len(sys.argv) > 1 else "examples/photo.jpg"
photo = phosphene.open_picture(path)
lens = phosphene.load("efficientnet_lite2")
settings = phosphene.Dream(max_size=320, seed=1)

for frame in phosphene.dream(photo.tensor(), "blocks.4.1", lens, settings):
    if frame.step == frame.steps - 1:
        print(f"octave {frame.octave + 1} of {frame.octaves}: score {frame.score.item():.0f}")

phosphene.save_picture("dream.png", photo.with_tensor(frame.full()), overwrite=True)
