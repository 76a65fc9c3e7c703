"""Every word of objectives, by value against NumPy on fixed activations."""

import json

import numpy as np
import pytest
import torch

from networks import branching, photo, strided
from phosphene import penalty, words
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

CLASSES = ("tench, Tinca tinca", "tabby, tabby cat", "tiger cat", "goose", *(f"thing {i}" for i in range(6)))
ACT = np.random.RandomState(0).randn(2, 4, 5, 6).astype(np.float32)
VECTOR = np.random.RandomState(1).randn(2, 4).astype(np.float32)


def scores(objective, **acts):
    return objective({name: torch.tensor(act) for name, act in acts.items()}).detach().numpy()


def gradient(objective, act):
    """d score / d activations, as an array."""
    leaf = torch.tensor(act, requires_grad=True)
    objective({"a": leaf}).sum().backward()
    return leaf.grad.numpy()


def test_layer_is_half_the_sum_of_squares_per_position():
    assert np.allclose(scores(words.layer("a"), a=ACT), 0.5 * (ACT**2).sum((1, 2, 3)) / 30, rtol=1e-5)
    assert np.allclose(scores(words.layer("a"), a=VECTOR), 0.5 * (VECTOR**2).sum(1), rtol=1e-5)


def test_layers_gradient_is_the_activations():
    assert np.allclose(gradient(words.layer("a"), ACT), ACT / 30, rtol=1e-5)


def test_channel_is_the_mean():
    assert np.allclose(scores(words.channel("a", 2), a=ACT), ACT[:, 2].mean((1, 2)), rtol=1e-5)


def test_unit_is_one_number_of_a_vector():
    assert np.allclose(scores(words.unit("a", 3), a=VECTOR), VECTOR[:, 3])


def test_neuron_is_one_position():
    assert np.allclose(scores(words.neuron("a", 1, 4, 5), a=ACT), ACT[:, 1, 4, 5])


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5])
def test_direction_is_lucids(power):
    v = np.float32([1, -2, 0.5, 3])
    dot = np.einsum("nchw,c->nhw", ACT, v)
    cosine = dot / (np.linalg.norm(ACT, axis=1) * np.linalg.norm(v))
    expected = (dot * np.maximum(0.1, cosine) ** power).mean((1, 2))
    assert np.allclose(scores(words.direction("a", v.tolist(), power), a=ACT), expected, rtol=1e-4)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5])
def test_direction_has_a_finite_gradient_where_nothing_responds(power):
    act = ACT.copy()
    act[:, :, 2] = 0
    assert np.isfinite(gradient(words.direction("a", [1.0, -2.0, 0.5, 3.0], power), act)).all()


def test_direction_is_a_copy_of_its_vector():
    v = torch.tensor([1.0, -2.0, 0.5, 3.0], requires_grad=True)
    objective = words.direction("a", v)
    before = scores(objective, a=ACT)
    with torch.no_grad():
        v.zero_()
    assert np.array_equal(scores(objective, a=ACT), before)
    leaf = torch.tensor(ACT, requires_grad=True)
    objective({"a": leaf}).sum().backward()
    assert v.grad is None


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [1.0, float("nan")], [float("inf"), 1.0], [1e39, 1.0]])
def test_direction_wants_finite_numbers(vector):
    with pytest.raises(PhospheneError, match="finite"):
        words.direction("a", vector)


def test_direction_binds_with_as_many_numbers_as_channels():
    lens = Lens(strided())
    assert words.direction("3", [1.0] * 8).bind(lens).layers == {"3"}
    with pytest.raises(PhospheneError, match="2 numbers, expected 8") as caught:
        words.direction("3", [1.0, 2.0]).bind(lens)
    assert caught.value.code == "E_PARAM"


@pytest.mark.parametrize("shape", [(2, 3, 7, 9), (1, 3, 1, 5), (1, 3, 5, 1), (1, 3, 1, 1)])
def test_tv(shape):
    image = np.random.RandomState(0).rand(*shape).astype(np.float32)
    total = np.abs(np.diff(image, axis=2)).sum((1, 2, 3)) + np.abs(np.diff(image, axis=3)).sum((1, 2, 3))
    got = scores(penalty.tv(), input=image)
    assert np.allclose(got, total / (shape[2] * shape[3]), rtol=1e-5)


