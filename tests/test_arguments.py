"""Whatever a public name is given: it works, or says what is wrong with it in one line."""

import math
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import phosphene
from phosphene import PhospheneError
from phosphene.config import Dream

torch.manual_seed(0)
NETWORK = nn.Sequential()
NETWORK.add_module("one", nn.Conv2d(3, 4, 3, padding=1))
NETWORK.add_module("act", nn.ReLU())
NETWORK.add_module("two", nn.Conv2d(4, 5, 3, stride=2, padding=1))
LENS = phosphene.Lens(NETWORK.eval(), classes=("cat", "dog", "owl", "fox", "hen"), head="two", size=16)

NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, -(2**63), 2**200, math.nan, math.inf, -math.inf, 1e308, 5e-324, True]),
    st.integers(-3, 9),
    st.floats(-2, 2),
)
WORDS = st.one_of(
    st.sampled_from(
        ["one", "two", "act", "", "one:1", "two#2", "..", "a\nb", "\0", "~", "cat", "x" * 5000, "-o"]
    ),
    st.text(max_size=12),
)


@st.composite
def tensors(draw):
    shape = draw(
        st.sampled_from([(1, 3, 12, 12), (1, 3, 17, 13), (2, 3, 8, 8), (3, 8, 8), (1, 1, 9, 9), (1, 4, 9, 9)])
        | st.sampled_from([(0,), (), (4,), (5,), (1, 3, 0, 5), (1, 3, 1, 1), (1, 3, 1, 300), (0, 3, 8, 8)])
    )
    kind = draw(st.sampled_from([torch.float32, torch.float32, torch.float64, torch.float16, torch.uint8]))
    tensor = torch.linspace(0, 1, int(np.prod(shape, dtype=int))).reshape(shape).to(kind)
    if tensor.numel() and kind.is_floating_point:
        tensor.view(-1)[0] = draw(st.sampled_from([0.5, math.nan, math.inf, -3.0, 300.0]))
    return tensor


ANY = st.one_of(NUMBERS, WORDS, tensors(), st.none(), st.binary(max_size=8), st.lists(NUMBERS, max_size=5))
SETTINGS = st.dictionaries(st.sampled_from(sorted(Dream.model_fields)) | WORDS, NUMBERS | WORDS, max_size=3)
OBJECTIVES = st.sampled_from(
    ["one", "two:1", "one - 0.1*tv", "class:cat", "two:9", "nothing", "one +", "0*one"]
)
PLACES = st.sampled_from(
    ["photo.png", "no/such.png", ".", "", "a.txt", "\0", "x" * 300, "new.png", "new.jpg"]
)


def fails_well(call):
    """What it gives; a refusal is ours, in one line, or Python's own word on a wrong type."""
    try:
        return call()
    except TypeError:
        return None
    except PhospheneError as error:
        assert error.code.startswith("E_")
        assert str(error).strip()
        assert "\n" not in str(error)
        return None


def drawn(data, names):
    """One or two of these arguments, with whatever."""
    chosen = data.draw(st.lists(st.sampled_from(names.split()), min_size=1, max_size=2, unique=True))
    return {name: data.draw(ANY) for name in chosen}


def looked_through(objective):
    """An objective, compared with a picture."""
    if objective is None:
        return
    assert isinstance(objective, phosphene.Objective)
    fails_well(lambda: list(phosphene.dream(torch.rand(1, 3, 16, 16), objective, LENS, QUICK)))


QUICK = Dream(seed=0, octaves=1, steps=1, halo=8, max_size=0)
few = settings(max_examples=40)
some = settings(max_examples=15)
TRIED = {"__version__", "Frame", "PhospheneError"}  # a text; what only the loop makes; what errors are


def tries(name):
    TRIED.add(name)
    return getattr(phosphene, name)


WORDS_OF_ONE_NAME = {"layer": 1, "channel": 2, "neuron": 4, "direction": 2, "cls": 2, "token": 3, "head": 2}
WORDS_OF_ONE_NAME |= {"unit": 2, "logit": 1, "text": 2, "guide": 2, "tv": 0, "parse": 1}


