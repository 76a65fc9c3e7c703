"""An objective of one's own: at every place, only the channel that is loudest there.

python examples/own_objective.py [PHOTO]

A measure takes a layer's activations [N, C, H, W] and gives every position its score, [N, H, W].
Whatever is made of it adds and multiplies like the objectives that come along.
"""

import sys

from torch import Tensor

import phosphene
from phosphene.objective import Objective, Term


def loudest(layer: str) -> Objective:
    """½·max_c a² at every position."""

    def measure(act: Tensor) -> Tensor:
        return act.square().amax(dim=1) / 2

    return Objective((Term(f"loudest({layer})", layer, measure),))


path = sys.argv[1] if len(sys.argv) > 1 else "examples/photo.jpg"
photo = phosphene.open_picture(path)
lens = phosphene.load("efficientnet_lite2")
objective = loudest("blocks.4.1") + 0.5 * phosphene.layer("blocks.3.2")

for frame in phosphene.dream(photo.tensor(), objective, lens, phosphene.Dream(max_size=320, seed=1)):
    print(frame.octave, frame.step, round(frame.score.item()))

phosphene.save_picture("loudest.png", photo.with_tensor(frame.full()), overwrite=True)
