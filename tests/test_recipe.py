"""Recipes: there and back, and whatever a stranger may write in their place."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene import recipe
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.recipe import Recipe

SHA = "0123456789abcdef" * 4
FULL = Recipe(
    dream=Dream(objective='guide("ä\\".jpg", blocks.4.1)', seed=7, octaves=3, mask="m.png", threads=2),
    input=recipe.Picture(name="Öl\n\u202e.jpg", sha256=SHA, width=640, height=480),
    weights_sha256=SHA,
    files={"m.png": SHA},
    interrupted=recipe.Stop(octave=2, step=3),
    software=recipe.software(),
)


def refused(text):
    with pytest.raises(PhospheneError) as error:
        Recipe.from_text(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
    return error.value.code, str(error.value)


def changed(**values):
    return json.dumps(json.loads(FULL.to_text()) | values)


def test_there_and_back():
    assert Recipe.from_text(FULL.to_text()) == FULL


def test_the_text_is_one_line_of_ascii():
    text = FULL.to_text()
    assert text.isascii()
    assert text.isprintable()


def test_every_setting_is_in_it():
    assert set(json.loads(FULL.to_text())["dream"]) == set(Dream.model_fields)


def test_the_software_is_in_it():
    software = FULL.software
    assert software.torch and software.numpy and software.timm and software.python
    assert recipe.differences(software) == []
    other = software.model_copy(update={"torch": "2.10.0"})
    assert recipe.differences(other) == [f"torch 2.10.0, here {software.torch}"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        '"recipe"',
        "{}",
        '{"recipe": 2}',
        '{"recipe": 1}',
        '{"recipe": true}',
        "[" * 100_000,
        '{"recipe": 1, "dream": ' + "[" * 50_000,
        '{"recipe": 1' + "0" * 5000 + "}",
        "x" * (recipe.MAX_CHARACTERS + 1),
        changed(dream=None),
        changed(dream=[]),
        changed(extra=1),
        changed(input=None),
        changed(input={"name": "a", "sha256": "z" * 64, "width": 1, "height": 1}),
        changed(input={"name": "a" * 2000, "sha256": SHA, "width": 1, "height": 1}),
        changed(input={"name": "\ud800", "sha256": SHA, "width": 1, "height": 1}),
        changed(input={"name": "a", "sha256": SHA, "width": "1", "height": 1}),
        changed(input={"name": "a", "sha256": SHA, "width": 0, "height": 10**30}),
        changed(weights_sha256="abc"),
        changed(files={"a": "b"}),
        changed(files={str(i): SHA for i in range(301)}),
        changed(interrupted={"octave": -1, "step": 0}),
        changed(software={"torch": "x" * 201}),
        changed(software={"evil": "x"}),
    ],
)
def test_what_is_no_recipe_is_refused(text):
    assert refused(text)[0] == "E_RECIPE"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"steps": 10**9}, "steps is 1000000000, expected a whole number at least 1 and at most 100000"),
        ({"steps": "14"}, "steps is '14'"),
        ({"step_size": float("nan")}, "step_size is nan"),
        ({"step_size": float("inf")}, "step_size is inf"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"seed": True}, "seed is True"),
        ({"objective": "a" * 200_000}, "objective is 'aaa"),
        ({"device": "cpu; rm -rf /"}, "device is 'cpu; rm -rf /'"),
        ({"stepz": 3}, "there is no setting 'stepz'"),
        ({"__class__": "x"}, "there is no setting '__class__'"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting, expected):
    code, message = refused(changed(dream=setting))
    assert code == "E_PARAM"
    assert expected in message


@given(st.text(max_size=200))
def test_any_text_is_refused_in_one_line(text):
    refused(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(FULL.to_text()))), JSON)
def test_any_value_in_any_place_is_read_or_refused(name, value):
    try:
        found = Recipe.from_text(changed(**{name: value}))
    except PhospheneError as error:
        assert error.code in ("E_RECIPE", "E_PARAM")
    else:
        assert Recipe.from_text(found.to_text()) == found


@given(st.sampled_from(sorted(Dream.model_fields)), JSON)
def test_any_setting_is_read_or_refused(name, value):
    try:
        found = Recipe.from_text(changed(dream={name: value}))
    except PhospheneError as error:
        assert error.code in ("E_RECIPE", "E_PARAM")
    else:
        assert Recipe.from_text(found.to_text()) == found


def test_file_sha256(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"phosphene")
    assert recipe.file_sha256(path) == hashlib.sha256(b"phosphene").hexdigest()
    for bad in (tmp_path, tmp_path / "absent", "/dev/zero", "a\0b"):
        with pytest.raises(PhospheneError) as error:
            recipe.file_sha256(bad)
        assert error.value.code == "E_INPUT"


def test_installed():
    assert recipe.installed("numpy")
    assert recipe.installed("no-such-package-at-all") == ""
