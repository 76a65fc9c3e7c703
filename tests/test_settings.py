"""Settings: the order of the sources, what each may say, and what is told when it says nonsense."""

import os

import pytest

from phosphene import settings
from phosphene.config import Dream
from phosphene.errors import PhospheneError


@pytest.fixture
def home(tmp_path):
    """An environment whose user has no settings, and a working folder without any."""
    folder = tmp_path / "work"
    folder.mkdir()
    return {"environment": {"XDG_CONFIG_HOME": str(tmp_path / "config")}, "folder": folder}


def user_toml(home, text):
    path = settings.user_file(home["environment"])
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def refused(*arguments, **more):
    with pytest.raises(PhospheneError) as error:
        settings.gather(*arguments, **more)
    return error.value.code, str(error.value)


def test_nothing_said_is_the_defaults(home):
    found = settings.gather({}, **home)
    assert found.dream == Dream()
    assert set(found.origins) == set(Dream.model_fields)
    assert set(found.origins.values()) == {"default"}


def test_each_source_beats_the_weaker_ones(home):
    """One more source at a time, weakest first, all about `steps`."""
    steps = []

    def look():
        found = settings.gather(flags, look=preset, **home)
        steps.append((found.dream.steps, found.origins["steps"]))

    flags, preset = {}, ""
    look()
    user = user_toml(home, "steps = 1")
    look()
    project = home["folder"] / "phosphene.toml"
    project.write_text("steps = 2")
    look()
    home["environment"]["PHOSPHENE_STEPS"] = "3"
    look()
    preset = "classic"
    look()
    flags = {"steps": "4"}
    look()
    assert steps == [
        (Dream().steps, "default"),
        (1, str(user)),
        (2, str(project)),
        (3, "PHOSPHENE_STEPS"),
        (10, "--preset classic"),
        (4, "--steps"),
    ]


def test_sources_are_merged_field_by_field(home):
    user_toml(home, "jitter = 5\nkeep_color = true")
    (home["folder"] / "phosphene.toml").write_text("jitter = 6")
    found = settings.gather({"seed": "7"}, **home).dream
    assert (found.jitter, found.keep_color, found.seed) == (6, True, 7)


def test_an_explicit_file_takes_the_place_of_both(home, tmp_path):
    user_toml(home, "jitter = 5")
    (home["folder"] / "phosphene.toml").write_text("steps = 6")
    (tmp_path / "mine.toml").write_text("octaves = 2")
    found = settings.gather({}, config=str(tmp_path / "mine.toml"), **home).dream
    assert (found.octaves, found.jitter, found.steps) == (2, Dream().jitter, Dream().steps)


def test_an_explicit_file_must_be_there(home):
    code, message = refused({}, config="absent.toml", **home)
    assert code == "E_PARAM"
    assert "absent.toml: No such file" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps = true", "steps is True, expected a whole number at least 1 and at most 100000"),
        ('steps = "ten"', "steps is 'ten', expected a whole number at least 1"),
        ('steps = "10"', "steps is '10', expected a whole number at least 1"),
        ("steps = [1, 'a']", "steps is [1, 'a'], expected a whole number"),
        ("steps = 2.5", "steps is 2.5, expected a whole number"),
        ("steps = 0", "steps is 0, expected a whole number at least 1 and at most 100000"),
        ("step_size = nan", "step_size is nan, expected a number above 0 and at most 255"),
        ("step_size = inf", "step_size is inf, expected a number"),
        ("octave_scale = 1.0", "octave_scale is 1.0, expected a number at least 1.01"),
        ("clip = 1", "clip is 1, expected true or false"),
        ("objective = 3", "objective is 3, expected text"),
        ("seed = 4294967296", "seed is 4294967296, expected"),
        ("stepz = 3", "there is no setting 'stepz'; the nearest are steps"),
        ("[steps]\na = 1", "steps is {'a': 1}, expected a whole number"),
        ("steps = ", "not TOML"),
        ("a" + ".a" * 5000 + " = 1", ""),
    ],
)
def test_bad_toml_names_file_field_and_range(home, text, expected):
    path = home["folder"] / "phosphene.toml"
    path.write_text(text)
    code, message = refused({}, **home)
    assert code == "E_PARAM"
    assert str(path) in message
    assert expected in message
    assert "\n" not in message


def test_a_whole_number_is_a_number(home):
    (home["folder"] / "phosphene.toml").write_text("step_size = 2")
    assert settings.gather({}, **home).dream.step_size == 2.0


