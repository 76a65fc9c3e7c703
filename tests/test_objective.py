"""Objectives compose by value."""

import dataclasses

import numpy as np
import pytest
import torch

from networks import strided, unpadded
from phosphene import penalty, words
from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.objective import MAX_TERMS, Grid, Objective, batch

FIVE_AND_SEVEN = {"a": torch.full((1, 1, 2, 3), 5.0), "b": torch.full((1, 1, 4, 4), 7.0)}


def a():
    return words.channel("a", 0)


def b():
    return words.channel("b", 0)


@pytest.mark.parametrize(
    ("objective", "value"),
    [
        (2 * a() + 3 * b(), 31),
        (a() * 2 + b() * 3, 31),
        (3 * b() - 2 * a(), 11),
        (-a() + b(), 2),
        (2 * (a() - b()), -4),
        (a() - (a() - b()), 7),
        ((a() + b()) / 2, 6),
        (a() + a() + a(), 15),
        (a() * 0.5 * 4, 10),
        (np.float64(0.5) * a(), 2.5),
        (a() * np.float32(0.5), 2.5),
    ],
)
def test_sums_by_value(objective, value):
    assert isinstance(objective, Objective)
    assert objective(FIVE_AND_SEVEN).tolist() == pytest.approx([value])


def test_operators_change_nothing():
    one, two = 2 * a(), 3 * b()
    before = one, one.text, two.text, one.terms, one(FIVE_AND_SEVEN).item()
    assert [one + two, one - two, one * 5, 5 * one, -one, one / 3, one.at(0.5, 0.5), one.by_layer()]
    assert before == (one, "2*a:0", "3*b:0", one.terms, 10)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.terms = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.terms[0].weight = 1.0


@pytest.mark.parametrize("factor", [0, 0.0, float("nan"), float("inf"), -float("inf")])
def test_weights_are_finite_and_not_zero(factor):
    with pytest.raises(PhospheneError) as caught:
        a() * factor
    assert caught.value.code == "E_PARAM"


@pytest.mark.parametrize("factor", [1e200, 1e-200])
def test_a_product_of_weights_is_finite_and_not_zero(factor):
    with pytest.raises(PhospheneError) as caught:
        a() * factor * factor
    assert caught.value.code == "E_PARAM"


@pytest.mark.parametrize("other", ["a", None, [1], 1 + 2j])
def test_nonsense_operands_are_type_errors(other):
    for operate in (lambda: a() * other, lambda: a() + other, lambda: a() - other):
        with pytest.raises(TypeError):
            operate()


def test_number_of_terms_is_bounded():
    many = Objective(a().terms * MAX_TERMS)
    assert many(FIVE_AND_SEVEN).item() == 5 * MAX_TERMS
    with pytest.raises(PhospheneError, match="terms"):
        many + a()
    with pytest.raises(PhospheneError, match="terms"):
        Objective(())


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        (a() - 2 * b(), "a:0 - 2*b:0"),
        (-2.5 * a() + b(), "-2.5*a:0 + b:0"),
        (-a() - b(), "-a:0 - b:0"),
        (1e-7 * a(), "1e-07*a:0"),
        (np.float64(2.5) * a(), "2.5*a:0"),
        (a() * np.float64(2.5), "2.5*a:0"),
        (1e22 * a(), "1e22*a:0"),
        (123456789 * a(), "123456789*a:0"),
        ((1 / 3) * a(), "0.3333333333333333*a:0"),
    ],
)
def test_text(objective, text):
    assert objective.text == str(objective) == text


def test_each_image_of_a_batch_has_a_score_of_its_own():
    acts = {"a": torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))}
    scores = words.layer("a")(acts)
    assert scores.shape == (3,)
    assert np.allclose(scores.numpy(), [0.5 * (one**2).sum() / 20 for one in acts["a"].numpy()], rtol=1e-5)


@pytest.mark.parametrize(
    "objective",
    [
        words.layer("a"),
        words.channel("a", 1),
        words.neuron("a", 1, 0, 1),
        words.direction("a", [1.0, -2.0, 3.0], power=2.0),
        2 * words.channel("a", 1) - words.layer("a"),
    ],
)
def test_a_score_means_the_same_at_every_size(objective):
    pixel = torch.tensor([0.5, 2.0, 3.0]).view(1, 3, 1, 1)
    scores = [objective({"a": pixel.expand(1, 3, *size)}).item() for size in [(3, 4), (17, 29)]]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_a_score_of_parts_adds_up_over_the_wholes_count():
    act = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    image = torch.zeros(1, 3, 48, 64)
    objective = words.layer("a") + 2 * words.channel("a", 1)
    whole = {"a": Grid(6, 8, 8), "input": Grid(48, 64, 1)}
    halves = [
        objective.score({"a": act[..., cut], "input": image[..., pixels]}, whole).item()
        for cut, pixels in [(slice(4), slice(32)), (slice(4, 8), slice(32, 64))]
    ]
    windows = [
        objective.score({"a": act, "input": image}, whole, window).item()
        for window in [(0, 16, 0, 64), (16, 48, 0, 24), (16, 48, 24, 64)]
    ]
    assert sum(windows) == pytest.approx(sum(halves), rel=1e-5)
    assert sum(halves) == pytest.approx(objective({"a": act}).item(), rel=1e-5)


