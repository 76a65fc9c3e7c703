"""`phosphene replay`: the same bits again, and nothing that a stranger's recipe asks for in secret."""

import json
from pathlib import Path

import pytest
from tiny import QUICK, make_photo

from phosphene.picture import open_picture, read_recipe, save_picture
from phosphene.recipe import Recipe


@pytest.fixture
def dreamed(run, photo):
    """`dream.png`, made from `photo.png`."""
    assert run("dream", photo, "-o", "dream.png", *QUICK).code == 0
    return "dream.png"


def forge(path, **values):
    """A picture with a recipe that somebody has edited; `dream` is merged into the recorded settings."""
    recipe = json.loads(read_recipe(path))
    recipe["dream"] |= values.pop("dream", {})
    save_picture(path, open_picture(path), recipe=json.dumps(recipe | values), overwrite=True)


def test_the_same_bytes_again(run, dreamed):
    found = run("replay", dreamed, "-o", "again.png")
    assert (found.code, found.out, found.err) == (0, "again.png\n", "")
    assert Path("again.png").read_bytes() == Path(dreamed).read_bytes()
    assert run("replay", dreamed).out == "photo-replay.png\n"


def test_the_photo_is_found_beside_the_picture(run, dreamed, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("replay", "../dream.png", "-o", "again.png").code == 0


def test_other_settings(run, dreamed):
    assert run("replay", dreamed, "-o", "again.png", "--steps", "1", "--no-clip").code == 0
    dream = Recipe.from_text(read_recipe("again.png")).dream
    assert (dream.steps, dream.clip, dream.seed, dream.octaves) == (1, False, 3, 1)


def test_another_network_brings_its_own_objective(run, dreamed):
    assert run("replay", dreamed, "-o", "again.png", "--model", "efficientnet_lite0").code == 0
    assert Recipe.from_text(read_recipe("again.png")).dream.objective == "blocks.4.2 + blocks.3.2"


def test_another_photo_is_told(run, dreamed, tmp_path):
    make_photo(tmp_path / "other.png", seed=5)
    found = run("replay", dreamed, "other.png", "-o", "again.png")
    assert found.code == 0
    assert found.err.startswith("note: other.png isn't the recorded photo")


def test_a_photo_that_has_changed_is_refused(run, dreamed, tmp_path):
    make_photo(tmp_path / "photo.png", seed=5)
    found = run("replay", dreamed, "-o", "again.png")
    assert found.code == 2
    assert "E_RECIPE: photo.png isn't the recorded photo any more" in found.err
    (tmp_path / "photo.png").unlink()
    assert "there is no photo.png" in run("replay", dreamed, "-o", "again.png").err
    assert not Path("again.png").exists()


def test_the_picture_itself_is_never_replaced(run, dreamed):
    found = run("replay", dreamed, "-o", dreamed, "--overwrite")
    assert found.code == 2
    assert "E_OUTPUT" in found.err


def test_an_interrupted_run_ends_at_the_same_step(run, dreamed):
    forge(dreamed, interrupted={"octave": 1, "step": 1})
    assert run("replay", dreamed, "-o", "again.png").code == 0
    stop = Recipe.from_text(read_recipe("again.png")).interrupted
    assert (stop.octave, stop.step) == (1, 1)
    assert run("replay", dreamed, "-o", "whole.png", "--steps", "2").code == 0
    assert Recipe.from_text(read_recipe("whole.png")).interrupted is None


def test_other_software_is_told(run, dreamed):
    forge(dreamed, software={"torch": "1.0"})
    assert "note: made with torch 1.0, here" in run("replay", dreamed, "-o", "again.png").err


@pytest.mark.parametrize(
    ("forged", "code", "expected"),
    [
        ({"dream": {"mask": "secret.png"}}, "E_RECIPE", "give --mask"),
        ({"dream": {"mask": "secret.png"}, "files": {"secret.png": "0" * 64}}, "E_RECIPE", "give --mask"),
        ({"dream": {"guide": "/etc/passwd"}}, "E_RECIPE", "give --guide"),
        ({"dream": {"guide": "//host/share"}, "files": {"//host/share": "0" * 64}}, "E_RECIPE", "--guide"),
        ({"dream": {"weights": "/dev/zero"}}, "E_RECIPE", "give --weights"),
        ({"dream": {"weights": "secret.png"}}, "E_RECIPE", "give --weights"),
        ({"dream": {"objective": 'guide("secret.png", blocks.4.1)'}}, "E_RECIPE", "give --objective"),
        ({"dream": {"objective": "guide(secret.png, blocks.4.1)"}}, "E_RECIPE", "give --objective"),
        ({"dream": {"objective": "tv() - guide( /etc/passwd , b)"}}, "E_RECIPE", "give --objective"),
        ({"weights_sha256": "0" * 64}, "E_RECIPE", "aren't the recorded ones"),
        ({"dream": {"steps": 0}}, "E_PARAM", "steps is 0"),
        ({"dream": {"evil": 0}}, "E_PARAM", "'evil'"),
        ({"dream": {"model": "../../evil"}}, "E_MODEL", "evil"),
        ({"recipe": 99}, "E_RECIPE", "format 99"),
        ({"input": None}, "E_RECIPE", "input"),
    ],
)
def test_a_forged_recipe_is_refused(run, dreamed, tmp_path, forged, code, expected):
    make_photo(tmp_path / "secret.png", seed=1)
    forge(dreamed, **forged)
    found = run("replay", dreamed, "-o", "again.png")
    assert found.code == 2
    assert found.err.startswith(f"phosphene: {code}: ")
    assert found.err.count("\n") == 1
    assert expected in found.err
    assert not Path("again.png").exists()


@pytest.mark.parametrize("name", ["../photo.png", "/etc/passwd", "..", "", "a\\b"])
def test_a_forged_photo_is_not_looked_for(run, dreamed, name):
    recipe = json.loads(read_recipe(dreamed))
    forge(dreamed, input=recipe["input"] | {"name": name})
    found = run("replay", dreamed, "-o", "again.png")
    assert found.code == 2
    assert "give it as the second argument" in found.err


def test_a_recipe_steers_no_terminal(run, dreamed):
    recipe = json.loads(read_recipe(dreamed))
    forge(dreamed, input=recipe["input"] | {"name": "\x1b]0;owned\x07\n.png"})
    shown = run("show", dreamed).out
    assert "\x1b" not in shown
    assert "\\x1b]0;owned" in shown
    assert "\x1b" not in run("show", dreamed, "--json").out
    assert "\x1b" not in run("replay", dreamed).err


def test_absurd_thread_counts_are_not_followed(run, dreamed):
    forge(dreamed, dream={"threads": 1000})
    assert run("replay", dreamed, "-o", "again.png").code == 0
    assert Recipe.from_text(read_recipe("again.png")).dream.threads < 1000


def test_show_as_json_is_the_recipe(run, dreamed):
    (event,) = run("show", dreamed, "--json").events
    assert (event.pop("v"), event.pop("event")) == (1, "recipe")
    event = {name: value for name, value in event.items() if value is not None}
    assert Recipe.from_text(json.dumps(event)) == Recipe.from_text(read_recipe(dreamed))
