"""Prompts: the cosine of two embeddings, blended, resumed, and refused where there is no text tower."""

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from torch import nn
from torch.nn import functional as F

from networks import photo, seeded, strided
from phosphene.canvas import Held
from phosphene.config import Dream
from phosphene.crops import boxes, cut
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.expression import parse
from phosphene.lens import Lens
from phosphene.memory import plan
from phosphene.prompt import text
from phosphene.tile import Plan, gradients

QUICK = Dream(octaves=2, steps=3, seed=4, jitter=8)


class Eye(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 8, stride=8)
        self.out = nn.Linear(12, 6)

    def forward(self, x):
        return self.out(F.gelu(self.conv(x)).mean((2, 3)))


class Words:
    """Counts what it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, prompts):
        self.asked += prompts
        made = [np.random.RandomState(list(prompt.encode())).randn(6) for prompt in prompts]
        return F.normalize(torch.tensor(np.array(made)).float(), dim=-1)


@pytest.fixture
def lens(one_thread):
    return Lens(seeded(Eye(), 1), size=32, text=Words(), embedding="out", mean=(0.5,), std=(0.25,))


def wanted_score(lens, image, prompt, numbers, count=8):
    """By NumPy, from the crops and the network itself."""
    x = cut(image, boxes(*image.shape[-2:], 32, count, RandomState(numbers)), 32)
    with torch.no_grad():
        a = lens.module((x - 0.5) / 0.25).double().numpy()
    b = Words()([prompt])[0].double().numpy()
    cosine = a @ b / np.linalg.norm(a, axis=1) / np.linalg.norm(b)
    return cosine.reshape(count, -1).mean(0)


class TestScore:
    def test_is_the_mean_cosine_over_the_steps_crops(self, lens):
        image = photo(2, 3, 60, 80)
        objective = text("a cat").bind(lens)
        for numbers in ((0, 0, 0), (3, 1, 2)):
            with torch.no_grad():
                found = objective.drawn(*numbers)({"input": image})
            np.testing.assert_allclose(found, wanted_score(lens, image, "a cat", numbers), atol=1e-5)

    def test_the_number_of_crops_is_an_argument(self, lens):
        image = photo(1, 3, 60, 80)
        found = parse('text("a cat", crops=3)').bind(lens).drawn(1, 2, 3)({"input": image})
        np.testing.assert_allclose(found, wanted_score(lens, image, "a cat", (1, 2, 3), 3), atol=1e-5)

    def test_prompts_add_up_with_their_weights(self, lens):
        image = photo(1, 3, 60, 80)
        found = parse('text:"a" + 0.5*text:b - text:"c d"').bind(lens).drawn(1, 1, 1)({"input": image})
        a, b, c = (wanted_score(lens, image, said, (1, 1, 1)) for said in ("a", "b", "c d"))
        np.testing.assert_allclose(found, a + 0.5 * b - c, atol=1e-5)

    def test_the_gradient_is_that_of_finite_differences(self, lens):
        image = photo(1, 3, 40, 40).double()
        lens.module.double()
        objective = text("a cat", crops=4).bind(lens).drawn(1)

        def score(x):
            crops = cut(x, boxes(40, 40, 32, 4, RandomState([1])), 32)
            return F.cosine_similarity(
                lens.module((crops - 0.5) / 0.25), Words()(["a cat"]).double(), dim=-1
            ).mean()

        x = image.clone().requires_grad_()
        (wanted,) = torch.autograd.grad(score(x), x)
        lens.module.float()
        (found,), _ = gradients([objective], None_look, Held(image.float()), Plan(), (0, 0), None)
        np.testing.assert_allclose(found.image.numpy(), wanted.numpy(), atol=1e-5)
        step = torch.randn(image.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        lens.module.double()
        with torch.no_grad():
            slope = (score(image + 1e-6 * step) - score(image - 1e-6 * step)) / 2e-6
        np.testing.assert_allclose(slope, (wanted * step).sum(), rtol=1e-4)

    def test_the_crops_of_a_step_are_embedded_once_for_all_prompts(self, lens):
        calls = []
        lens.module.register_forward_pre_hook(lambda *_: calls.append(1))
        objective = parse("text:a + text:b - text:c").bind(lens)
        lens.channels("out")
        calls.clear()
        objective.drawn(1)({"input": photo(1, 3, 40, 40)})
        assert len(calls) == 1


def None_look(image):  # noqa: N802
    return {"input": image}


class TestRun:
    def test_it_climbs(self, lens):
        image = photo(1, 3, 80, 100)
        frames = list(dream(image, 'text:"a cat"', lens, QUICK.but(steps=8, step_size=4)))
        before, after = (
            np.mean([wanted_score(lens, x, "a cat", (n,)) for n in range(20)])
            for x in (image, frames[-1].full())
        )
        assert after > before + 0.05

    def test_the_prompt_is_embedded_once(self, lens):
        list(dream(photo(1, 3, 60, 80), "text:cat - text:dog", lens, QUICK))
        assert lens.text.asked == ["cat", "dog"]

    def test_the_same_again_bit_for_bit_and_resumed(self, lens):
        image = photo(1, 3, 60, 80)
        objective = 'text:"a cat" + 0.3*conv - 0.1*tv()'
        frames = list(dream(image, objective, lens, QUICK))
        states = [frame.state() for frame in dream(image, objective, lens, QUICK)]
        assert torch.equal(frames[-1].full(), list(dream(image, objective, lens, QUICK))[-1].full())
        for at in (0, 2, 3):
            again = list(dream(image, objective, lens, QUICK, resume=states[at]))
            assert len(again) == len(frames) - at - 1
            assert torch.equal(again[-1].full(), frames[-1].full())

    def test_another_seed_looks_elsewhere(self, lens):
        image = photo(1, 3, 60, 80)
        one, other = (
            list(dream(image, "text:cat", lens, QUICK.but(seed=seed, jitter=0)))[-1] for seed in (1, 2)
        )
        assert not torch.equal(one.full(), other.full())

    def test_a_blend_with_a_layer_is_balanced_as_two_layers_are(self, lens):
        objective = parse("text:a + 0.5*text:b + conv + tv()").bind(lens)
        assert [
            sorted({term.group or term.layer for term in part.terms}) for _, part in objective.by_layer()
        ] == [
            ["text:"],
            ["conv"],
            ["input"],
        ]

    def test_it_is_never_tiled_and_takes_the_same_of_a_large_picture(self, lens):
        objective = text("cat").bind(lens)
        small, large = (
            plan(objective, lens, Dream(seed=0, max_memory="100GB"), (1, side, side)).peak
            for side in (256, 1024)
        )
        assert not objective.spread
        assert large - small < 12 * 1024 * 1024 * 3 * 4


class TestWords:
    @pytest.mark.parametrize(
        ("written", "canonical"),
        [
            ('text:"a cathedral made of coral"', 'text:"a cathedral made of coral"'),
            ("text:coral", "text:coral"),
            ("text:a coral reef", 'text:"a coral reef"'),
            ('text("a \\"b\\"")', 'text:"a \\"b\\""'),
            ('text("x", crops=4)', 'text("x", crops=4)'),
            ('2*text:"a, b" - text:7', '2*text:"a, b" - text:7'),
            ('text:"Möwe 海"', 'text:"Möwe 海"'),
        ],
    )
    def test_round_trip(self, written, canonical):
        assert parse(written).text == canonical
        assert parse(canonical).text == canonical

    @pytest.mark.parametrize(
        "wrong",
        ["text:", 'text:""', "text()", 'text("a", crops=0)', 'text("a", crops=x)', 'text("a", "b", "c")'],
    )
    def test_wrong(self, wrong):
        with pytest.raises(PhospheneError) as error:
            parse(wrong)
        assert error.value.code == "E_PARAM"

    def test_a_layer_called_text(self):
        (term,) = parse('"text" + "text":3').terms[:1]
        assert term.layer == "text"

    def test_a_network_without_a_text_tower(self):
        with pytest.raises(
            PhospheneError, match=r"no text tower; give a network like hf:openai/clip"
        ) as error:
            text("a cat").bind(Lens(strided()))
        assert error.value.code == "E_PARAM"

    def test_unbound(self):
        with pytest.raises(PhospheneError, match="isn't bound"):
            text("a cat").terms[0].measure(photo(1, 3, 8, 8))