def test_toml_that_is_not_text_or_far_too_large(home):
    path = home["folder"] / "phosphene.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert refused({}, **home)[0] == "E_PARAM"
    path.write_bytes(b"# " + b"x" * settings.MAX_TOML_BYTES)
    assert "more than 1000000 bytes" in refused({}, **home)[1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_never_hangs(home, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path, "a\0b"):
        code, message = refused({}, config=str(path), **home)
        assert code == "E_PARAM" and "give a readable TOML file" in message
    os.mkfifo(home["folder"] / "phosphene.toml")
    assert settings.gather({}, **home).dream == Dream()


def test_files_named_in_toml_are_relative_to_it(home, tmp_path):
    path = user_toml(home, "mask = 'mask.png'\nguide = ''\nweights = '~/w.safetensors'")
    found = settings.gather({}, **home).dream
    assert found.mask == str(path.parent / "mask.png")
    assert found.guide == ""
    assert found.weights.endswith("/w.safetensors")
    assert "~" not in found.weights


def test_unknown_variables_are_refused_with_near_names(home):
    home["environment"]["PHOSPHENE_STEP"] = "3"
    code, message = refused({}, **home)
    assert code == "E_PARAM"
    assert "PHOSPHENE_STEP;" in message
    assert "PHOSPHENE_STEPS" in message


def test_an_empty_variable_is_absent(home):
    home["environment"]["PHOSPHENE_STEPS"] = ""
    assert settings.gather({}, **home).dream == Dream()


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("off", False), ("yes", True)])
def test_booleans_in_the_environment(home, text, value):
    home["environment"]["PHOSPHENE_KEEP_COLOR"] = text
    assert settings.gather({}, **home).dream.keep_color is value


@pytest.mark.parametrize(
    ("flag", "text", "expected"),
    [
        ("steps", "0", "--steps: steps is '0', expected a whole number at least 1 and at most 100000"),
        ("steps", "-3", "expected a whole number at least 1"),
        ("steps", "1e308", "expected a whole number"),
        (
            "step_size",
            "1e308",
            "--step-size: step_size is '1e308', expected a number above 0 and at most 255",
        ),
        ("step_size", "nan", "expected a number above 0"),
        ("seed", "-1", "at least 0 and below 4294967296"),
        ("seed", str(2**32), "below 4294967296"),
        ("octave_scale", "1", "at least 1.01 and at most 8"),
        ("dtype", "float8", "one of float32, bfloat16, float16"),
        ("device", "toaster", "device is 'toaster'"),
    ],
)
def test_bad_flags_name_field_and_range(home, flag, text, expected):
    code, message = refused({flag: text}, **home)
    assert code == "E_PARAM"
    assert expected in message


def test_an_unknown_preset_lists_those_there_are(home):
    code, message = refused({}, look="clasic", **home)
    assert code == "E_PARAM"
    assert "classic" in message


def test_a_chosen_model_brings_its_own_objective(home):
    found = settings.gather({"model": "bvlc_googlenet"}, **home)
    assert found.dream.objective == "inception_4c/output"
    assert found.origins["objective"] == "bvlc_googlenet's own"


def test_an_objective_from_anywhere_is_kept(home):
    home["environment"]["PHOSPHENE_OBJECTIVE"] = "inception_3b/output"
    found = settings.gather({"model": "bvlc_googlenet"}, **home)
    assert found.dream.objective == "inception_3b/output"


def test_a_look_for_one_network_does_not_speak_for_another(home):
    found = settings.gather({"model": "efficientnet_lite0"}, look="classic", **home).dream
    assert (found.objective, found.steps) == ("blocks.4.2 + blocks.3.2", 10)


def test_a_look_for_the_default_network_keeps_its_objective(home, monkeypatch):
    monkeypatch.setitem(settings.preset.__globals__["PRESETS"], "mine", ("", {"objective": "blocks.3.2"}))
    assert settings.gather({}, look="mine", **home).dream.objective == "blocks.3.2"


def test_a_guide_goes_to_the_networks_layer_for_guides(home):
    found = settings.gather({"guide": "flowers.jpg"}, look="classic", **home)
    assert (found.dream.guide, found.dream.objective) == ("flowers.jpg", "inception_3b/output")
    assert "guides" in found.origins["objective"]


def test_a_guide_with_a_chosen_layer_goes_there(home):
    found = settings.gather({"guide": "f.jpg", "objective": "inception_4a/output"}, look="classic", **home)
    assert found.dream.objective == "inception_4a/output"