class TestLogit:
    lens = Lens(branching(), head="head", classes=CLASSES)

    def test_by_number_and_by_name_are_the_same_unit(self):
        vector = np.random.RandomState(0).randn(2, 10).astype(np.float32)
        for name in (1, "1", "tabby", "Tabby_Cat"):
            bound = words.logit(name).bind(self.lens)
            assert bound.layers == {"head"}
            assert np.array_equal(scores(bound, head=vector), vector[:, 1])

    def test_is_the_networks_logit(self):
        image = photo(2, 3, 41, 50)
        bound = words.logit("goose").bind(self.lens)
        with torch.no_grad(), self.lens.watching(bound.layers) as look:
            assert torch.allclose(bound(look(image)), branching()(image)[:, 3], atol=1e-5)

    @pytest.mark.parametrize("name", ["10", "gose", "cat"])
    def test_unknown_or_ambiguous_is_an_error_with_candidates(self, name):
        with pytest.raises(PhospheneError) as caught:
            words.logit(name).bind(self.lens)
        assert caught.value.code == "E_PARAM"

    def test_a_network_without_names_still_says_the_range(self):
        with pytest.raises(PhospheneError, match="expected 0 to 9") as caught:
            words.logit(10).bind(Lens(branching(), head="head"))
        assert caught.value.code == "E_PARAM"

    def test_a_network_without_a_head_is_refused(self):
        with pytest.raises(PhospheneError, match="no class logits"):
            words.logit(0).bind(Lens(strided()))

    def test_unbound_says_so(self):
        with pytest.raises(PhospheneError, match="bind"):
            words.logit(3)({"": torch.zeros(1, 10)})


class TestGuide:
    guide = photo(1, 3, 35, 29, seed=5)

    def features(self):
        with torch.no_grad():
            return strided()[:4](self.guide)[0].numpy()

    def bound(self):
        return words.guide(self.guide, "3").bind(Lens(strided()))

    def test_is_the_notebooks_arg_max(self):
        y = self.features().reshape(8, -1)
        act = np.random.RandomState(0).randn(2, 8, 5, 6).astype(np.float32)
        leaf = torch.tensor(act, requires_grad=True)
        got = self.bound()({"3": leaf})
        got.sum().backward()
        for i in range(2):
            x = act[i].reshape(8, -1)
            matches = x.T.dot(y)
            assert got[i].item() == pytest.approx(matches.max(1).sum() / 30, rel=1e-5)
            diff = y[:, matches.argmax(1)].reshape(8, 5, 6)
            assert np.allclose(leaf.grad[i].numpy(), diff / 30, atol=1e-6)

    def test_chunks_change_nothing(self, monkeypatch):
        act = np.random.RandomState(0).randn(2, 8, 5, 6).astype(np.float32)
        once = scores(self.bound(), **{"3": act})
        monkeypatch.setattr(words, "GUIDE_CHUNK", 1)
        assert np.allclose(scores(self.bound(), **{"3": act}), once, rtol=1e-6)

    def test_reads_a_file(self, tmp_path):
        image = pytest.importorskip("PIL.Image")
        levels = (self.guide[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        image.fromarray(levels).save(tmp_path / "guide.png")
        from_file = words.guide(tmp_path / "guide.png", "3")
        assert json.loads(from_file.text[len("guide(") : -len(", 3)")]) == str(tmp_path / "guide.png")
        rounded = torch.tensor(levels / np.float32(255)).permute(2, 0, 1)[None]
        from_tensor = words.guide(rounded, "3")
        act = np.random.RandomState(0).randn(1, 8, 5, 6).astype(np.float32)
        lens = Lens(strided())
        assert np.allclose(
            scores(from_file.bind(lens), **{"3": act}),
            scores(from_tensor.bind(lens), **{"3": act}),
            rtol=1e-4,
        )

    def test_one_picture_without_a_batch_is_as_good(self):
        act = np.random.RandomState(0).randn(1, 8, 5, 6).astype(np.float32)
        for order in ("rgb", "bgr"):
            lens = Lens(strided(), channel_order=order)
            three, four = (words.guide(g, "3").bind(lens) for g in (self.guide[0], self.guide))
            assert np.array_equal(scores(three, **{"3": act}), scores(four, **{"3": act}))

    def test_wrong_layer_or_unbound_is_an_error(self):
        with pytest.raises(PhospheneError) as caught:
            words.guide(self.guide, "9").bind(Lens(strided()))
        assert caught.value.code == "E_LAYER"
        with pytest.raises(PhospheneError, match="bind"):
            words.guide(self.guide, "3")({"3": torch.zeros(1, 8, 2, 2)})

    def test_missing_file_is_an_error_of_ours(self, tmp_path):
        pytest.importorskip("phosphene.picture")
        with pytest.raises(PhospheneError):
            words.guide(tmp_path / "absent.png", "3").bind(Lens(strided()))


@pytest.mark.parametrize("name", ["a", "0", "blocks.4.1", "inception_3b/5x5_reduce", "a#1", "x-y"])
def test_plain_names_stand_bare(name):
    assert words.quoted(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a b", 'a"b', "a\\b", "ä", "a:b", "a+b", "a\nb", "class"])
def test_other_names_are_quoted(name):
    assert json.loads(words.quoted(name)) == name
