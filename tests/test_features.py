"""Many units in one pass: grouped by layer, in bounded memory, each as if it were alone."""

import pytest
import torch

from networks import Branching
from phosphene import words
from phosphene.errors import PhospheneError
from phosphene.features import (
    batches,
    between,
    check_room,
    frames,
    plain_score,
    read,
    settings,
    shape,
    units,
    variants,
    visualize,
)
from phosphene.lens import Lens
from phosphene.objective import batch

CONFIG = settings(steps=4, seed=1)


@pytest.fixture(scope="module")
def lens():
    torch.manual_seed(0)
    return Lens(Branching())


def bound(lens, *texts):
    return [read(text).bind(lens) for text in texts]


def test_those_of_a_layer_are_together(lens):
    mixed = bound(lens, "mix:0", "tail:0", "mix:1", "mix:2", "tail:1", "mix:3")
    assert batches(mixed, lens, CONFIG, (64, 64), 3) == [[0, 2, 3], [5], [1, 4]]
    assert batches(mixed, lens, CONFIG, (64, 64), 8) == [[0, 2, 3, 5], [1, 4]]


def test_a_batch_is_as_large_as_memory_allows(lens, monkeypatch):
    from phosphene import budget

    units_ = bound(lens, *(f"mix:{n}" for n in range(9)))
    assert len(batches(units_, lens, CONFIG, (64, 64))[0]) == 8
    monkeypatch.setattr(budget, "limit", lambda *_: budget.held(lens.device) + 1)
    assert [len(one) for one in batches(units_, lens, CONFIG, (64, 64))] == [1] * 9


def test_each_is_seen_plainly(lens):
    objective = words.channel("mix", 4)
    (found,) = visualize(objective, lens, CONFIG, size=(48, 56))
    assert found.image.shape == (3, 48, 56) and found.objective == "mix:4" and found.number == 0
    with torch.no_grad(), lens.watching({"mix"}) as look:
        expected = look(found.image[None])["mix"][0, 4].mean()
    assert found.score == pytest.approx(float(expected), rel=1e-5)


def test_a_unit_is_the_same_in_every_batch(lens):
    texts = ["mix:1", "tail:3", "mix:5", "head:3"]
    alone = {n: one for n, text in enumerate(texts) for one in visualize(text, lens, CONFIG, size=40)}
    for together in (1, 2, 8):
        for one in visualize(texts, lens, CONFIG, size=40, batch=together):
            assert one.objective == alone[one.number].objective
            assert torch.allclose(one.image, alone[one.number].image, atol=5e-3)


def test_more_steps_see_more(lens):
    scores = [next(visualize("mix:2", lens, settings(steps=n, seed=0), size=48)).score for n in (2, 24)]
    assert scores[1] > scores[0]


def test_a_photo_to_start_from(lens):
    photo = torch.rand(3, 30, 40, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    config = settings(steps=1, seed=0, rate=1e-4)
    (found,) = visualize("mix:2", lens, config, size=(60, 80), photo=photo)
    grown = torch.nn.functional.interpolate(photo[None], size=(60, 80), mode="area")[0]
    assert (found.image - grown).abs().max() < 0.02


def test_a_photo_keeps_its_shape():
    photo = torch.zeros(3, 30, 40)
    assert shape(80, photo) == (60, 80) and shape((50, 50), photo) == (50, 50)
    assert shape(80) == (80, 80) and shape(16, torch.zeros(3, 1, 100)) == (1, 16)


def test_what_a_text_stands_for(lens):
    assert units("mix:*", lens) == [f"mix:{n}" for n in range(9)]
    assert units("mix:2-4", lens) == ["mix:2", "mix:3", "mix:4"]
    assert units("mix:2", lens) == ["mix:2"]
    assert units("class:3 - class:4", lens) == ["class:3 - class:4"]
    assert units("class:2-4", Lens(Branching(), head="head")) == ["class:2", "class:3", "class:4"]
    with pytest.raises(PhospheneError, match="expected 0 to 8"):
        units("mix:3-9", lens)


def test_a_batch_is_no_single_objective(lens):
    with pytest.raises(PhospheneError, match="batch of images"):
        read("mix:1 | mix:2")
    assert plain_score(read("mix:1").bind(lens), torch.zeros(1, 3, 32, 32), lens) is not None


def test_a_param_has_defaults_of_its_own():
    assert settings().smooth == 0
    assert settings(param="pixel").smooth == 1.5
    assert settings(param="pixel", smooth=0.5).smooth == 0.5


def test_what_does_not_fit_says_how_many_would(lens, monkeypatch):
    from phosphene import budget, memory

    each = memory.SLACK * memory.taken(bound(lens, "mix:1"), lens, 0, 64, 64) * 64 * 64
    together = variants(bound(lens, "mix:1")[0], 6)
    monkeypatch.setattr(budget, "limit", lambda *_: budget.held(lens.device) + int(3.9 * each))
    monkeypatch.setattr(budget, "held", lambda *_: 0)
    check_room(together[:3], lens, CONFIG, (64, 64))
    with pytest.raises(PhospheneError, match=r"6 pictures of 64×64 px .* in which 3 fit"):
        check_room(together, lens, CONFIG, (64, 64))


def test_variants_of_a_photo_differ(lens):
    photo = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    together = variants(bound(lens, "mix:1")[0], 3)
    (one, two) = (list(frames(together, lens, CONFIG, (40, 40), photo))[-1].full() for _ in range(2))
    assert torch.equal(one, two)
    away = (one[1:] - one[:-1]).abs().mean((1, 2, 3))
    assert away.min() > 0.01
    assert len(set(map(float, (one - photo).abs().mean((1, 2, 3))))) == 3


def test_from_one_layer_to_another(lens):
    first, second = bound(lens, "tail:1 - 0.1*tv()", "mix:1")
    steps = between(first, second, 3)
    assert steps[1].text == (
        "0.5*tail:1 - 0.05*tv() + 0.5*mix:1 + 0.125*alignment(mix) + 0.125*alignment(tail)"
    )
    assert "alignment(input)" not in variants(second - 0.1 * read("tv()"), 2)[0].text
    weights = {part.terms[0].text: found for found, part in batch(steps).by_layer()}
    assert weights["tail:1"] == (1.0, 0.5, 0.0) and weights["mix:1"] == (0.0, 0.5, 1.0)
    assert weights["alignment(mix)"] == (0.125,) * 3


@pytest.mark.parametrize(
    "changes",
    [{"average": 0.7}, {"transforms": "standard"}, {"transforms": "each standard"}, {"param": "maco"}],
)
def test_the_same_seed_is_the_same_bits(lens, changes):
    config = settings(**{"steps": 4, "seed": 1, **changes})
    first, second = (
        [one.image for one in visualize(["mix:1", "mix:2"], lens, config, size=48)] for _ in "ab"
    )
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
