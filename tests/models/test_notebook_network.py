"""The notebook's own weights, where they lie beside the project."""

from pathlib import Path

import numpy as np
import pytest
import torch

WEIGHTS = Path(__file__).resolve().parents[2] / "../shared/data/weights/bvlc_googlenet.safetensors"
pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason="../shared with bvlc_googlenet.safetensors is missing"
)


@pytest.mark.parametrize(
    ("photo", "name", "least", "most"),
    [("coffee", "espresso", 0.8, 1), ("chelsea", "Egyptian cat", 0.35, 0.65)],
)
def test_it_knows_coffee_and_cat(photo, name, least, most):
    from skimage import data

    from phosphene import models
    from phosphene.models import bvlc_googlenet

    lens = models.load("bvlc_googlenet", WEIGHTS, mean=bvlc_googlenet.MEAN_CLASSIFY, device="cpu")
    pixels = getattr(data, photo)()
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    image = torch.from_numpy(middle).permute(2, 0, 1)[None].float() / 255
    image = torch.nn.functional.interpolate(image, size=(224, 224), mode="bilinear", antialias=True)
    with torch.no_grad(), lens.watching([lens.head]) as look:
        found = look(image)[lens.head].softmax(1)[0]
    assert lens.classes[int(found.argmax())] == name
    assert least < float(found.max()) < most


def test_load_by_name():
    from phosphene import models

    lens = models.load("bvlc_googlenet", str(WEIGHTS), device="cpu")
    model = models.find("bvlc_googlenet")
    assert {model.objective, model.guide_layer, lens.head} <= set(lens.layers)
    assert len(lens.weights_sha256) == 64
