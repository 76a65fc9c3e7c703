"""A guided dream: every place is drawn to the feature of another picture that it is most like.

python examples/guide.py [PHOTO [GUIDE]]

Without a guide, the middle of the photo guides the whole of it.
"""

import sys

import phosphene

path = sys.argv[1] if len(sys.argv) > 1 else "examples/photo.jpg"
photo = phosphene.open_picture(path)
image = photo.tensor()
if len(sys.argv) > 2:
    guide = phosphene.open_picture(sys.argv[2]).tensor()
else:
    height, width = photo.size
    guide = image[..., height // 4 : -height // 4, width // 4 : -width // 4]

lens = phosphene.load("efficientnet_lite2")
objective = phosphene.guide(guide, "blocks.3.1")
settings = phosphene.Dream(max_size=320, seed=1)

for frame in phosphene.dream(image, objective, lens, settings):
    print(frame.octave, frame.step, round(frame.score.item()))

phosphene.save_picture("guided.png", photo.with_tensor(frame.full()), overwrite=True)
