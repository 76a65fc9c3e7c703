"""Activations beside a photo's, and among the images of a batch, by value (lucid's formulas)."""

import numpy as np
import pytest
import torch
from PIL import Image

from networks import Branching
from phosphene import compare, expression, words
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

ACTS = torch.randn(4, 5, 6, 7, generator=torch.Generator().manual_seed(0))
PHOTO = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def lens():
    torch.manual_seed(0)
    return Lens(Branching())


def acts_of(lens, layer, image=PHOTO):
    with torch.no_grad(), lens.watching([layer]) as look:
        return look(image)[layer].numpy()


def scores(objective, act):
    return objective({"a": act}).numpy()


def test_diversity_is_lucids():
    flat = ACTS.numpy().reshape(4, 5, 42)
    grams = flat @ flat.transpose(0, 2, 1)
    grams /= np.sqrt((grams**2).sum((1, 2), keepdims=True))
    lucids = sum((grams[i] * grams[j]).sum() for i in range(4) for j in range(4) if i != j) / 4
    found = scores(compare.diversity("a"), ACTS)
    assert found.shape == (4,) and np.isclose(found.mean(), -lucids, rtol=1e-5)


def test_alignment_is_lucids():
    a = ACTS.numpy()
    lucids = -sum(((a[i] - a[i + d]) ** 2).mean() / 2.0**d for d in (1, 2, 3, 4) for i in range(4 - d))
    assert np.isclose(scores(compare.alignment("a"), ACTS).sum(), lucids, rtol=1e-5)
    assert np.allclose(scores(compare.alignment("a"), ACTS[:1]), 0)


def test_crops_are_compared_with_crops():
    twice = torch.cat([ACTS, 2 * ACTS])
    objective = compare.diversity("a")
    found = objective.score({"a": twice, "input": twice}, images=4)
    assert torch.allclose(found, objective({"a": ACTS}), atol=1e-5)  # Gram matrices' length doesn't count


def test_interpolation_is_lucids():
    objective = compare.interpolation(words.channel("a", 1), words.channel("a", 3), 4)
    found = objective.score({"a": ACTS, "input": ACTS}).numpy()
    means = ACTS.numpy().mean((2, 3))
    shares = np.arange(4) / 3
    assert np.allclose(found, (1 - shares) * means[:, 1] + shares * means[:, 3], atol=1e-6)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_caricature_by_value(lens, power):
    bound = compare.caricature(PHOTO, "mix", power).bind(lens)
    target = acts_of(lens, "mix")
    act = torch.randn(target.shape, generator=torch.Generator().manual_seed(2))
    dot = (act.numpy() * target).sum()
    cosine = dot / (np.linalg.norm(act) * np.linalg.norm(target))
    expected = dot * max(0.1, cosine) ** power / target[0, 0].size
    assert np.allclose(bound({"mix": act}).numpy(), expected, rtol=1e-4)


def test_inversion_by_value(lens):
    bound = compare.inversion(PHOTO, "tail").bind(lens)
    target = acts_of(lens, "tail")
    act = torch.from_numpy(target) + 0.5
    expected = -(0.25 * target.size) / (target**2).sum()
    assert np.allclose(bound({"tail": act}).numpy(), expected, rtol=1e-4)
    assert np.allclose(bound({"tail": torch.from_numpy(target)}).numpy(), 0, atol=1e-7)


def test_a_file_and_its_text(lens, tmp_path):
    path = tmp_path / "a photo.png"
    pixels = (PHOTO[0].permute(1, 2, 0).numpy() * 255).round().astype("uint8")
    Image.fromarray(pixels).save(path)
    for text in (f'caricature("{path}", mix, power=2)', f'inversion("{path}", mix)'):
        objective = expression.parse(text)
        assert objective.text == text
        act = torch.from_numpy(acts_of(lens, "mix"))
        assert bool(torch.isfinite(objective.bind(lens)({"mix": act})).all())


def test_contrast_by_value(lens):
    these = [torch.rand(1, 3, 40, 40) for _ in range(2)]
    those = [torch.rand(1, 3, 48, 64) for _ in range(3)]
    way = np.mean([acts_of(lens, "mix", one).mean((0, 2, 3)) for one in these], 0)
    way -= np.mean([acts_of(lens, "mix", one).mean((0, 2, 3)) for one in those], 0)
    objective = compare.contrast(these, those, "mix", lens)
    act = torch.randn(1, 9, 4, 4)
    expected = (act.numpy() * (way / np.linalg.norm(way))[None, :, None, None]).sum(1).mean()
    assert np.allclose(objective({"mix": act}).numpy(), expected, atol=1e-5)
    with pytest.raises(PhospheneError, match="look the same"):
        compare.contrast(these, these, "mix", lens)
    with pytest.raises(PhospheneError, match="empty"):
        compare.contrast(these, [], "mix", lens)


def test_activation_grid_sees_each_position(lens):
    objective, (rows, columns) = compare.activation_grid(PHOTO, "mix", lens)
    target = acts_of(lens, "mix")[0]
    assert (rows, columns) == target.shape[1:] and len(objective.terms) == rows * columns
    act = torch.randn(rows * columns, 9, 2, 2)
    expected = [
        (act[i].numpy() * target[:, i // columns, i % columns, None, None]).sum(0).mean()
        for i in range(len(act))
    ]
    assert np.allclose(objective({"mix": act}).numpy(), expected, atol=1e-4)
    assert compare.activation_grid(PHOTO, "mix", lens, cells=4)[1] == (4, 3)


def test_unbound(lens):
    with pytest.raises(PhospheneError, match="bind"):
        compare.inversion("photo.png", "mix")({"mix": ACTS})
