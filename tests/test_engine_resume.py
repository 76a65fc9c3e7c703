"""A run that is resumed from any frame is the run that was never stopped, bit for bit."""

import io
import pickle

import pytest
import torch
from torch import nn

from networks import photo, strided
from phosphene import words
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = Dream(octaves=2, steps=3, step_size=3, jitter=8, seed=3, smooth=1.0, laplacian=2)
IMAGE = photo(2, 3, 61, 50)
LAYER = "3"


@pytest.fixture(scope="module")
def lens():
    return Lens(strided())


def saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


def pickled(state):
    return pickle.loads(pickle.dumps(state))


def run(frames):
    """(place, picture, score, full picture) of every frame, the states, and the error's code."""
    seen, states = [], []
    try:
        for frame in frames:
            place = torch.tensor([frame.octave, frame.step])
            seen.append((place, frame.image.clone(), frame.score, frame.full()))
            states.append(frame.state())
    except PhospheneError as error:
        return seen, states, error.code
    return seen, states, ""


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("through", [saved, pickled, lambda state: state])
@pytest.mark.parametrize("settings", [{}, {"clip": False, "tile": 32, "notebook_edges": True}])
def test_resumed_at_any_step_is_uninterrupted(lens, through, settings):
    config = CONFIG.but(**settings)
    mask = torch.linspace(0, 1, 50).expand(61, 50)
    whole, states, _ = run(dream(IMAGE, LAYER, lens, config, mask=mask))
    assert len(whole) == 6
    for count, state in enumerate(states, 1):
        rest, _, code = run(dream(IMAGE, LAYER, lens, config, mask=mask, resume=through(state)))
        assert same(rest, whole[count:] or whole[-1:]) and not code


def test_a_resumed_run_can_be_resumed(lens):
    whole, states, _ = run(dream(IMAGE, LAYER, lens, CONFIG))
    _, later, _ = run(dream(IMAGE, LAYER, lens, CONFIG, resume=states[0]))
    rest, _, _ = run(dream(IMAGE, LAYER, lens, CONFIG, resume=later[2]))
    assert same(rest, whole[4:])


def test_a_dream_that_began_with_a_detail(lens):
    detail = 0.1 * photo(2, 3, 30, 30, seed=4)
    whole, states, _ = run(dream(IMAGE, LAYER, lens, CONFIG, detail=detail))
    rest, _, _ = run(dream(IMAGE, LAYER, lens, CONFIG, detail=detail, resume=states[1]))
    assert same(rest, whole[2:])
    refusal = refused(lens, states[1], detail=detail + 1e-6)
    assert "detail's content" in refusal and refusal.count(", now ") == 1
    assert "detail's content" in refused(lens, states[1])


def test_a_dream_that_halves_its_step():
    class Strains(nn.Module):
        """Not finite where the picture has gone far from grey."""

        def forward(self, x):
            return x * float("nan") if (x - 0.5).abs().mean() > 0.03 else x

    lens = Lens(nn.Sequential(Strains(), nn.Conv2d(3, 4, 3, padding=1)).requires_grad_(False))
    image = 0.5 + 0.01 * (photo(1, 3, 30, 33) - 0.5)
    for steps in (3, 12):
        config = CONFIG.but(steps=steps, step_size=4, laplacian=0, jitter=2)
        whole, states, code = run(dream(image, "1", lens, config))
        assert max(state["halvings"] for state in states) > 0
        for count, state in enumerate(states, 1):
            rest, _, rest_code = run(dream(image, "1", lens, config, resume=saved(state)))
            assert same(rest, whole[count:] or whole[-1:] * (not code)) and rest_code == code


def test_a_state_is_a_copy(lens):
    frames = dream(IMAGE, LAYER, lens, CONFIG)
    state = next(frames).state()
    before = saved(state)
    run(frames)
    assert torch.equal(state["image"], before["image"]) and torch.equal(state["good"], before["good"])
    assert state["random"] == before["random"]


def test_the_seed_of_an_open_run_is_the_states(lens):
    config = CONFIG.but(seed=None)
    whole, states, _ = run(dream(IMAGE, LAYER, lens, config))
    rest, _, _ = run(dream(IMAGE, LAYER, lens, config, resume=states[3]))
    assert same(rest, whole[4:])


def test_an_open_number_of_octaves(lens):
    config = CONFIG.but(octaves=0)
    whole, states, _ = run(dream(IMAGE, LAYER, lens, config))
    assert same(run(dream(IMAGE, LAYER, lens, config, resume=states[0]))[0], whole[1:])


@pytest.fixture(scope="module")
def state(lens):
    return next(dream(IMAGE, LAYER, lens, CONFIG)).state()


def refused(lens, state, image=IMAGE, objective=LAYER, config=CONFIG, **more):
    with pytest.raises(PhospheneError) as caught:
        next(dream(image, objective, lens, config, resume=state, **more))
    assert caught.value.code == "E_PARAM"
    return str(caught.value)


