"""Preset `classic` against an independent run of the 2015 notebook, on its real network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import notebook
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.models import load
from phosphene.presets import preset
from phosphene.words import guide

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
WEIGHTS = DATA / "weights" / "bvlc_googlenet.safetensors"
SKY, FLOWERS = (DATA / "notebook2015" / name for name in ("sky1024px.jpg", "flowers.jpg"))

pytestmark = pytest.mark.skipif(not WEIGHTS.exists(), reason="needs ../shared/data: the original network")


@pytest.fixture(scope="module")
def lens():
    return load("bvlc_googlenet", str(WEIGHTS), device="cpu")


@pytest.fixture(scope="module")
def net():
    return notebook.Net(load_file(WEIGHTS))


@pytest.fixture(scope="module")
def last(net):
    """The same with its maps in another order in memory, which rounds otherwise."""
    return notebook.Net(
        {
            name: values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 else values
            for name, values in net.weights.items()
        },
        torch.channels_last,
    )


def photo(path, size):
    image = Image.open(path).convert("RGB")
    image.thumbnail((size, size))
    return np.asarray(image)


def ours(lens, pixels, objective, **changes):
    config = Dream.read({**preset("classic"), **changes})
    image = torch.tensor(pixels).permute(2, 0, 1).float()[None] / 255
    *_, last = dream(image, objective, lens, config)
    return last.full()[0].permute(1, 2, 0).numpy() * 255, last.score.item()


LAYERS = ["inception_4c/output", "inception_3b/output", "inception_3b/5x5_reduce"]


@pytest.mark.parametrize(("octaves", "steps"), [(4, 1), (1, 3)])
@pytest.mark.parametrize(
    ("path", "layer", "seed"),
    [(SKY, LAYERS[0], 0), (FLOWERS, LAYERS[0], 1), (FLOWERS, LAYERS[1], 2), (SKY, LAYERS[2], 3)],
)
def test_equals_the_notebook(lens, net, last, path, layer, seed, octaves, steps):
    # 300 px wide, the sky's second octave is of a size where scipy's zoom loses its last row.
    pixels = photo(path, 300)
    theirs, _ = notebook.deepdream(net, pixels, seed, layer, octaves=octaves, steps=steps)
    got, _ = ours(lens, pixels, layer, seed=seed, octaves=octaves, steps=steps)
    apart = np.abs(got - theirs)
    # Where two activations tie to the last bit, two right float32 runs may take different ones. On some
    # processors so do two runs of the notebook: what those are apart, ours may be too.
    own = np.abs(notebook.deepdream(last, pixels, seed, layer, octaves=octaves, steps=steps)[0] - theirs)
    assert (apart > 1).mean() < max(0.01, 1.5 * (own > 1).mean())
    assert np.median(apart) < max(1e-3, 1.5 * np.median(own))
    assert apart.mean() < max(0.05, 1.5 * own.mean())
    assert np.abs(got - pixels).mean() > 1


def test_guided_dream_equals_the_notebook(lens, net):
    pixels, flowers = photo(SKY, 400), photo(FLOWERS, 300)
    layer = "inception_3b/output"
    features = net.to(torch.tensor(notebook.preprocess(flowers)[None]), layer)[0].detach().numpy()
    theirs, _ = notebook.deepdream(
        net, pixels, 4, layer, notebook.objective_guide(features), octaves=1, steps=1
    )
    flowers_image = torch.tensor(flowers).permute(2, 0, 1).float()[None] / 255
    got, _ = ours(lens, pixels, guide(flowers_image, layer), seed=4, octaves=1, steps=1)
    assert np.abs(got - theirs).max() < 1.0


@pytest.mark.slow
def test_full_runs_agree_in_score_and_change(lens, net):
    """Of three seeds together, as each run goes its own way from where two activations tie."""
    pixels = photo(SKY, 288)
    positions = net.to(torch.tensor(notebook.preprocess(pixels)[None]), LAYERS[0])[0, 0].numel()
    found = []
    for seed in range(3):
        theirs, their_score = notebook.deepdream(net, pixels, seed)
        got, score = ours(lens, pixels, LAYERS[0], seed=seed)
        changes = (np.abs(image - pixels).mean() for image in (got, theirs))
        found.append([*changes, score * positions, their_score])
    change, their_change, score, their_score = np.mean(found, 0)
    assert change == pytest.approx(their_change, rel=0.02)
    assert score == pytest.approx(their_score, rel=0.1)