def test_by_layer_groups_terms_and_keeps_the_sum():
    first, second, third = 2 * a(), -4 * b(), 3 * words.layer("a")
    groups = (first + second + third).by_layer()
    assert [(weight, part.text) for weight, part in groups] == [(3, "2*a:0 + 3*a"), (4, "-4*b:0")]
    total = sum(part(FIVE_AND_SEVEN).item() for _, part in groups)
    assert total == pytest.approx((first + second + third)(FIVE_AND_SEVEN).item())


def test_by_layer_has_a_weight_for_each_image_of_a_batch():
    ways = [0.75 * a() + 0.25 * b(), 0.25 * a() + 0.75 * b(), 2 * b()]
    assert [weight for weight, _ in batch(ways).by_layer()] == [(0.75, 0.25, 0.0), (0.25, 0.75, 2.0)]


def test_layers_and_spread():
    both = a() + words.neuron("b", 0, 1, 1)
    assert both.layers == {"a", "b"}
    assert a().spread and not both.spread
    assert words.logit(3).layers == frozenset() and not words.logit(3).spread
    assert penalty.tv().layers == {"input"} and penalty.tv().spread


class TestNeuron:
    ACTS = {"a": torch.arange(2 * 3 * 4.0).view(1, 2, 3, 4)}  # noqa: RUF012

    def test_is_row_first(self):
        assert words.neuron("a", 1, 2, 3)(self.ACTS).item() == 23
        assert words.neuron("a", 0, 1, 3)(self.ACTS).item() == 7

    @pytest.mark.parametrize("place", [(3, 0), (0, 4), (-1, 0), (0, -1)])
    def test_out_of_the_grid_says_the_grid(self, place):
        with pytest.raises(PhospheneError, match="3 × 4") as caught:
            words.neuron("a", 0, *place)(self.ACTS)
        assert caught.value.code == "E_PARAM"

    def test_of_a_vector_is_refused(self):
        with pytest.raises(PhospheneError, match="single value"):
            words.neuron("a", 0, 0, 0)({"a": torch.zeros(1, 5)})

    def test_at_another_size_stays_where_it_was_in_the_picture(self):
        at = (words.neuron("a", 0, 9, 16) + a()).at(0.5, 0.25)
        assert [term.place for term in at.terms] == [(4, 4), None]
        assert words.neuron("a", 0, 9, 16).at(1.0, 1.0).terms[0].place == (9, 16)

    @pytest.mark.parametrize("network", [strided, unpadded])
    def test_the_last_of_the_grid_is_there_at_every_size(self, network):
        lens = Lens(network())
        layer = lens.layers[-1]
        with torch.no_grad(), lens.watching([layer]) as look:
            rows, columns = look(torch.rand(1, 3, 203, 301))[layer].shape[2:]
            last = words.neuron(layer, 0, rows - 1, columns - 1)
            for height, width in [(203, 301), (145, 215), (104, 154), (31, 45)]:
                acts = look(torch.rand(1, 3, height, width))
                assert last.at(height / 203, width / 301)(acts).shape == (1,)


class TestBind:
    def test_a_wrong_layer_lists_the_nearest(self):
        lens = Lens(torch.nn.ModuleDict({"conv_one": strided(), "conv_two": strided()}))
        with pytest.raises(PhospheneError, match=r"'conv_on'.*conv_one") as caught:
            words.layer("conv_on").bind(lens)
        assert caught.value.code == "E_LAYER"

    @pytest.mark.parametrize("number", [8, -1, 10**6])
    @pytest.mark.parametrize("word", [words.channel, lambda name, number: words.neuron(name, number, 0, 0)])
    def test_a_channel_out_of_range_says_the_range(self, word, number):
        with pytest.raises(PhospheneError, match="expected 0 to 7") as caught:
            word("3", number).bind(Lens(strided()))
        assert caught.value.code == "E_PARAM"

    def test_gives_an_equal_objective_and_changes_nothing(self):
        lens = Lens(strided())
        free = 2 * words.channel("3", 7) - words.layer("5") + 0.5 * penalty.tv()
        bound = free.bind(lens)
        assert bound.text == free.text and bound.layers == free.layers == {"3", "5", "input"}
        assert bound.bind(lens).text == free.text
        acts = {"3": torch.rand(1, 8, 4, 4), "5": torch.rand(1, 7, 2, 2), "input": torch.rand(1, 3, 16, 16)}
        assert bound(acts).item() == free(acts).item()