@pytest.mark.parametrize("name", WORDS_OF_ONE_NAME)
@few
@given(data=st.data())
def test_words(name, data):
    word = tries(name)
    arguments = [data.draw(ANY) for _ in range(WORDS_OF_ONE_NAME[name])]
    if data.draw(st.booleans()) and arguments and name not in ("guide", "text", "parse"):
        arguments[0] = "two"
    looked_through(fails_well(lambda: word(*arguments)))


@few
@given(terms=st.lists(OBJECTIVES, max_size=3), factor=ANY)
def test_objectives_add_and_multiply(terms, factor):
    tries("Objective")
    for text in terms:
        objective = fails_well(lambda text=text: phosphene.parse(text))
        if objective is not None:
            looked_through(fails_well(lambda o=objective: o * factor))
            looked_through(fails_well(lambda o=objective: o + factor))
            looked_through(fails_well(lambda o=objective: o - factor))


@few
@given(values=SETTINGS)
def test_settings(values):
    fails_well(lambda: tries("Dream")(**values))


@some
@given(image=ANY, objective=OBJECTIVES | ANY, values=SETTINGS, mask=st.none() | ANY, detail=st.none() | ANY)
def test_dream(image, objective, values, mask, detail):
    dream = tries("dream")
    config = fails_well(lambda: Dream(**{"seed": 0} | values)) or Dream(seed=0)
    config = config.but(octaves=1, steps=1, threads=0, compile=False, max_size=0, scale=1.0)
    for frame in (
        fails_well(lambda: list(dream(image, objective, LENS, config, mask=mask, detail=detail))) or ()
    ):
        assert bool(torch.isfinite(frame.full()).all())


@some
@given(
    objectives=OBJECTIVES | ANY | st.lists(OBJECTIVES, max_size=3), size=NUMBERS | ANY, batch=NUMBERS | ANY
)
def test_visualize(objectives, size, batch):
    visualize = tries("visualize")
    config = Dream(seed=0, octaves=1, steps=1, param="fourier")
    if isinstance(size, int) and size > 64:
        size = 64
    fails_well(lambda: list(visualize(objectives, LENS, config, size=size, batch=batch)))


@some
@given(data=st.data())
def test_a_lens(data):
    lens = tries("Lens")
    names = (
        "mean",
        "std",
        "scale",
        "channel_order",
        "classes",
        "head",
        "device",
        "dtype",
        "size",
        "patch",
        "prefix",
    )
    given = {
        name: data.draw(ANY) for name in data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    }
    made = fails_well(lambda: lens(data.draw(st.just(NETWORK) | ANY), **given))
    if made is not None:
        fails_well(lambda: list(phosphene.dream(torch.rand(1, 3, 16, 16), "one", made, QUICK)))


@few
@given(name=st.sampled_from(["efficientnet_lite0", "nothing", "timm:", "python:x"]) | ANY, more=st.data())
def test_load(name, more):
    load = tries("load")
    names = ("weights", "device", "dtype", "mean", "std", "range", "channel_order")
    given = {
        key: more.draw(ANY) for key in more.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2))
    }
    fails_well(lambda: load(name, **given))


@few
@given(source=PLACES | ANY, most=NUMBERS | ANY)
def test_open_picture(source, most):
    open_picture = tries("open_picture")
    if isinstance(source, int) and not isinstance(source, bool):
        source = str(source)
    fails_well(lambda: open_picture(source, max_pixels=most))


@few
@given(data=st.data())
def test_save_picture(data, tmp_path_factory):
    save_picture, folder = tries("save_picture"), tmp_path_factory.mktemp("saved")
    target = data.draw(PLACES | WORDS)
    pixels = data.draw(st.just(np.full((4, 4, 3), 0.5, np.float32)) | ANY)
    picture = fails_well(lambda: tries("Picture")(pixels, bits=data.draw(st.sampled_from([8, 16]) | ANY)))
    names = ("format", "recipe", "quality", "overwrite")
    given = {
        name: data.draw(ANY) for name in data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    }
    if picture is not None:
        with suppress(ValueError):  # pathlib's on a NUL
            place = folder / target
            if place.is_relative_to(folder) and ".." not in place.parts:
                fails_well(lambda: save_picture(place, picture, **given))


@few
@given(frames=ANY)
def test_watch(frames):
    pytest.importorskip("anywidget")
    fails_well(lambda: tries("watch")(frames))


def test_nothing_is_left_out():
    assert set(phosphene.__all__) <= TRIED
