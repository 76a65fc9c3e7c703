"""The commands that only answer: models, layers, config, and the tables they print."""

import json
import sys
import tomllib

from phosphene import models
from phosphene.cli.table import print_table
from phosphene.config import Dream
from phosphene.presets import PRESETS


def test_models(run):
    found = run("models")
    assert found.code == 0
    for model in models.available():
        assert model.summary in found.out
    for name, (summary, _) in PRESETS.items():
        assert f"{name} " in found.out
        assert summary in found.out


def test_models_as_events(run):
    events = run("models", "--json").events
    assert [event["name"] for event in events if event["event"] == "model"] == [
        model.name for model in models.available()
    ]
    assert {event["name"]: event["settings"] for event in events if event["event"] == "preset"} == {
        name: values for name, (_, values) in PRESETS.items()
    }


def test_config_is_toml_that_can_be_read_again(run, tmp_path):
    printed = run("config", "--preset", "classic", "--keep-color").out
    assert tomllib.loads(printed)["keep_color"] is True
    (tmp_path / "phosphene.toml").write_text(printed)
    assert run("config").out == printed


def test_config_says_where_from(run, tmp_path, monkeypatch):
    (tmp_path / "phosphene.toml").write_text("jitter = 3")
    monkeypatch.setenv("PHOSPHENE_SMOOTH", "2")
    lines = run("config", "--show-origin", "--preset", "classic", "--steps", "4").out.splitlines()
    origins = {line.split()[0]: line.rpartition("# ")[2] for line in lines}
    assert origins["steps"] == "--steps"
    assert origins["jitter"] == "--preset classic"
    assert origins["clip"] == "default"
    events = run("config", "--json").events
    found = {event["name"]: (event["value"], event["origin"]) for event in events}
    assert found["jitter"] == (3, "phosphene.toml")
    assert found["smooth"] == (2.0, "PHOSPHENE_SMOOTH")
    assert set(found) == set(Dream.model_fields)


def test_tables_steer_no_terminal(capsys, monkeypatch):
    print_table(("a", "b"), [("\x1b[31mred", 1), ("long\nname", None)])
    assert capsys.readouterr().out == "a            b\n\\x1b[31mred  1\nlong\\nname   None\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(("a", "b"), [("[bold]x", 1)], "Title")
    assert "[bold]x" in capsys.readouterr().out
    monkeypatch.setenv("TERM", "dumb")
    print_table(("a",), [("x",)])
    assert capsys.readouterr().out == "a\nx\n"


def test_a_picture_without_a_recipe(run, photo):
    found = run("show", photo)
    assert found.code == 2
    assert "E_RECIPE" in found.err
    assert json.loads(run("show", photo, "--json").out)["code"] == "E_RECIPE"
