"""Class and register tokens, attention heads and blocks, by NumPy from the network's own tensors."""

import numpy as np
import pytest
import timm
import torch

from networks import photo, strided
from phosphene.attention import cls, head, token
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.expression import parse
from phosphene.lens import Lens
from phosphene.memory import plan
from phosphene.models.anysize import any_size
from towers import drawn

SMALL = {"embed_dim": 48, "depth": 3, "num_heads": 4, "img_size": 56, "num_classes": 5}


@pytest.fixture(scope="module")
def lens():
    torch.manual_seed(0)
    network = drawn(timm.create_model("vit_small_patch14_reg4_dinov2", **SMALL))
    module, patch, prefix = any_size(network)
    return Lens(module, size=56, patch=patch, prefix=prefix, head="head")


@pytest.fixture(autouse=True)
def _quick(one_thread):
    pass


def tokens(lens, layer, image):
    """What the layer itself gives: `[N, T, C]`."""
    seen = []
    handle = lens.module.get_submodule(layer).register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.no_grad():
        lens.module(lens.prepare(image))
    handle.remove()
    return seen[0].double().numpy()


def score(lens, objective, image):
    objective = objective.bind(lens)
    with torch.no_grad(), lens.watching(objective.layers) as look:
        return objective(look(image)).numpy()


@pytest.mark.parametrize("size", [(56, 56), (45, 100)])
class TestScores:
    def test_tokens(self, lens, size):
        image = photo(2, 3, *size)
        a = tokens(lens, "blocks.1", image)
        for number in range(5):
            wanted = (a[:, number] ** 2).sum(1) / 2
            np.testing.assert_allclose(score(lens, token("blocks.1", number), image), wanted, rtol=1e-4)
        np.testing.assert_allclose(score(lens, cls("blocks.1"), image), (a[:, 0] ** 2).sum(1) / 2, rtol=1e-4)
        np.testing.assert_allclose(score(lens, cls("blocks.1", 7), image), a[:, 0, 7], rtol=1e-4, atol=1e-5)
        found = score(lens, token("blocks.1", 3, 7), image)
        np.testing.assert_allclose(found, a[:, 3, 7], rtol=1e-4, atol=1e-5)

    def test_a_block_is_a_grid(self, lens, size):
        image = photo(1, 3, *size)
        rows, columns = (-(-side // 14) for side in size)
        a = tokens(lens, "blocks.2", image)[:, 5:].reshape(1, rows, columns, 48)
        np.testing.assert_allclose(
            score(lens, parse("blocks.2"), image), (a**2).sum(3).mean((1, 2)) / 2, rtol=1e-4
        )
        found = score(lens, parse("blocks.2:3@1,2"), image)
        np.testing.assert_allclose(found, a[:, 1, 2, 3], rtol=1e-4, atol=1e-5)

    def test_heads(self, lens, size):
        image = photo(1, 3, *size)
        a = tokens(lens, "blocks.1.attn.proj.heads", image)[:, 5:]
        for number in range(4):
            wanted = (a[..., 12 * number : 12 * number + 12] ** 2).sum(2).mean(1) / 2
            np.testing.assert_allclose(score(lens, head("blocks.1.attn", number), image), wanted, rtol=1e-4)


def test_heads_of_a_block_are_those_of_its_attention(lens):
    image = photo(1, 3, 56, 56)
    assert score(lens, head("blocks.1", 2), image) == score(lens, head("blocks.1.attn", 2), image)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("token(blocks.1, 5)", "token is 5, expected 0 to 4"),
        ("cls(blocks.1, 48)", "channel is 48, expected 0 to 47"),
        ("head(blocks.1.attn, 4)", "head is 4, expected 0 to 3"),
        ("head(patch_embed, 0)", "0 layers with attention heads, expected one: blocks.0.attn"),
        ("head(blocks, 0)", "3 layers with attention heads"),
        ("cls(blocks.9)", "no layer"),
    ],
)
def test_what_is_not_there(lens, objective, words):
    with pytest.raises(PhospheneError, match=words):
        parse(objective).bind(lens)


def test_networks_without_tokens():
    for objective in ("cls(0)", "head(0, 1)"):
        with pytest.raises(PhospheneError) as error:
            parse(objective).bind(Lens(strided()))
        assert error.value.code == "E_PARAM"


@pytest.mark.parametrize(
    "text",
    ["cls(blocks.1)", "cls(blocks.1, 3)", "token(blocks.1, 2, 5)", "head(blocks.1.attn, 2)", 'cls("a b")'],
)
def test_round_trip(text):
    assert parse(text).text == text


@pytest.mark.parametrize(
    "wrong", ["cls()", "cls(a, 1, 2)", "token(a)", "token(a, b)", "head(a)", "cls(a, x)"]
)
def test_wrong_arguments(wrong):
    with pytest.raises(PhospheneError) as error:
        parse(wrong)
    assert error.value.code == "E_PARAM"


class TestAttentionSeesEverything:
    def test_its_scores_are_never_tiled(self, lens):
        assert not parse("blocks.1").bind(lens).spread
        assert not parse("head(blocks.1.attn, 1) + blocks.0:3").bind(lens).spread
        assert parse("tv()").bind(lens).spread

    def test_a_tile_that_is_asked_for_changes_nothing(self, lens):
        image = photo(1, 3, 120, 150)
        one, other = (
            list(dream(image, "blocks.1", lens, Dream(octaves=1, steps=2, seed=1, tile=tile)))[-1].full()
            for tile in (0, 64)
        )
        assert torch.equal(one, other)

    def test_that_is_told_once(self, lens):
        frames = dream(photo(1, 3, 120, 150), "blocks.1", lens, Dream(octaves=2, steps=2, seed=1, tile=64))
        notes = [frame.notes for frame in frames]
        assert "as a whole" in notes[0][0] and not any(notes[1:])

    def test_what_does_not_fit_says_why(self, lens):
        with pytest.raises(PhospheneError, match="doesn't add up over tiles") as error:
            plan(parse("blocks.1").bind(lens), lens, Dream(seed=0, max_memory="1MB"), (1, 700, 700))
        assert error.value.code == "E_MEMORY"

    def test_the_gradient_of_any_size_is_that_of_the_padded_picture(self, lens):
        image = photo(1, 3, 45, 100)
        frame = next(dream(image, "blocks.1", lens, Dream(octaves=1, steps=1, seed=1, jitter=0, smooth=0)))
        x = image.clone().requires_grad_()
        padded = torch.nn.functional.pad(x, (0, 12, 0, 11), mode="replicate")
        act = []
        handle = lens.module.blocks[1].register_forward_hook(lambda _m, _i, out: act.append(out[:, 5:]))
        lens.module(lens.prepare(padded))
        handle.remove()
        (g,) = torch.autograd.grad(act[0].square().sum() / 2 / 32, x)
        wanted = (image + 2 / 255 * g / g.abs().mean()).clamp(0, 1)
        torch.testing.assert_close(frame.full(), wanted, atol=1e-4, rtol=0)
