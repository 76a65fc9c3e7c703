"""The settings: a frozen list, ranges, messages, JSON there and back, hostile JSON."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phosphene.config import Dream, bounds
from phosphene.errors import PhospheneError
from phosphene.presets import PRESETS, preset

FIELDS = {
    "model": "efficientnet_lite2",
    "weights": "",
    "mean": "",
    "std": "",
    "range": "",
    "channel_order": "",
    "objective": "blocks.4.1",
    "guide": "",
    "octaves": 0,
    "octave_scale": 1.4,
    "steps": 14,
    "step_size": 2.0,
    "strength": 1.0,
    "jitter": 32,
    "smooth": 1.5,
    "laplacian": 0,
    "balance": True,
    "param": "pixel",
    "optimizer": "auto",
    "rate": 0.0,
    "average": 0.0,
    "transparency": 0.0,
    "transforms": "none",
    "clip": True,
    "notebook_edges": False,
    "keep_color": False,
    "mask": "",
    "seed": None,
    "max_size": 0,
    "scale": 1.0,
    "device": "auto",
    "dtype": "float32",
    "tile": 0,
    "halo": 64,
    "max_memory": "",
    "plain": False,
    "compile": False,
    "checkpointing": False,
    "threads": 0,
}
RANGES = {  # lowest, highest
    "octaves": (0, 32),
    "octave_scale": (1.01, 8),
    "steps": (1, 100_000),
    "step_size": (1e-9, 255),
    "strength": (1e-9, 20),
    "jitter": (0, 4096),
    "smooth": (0, 64),
    "laplacian": (0, 12),
    "seed": (0, 2**32 - 1),
    "max_size": (0, 1_000_000),
    "scale": (1e-9, 64),
    "tile": (0, 65_536),
    "halo": (0, 4096),
    "threads": (0, 1024),
}


def refused(**values):
    with pytest.raises(PhospheneError) as caught:
        Dream.read(values)
    assert caught.value.code == "E_PARAM"
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    return str(caught.value)


def test_the_list_of_settings_is_frozen():
    """A new setting is a new flag, a new line in every recipe and in the docs: decide, then add it here."""
    assert list(Dream.model_fields) == list(FIELDS)
    assert Dream().model_dump().keys() == FIELDS.keys()


def test_names_types_and_help():
    for name, default in Dream().model_dump().items():
        assert type(default) is type(FIELDS[name])
        assert Dream.model_fields[name].description
        assert default is None or isinstance(default, (str, int, float, bool))


@pytest.mark.parametrize("name", RANGES)
def test_ranges_end_where_they_say(name):
    low, high = RANGES[name]
    for value in (low, high):
        assert getattr(Dream.read({name: value}), name) == value
    for value in (low - 1 if low >= 1 else -1e-3, -1, high * 1.001 + 1, 10**300):
        value = int(value) if isinstance(high, int) and type(FIELDS[name]) is not float else value
        value = -1 if value == 0 else value
        assert name in refused(**{name: value})


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", [float("nan"), -float("inf"), 1e308, "many", [], {}, "1e999", "٣ x"])
def test_no_number_is_refused_by_name(name, value):
    assert refused(**{name: value}).startswith(f"settings: {name} is ")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "settings: steps is 0, expected a whole number at least 1 and at most 100000"),
        ({"steps": "x"}, "settings: steps is 'x', expected a whole number at least 1 and at most 100000"),
        ({"steps": 2.5}, "settings: steps is 2.5, expected a whole number at least 1 and at most 100000"),
        ({"step_size": 0}, "settings: step_size is 0, expected a number above 0 and at most 255"),
        ({"seed": -1}, "settings: seed is -1, expected at least 0 and below 4294967296"),
        ({"balance": "perhaps"}, "settings: balance is 'perhaps', expected true or false"),
        ({"dtype": "float64"}, "settings: dtype is 'float64', expected one of float32, bfloat16, float16"),
        ({"model": 3}, "settings: model is 3, expected text"),
    ],
)
def test_messages(values, message):
    assert refused(**values) == message


def test_text_of_a_wrong_form_says_the_form():
    assert "auto, cpu, cuda, cuda:N or mps" in refused(device="gpu")
    assert refused(model="") == "settings: model is '', expected at least 1 character"
    assert refused(mask="x" * 5000).endswith(", expected at most 4096 characters")


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:13"])
def test_devices(device):
    assert Dream(device=device).device == device


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cpu ", "cpu\n", "cuda:0\n", "xcpu"])
def test_other_devices_are_refused(device):
    refused(device=device)


def test_unknown_names_list_the_nearest():
    assert "no setting 'stepsize'; the nearest are steps, step_size" in refused(stepsize=3)
    assert len(refused(**{"x" * 10_000: 1})) < 300


def test_settings_are_frozen_and_changed_by_copy():
    config = Dream(steps=3)
    with pytest.raises(ValueError, match="frozen"):
        config.steps = 4
    assert config.but(steps=5, seed=7).model_dump() == {**config.model_dump(), "steps": 5, "seed": 7}
    assert config.steps == 3
    with pytest.raises(PhospheneError, match="steps"):
        config.but(steps=0)
    with pytest.raises(PhospheneError, match="nearest are octaves"):
        config.but(octave=1)


def test_bounds_in_words():
    assert bounds("step_size") == "above 0 and at most 255"
    assert bounds("seed") == "at least 0 and below 4294967296"
    assert bounds("dtype") == "one of float32, bfloat16, float16"
    assert bounds("balance") == bounds("guide").partition("x")[2] == ""


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_settings(name):
    values = preset(name)
    assert Dream.read(values).model_dump() == {**Dream().model_dump(), **values}
    assert PRESETS[name][0]


def test_classic_is_the_notebook():
    config = Dream.read(preset("classic"))
    assert (config.octaves, config.octave_scale, config.steps) == (4, 1.4, 10)
    assert (config.step_size, config.strength, config.jitter) == (1.5, 1.0, 32)
    assert config.clip and not (config.smooth or config.laplacian or config.balance or config.keep_color)
    assert (config.model, config.objective) == ("bvlc_googlenet", "inception_4c/output")


def test_a_preset_is_a_copy():
    preset("classic")["steps"] = 999
    assert preset("classic")["steps"] == 10


def test_an_unknown_preset_lists_all():
    with pytest.raises(PhospheneError, match=r"'clasic'.*classic") as caught:
        preset("clasic")
    assert caught.value.code == "E_PARAM"


values = st.fixed_dictionaries(
    {},
    optional={
        "model": st.text(min_size=1, max_size=20, alphabet=st.characters(exclude_categories=["Cs"])),
        "objective": st.text(min_size=1, max_size=20, alphabet=st.characters(exclude_categories=["Cs"])),
        "octave_scale": st.floats(1.01, 8),
        "step_size": st.floats(0, 255, exclude_min=True),
        "smooth": st.floats(0, 64),
        "steps": st.integers(1, 100_000),
        "seed": st.none() | st.integers(0, 2**32 - 1),
        "balance": st.booleans(),
    },
)


@given(values)
def test_json_there_and_back(changes):
    config = Dream.read(changes)
    assert Dream.from_json(config.to_json()) == config
    assert "\n" not in config.to_json()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
mappings = st.dictionaries(st.sampled_from(list(FIELDS)) | st.text(max_size=5), json_values, max_size=4)


@settings(max_examples=300)
@given(st.text() | json_values.map(json.dumps) | mappings.map(json.dumps))
def test_hostile_json_raises_nothing_else(text):
    try:
        config = Dream.from_json(text)
    except PhospheneError as error:
        assert error.code == "E_PARAM" and "\n" not in str(error) and len(str(error)) < 400
    else:
        assert Dream.from_json(config.to_json()) == config


LONG = [
    "[" * 100_000,
    '{"steps":' * 50_000,
    '{"steps": ' + "9" * 5000 + "}",
    '{"model": "' + "x" * 10**6 + '"}',
]
WRONG = """
[
null
[]
3
"x"
{} {}
{"steps": NaN}
{"step_size": Infinity}
{"steps": 1e400}
{"__class__": 1}
{"model_config": {}}
{"self": 1}
{"cls": 1}
{"": 1}
{"model": "\\ud800"}"""


@pytest.mark.parametrize("text", [*WRONG.split("\n"), *LONG])
def test_bad_json(text):
    with pytest.raises(PhospheneError) as caught:
        Dream.from_json(text)
    assert caught.value.code == "E_PARAM" and len(str(caught.value)) < 400