OTHERS = {
    "mean": "0.5",
    "std": "0.5,0.5,0.25",
    "range": "0,255",
    "channel_order": "bgr",
    "octaves": 3,
    "octave_scale": 1.5,
    "steps": 4,
    "step_size": 1.0,
    "strength": 2.0,
    "jitter": 9,
    "smooth": 0.5,
    "laplacian": 0,
    "balance": False,
    "param": "fourier",
    "optimizer": "adam",
    "rate": 0.5,
    "average": 0.5,
    "transparency": 0.5,
    "transforms": "standard",
    "clip": False,
    "notebook_edges": True,
    "keep_color": True,
    "seed": 4,
    "tile": 32,
    "halo": 32,
    "dtype": "bfloat16",
    "model": "other",
    "weights": "other",
    "guide": "other",
    "mask": "other",
    "plain": True,
    "compile": True,
    "checkpointing": True,
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_settings_are_refused_by_name(lens, state, name):
    message = refused(lens, state, config=CONFIG.but(**{name: OTHERS[name]}))
    was = 64 if name == "tile" else getattr(CONFIG, name)  # the plan's: the picture as a whole
    assert f"{name} {was!r}, now {OTHERS[name]!r}" in message
    assert message.count(", now ") == 1


def test_every_difference_is_named(lens, state):
    message = refused(lens, state, config=CONFIG.but(steps=4, seed=4))
    assert "steps 3, now 4; seed 3, now 4" in message


def test_every_setting_is_compared_or_free():
    free = {"device", "threads", "max_memory", "objective", "max_size", "scale"}
    assert set(Dream.model_fields) == {*OTHERS, *free}


def test_how_it_is_computed_may_change(lens, state):
    frames = dream(IMAGE, LAYER, lens, CONFIG.but(threads=1, device="cpu"), resume=state)
    assert next(frames).step == 1


def test_another_objective_or_picture_is_refused(lens, state):
    assert "objective '3', now '5'" in refused(lens, state, objective="5")
    assert "objective '3', now '2*3'" in refused(lens, state, objective=2 * words.layer("3"))
    assert "picture [2, 3, 61, 50], now [2, 3, 61, 49]" in refused(lens, state, image=IMAGE[..., :49])
    assert "picture [2, 3, 61, 50], now [1, 3, 61, 50]" in refused(lens, state, image=IMAGE[0])


def test_another_content_is_refused(lens, state):
    changed = IMAGE.clone()
    changed[1, 2, 60, 49] += 1e-6
    refusal = refused(lens, state, image=changed)
    assert "photo's content" in refusal and refusal.count(", now ") == 1
    assert "photo's content" in refused(lens, state, image=IMAGE.flip(-1))
    assert "mask's content '', now" in refused(lens, state, mask=torch.ones(61, 50))


@pytest.mark.parametrize(
    "broken", [{}, [], "state", {"config": "{}"}, {"octave": 0}, torch.zeros(3)], ids=str
)
def test_what_is_no_state_is_refused(lens, broken):
    assert "state" in refused(lens, broken)


@pytest.mark.parametrize("config", ["", "{}{}", '{"steps": -1}', "[" * 100_000])
def test_a_state_with_damaged_settings_is_refused(lens, state, config):
    refused(lens, {**state, "config": config})


@pytest.mark.parametrize("settings", [{}, {"octaves": 1, "steps": 1}])
def test_the_state_of_the_last_frame_gives_the_last_frame_again(lens, settings):
    config = CONFIG.but(**settings)
    whole, states, _ = run(dream(IMAGE, LAYER, lens, config))
    again, later, _ = run(dream(IMAGE, LAYER, lens, config, resume=saved(states[-1])))
    assert same(again, whole[-1:])
    assert same(run(dream(IMAGE, LAYER, lens, config, resume=later[-1]))[0], whole[-1:])
    *_, last = dream(IMAGE, LAYER, lens, config, resume=states[-1])
    assert last.done


def test_without_a_copy_a_state_is_the_runs_own(lens):
    frame = next(dream(IMAGE, LAYER, lens, CONFIG))
    lent, copy = frame.state(copy=False), frame.state()
    assert lent["image"].data_ptr() == frame.image.data_ptr() != copy["image"].data_ptr()
    assert same([[lent[name] for name in ("image", "good")]], [[copy["image"], copy["good"]]])


BROKEN = {
    "octave": [2, -1, 1.0, "0", None, True],
    "step": [3, -1, 10**30, None],
    "halvings": [-1, 10**9, None],
    "image": [None, [0.5], torch.zeros(2, 3, 61, 50), torch.full((2, 3, 44, 36), float("nan"))],
    "good": [None, torch.zeros(2, 3, 44, 36, dtype=torch.int32), torch.full((2, 3, 44, 36), float("inf"))],
    "score": [None, torch.zeros(3), 1.0],
    "random": [
        None,
        {},
        {"state": None},
        {"state": {"key": [0] * 624}},
        {"state": {"key": [0] * 624, "pos": 10**6}},
        {"state": {"key": [0] * 624, "pos": -1}},
        {"state": {"key": [0] * 624, "pos": 1.5}},
        {"state": {"key": [0] * 623, "pos": 1}},
        {"state": {"key": [-1] * 624, "pos": 1}},
        {"state": {"key": ["x"] * 624, "pos": 1}},
        {"state": {"key": [[0] * 624], "pos": 1}},
    ],
    "config": [None, 5, b"{}"],
    "digests": [None, [], {}, {"photo": 5}],
    "photo_shape": [None, [2, 3, 61]],
    "objective": [None, 3],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BROKEN for value in BROKEN[name]])
def test_a_damaged_state_is_refused(lens, state, name, value):
    assert list(state["image"].shape) == [2, 3, 44, 36]
    assert "resume" in refused(lens, {**state, name: value})
