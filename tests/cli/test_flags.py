"""Flags: one for each of `Dream`'s fields, made from it."""

import pytest
from cyclopts import App
from rich.console import Console

from phosphene.config import Dream, bounds


def test_every_setting_has_a_flag_with_its_help_range_and_default(run, monkeypatch):
    monkeypatch.setattr(App, "console", property(lambda _: Console(width=400)))
    text = run("dream", "--help").out
    words = " ".join(text.replace("│", " ").split())
    for name, field in Dream.model_fields.items():
        flag = "--" + name.replace("_", "-")
        assert f" {flag} " in words
        assert field.description in words
        if field.annotation is bool:
            assert f"{flag} --no-{flag[2:]}" in words
        elif bounds(name):
            assert f"({bounds(name)}" in words
        if name != "seed" and field.default != "":
            assert f"default {field.default})" in words


def test_examples_come_first(run):
    assert run("--help").out.startswith("Examples:\n  phosphene dream photo.jpg -o dream.png\n")
    for command in ("dream", "replay", "show", "layers", "models", "config"):
        found = run(command, "--help")
        assert found.code == 0
        assert found.out.startswith(f"Examples:\n  phosphene {command}")
        assert f"Usage: phosphene {command}" in found.out


@pytest.mark.parametrize(
    ("typed", "setting"),
    [
        (["--steps", "3"], "steps = 3"),
        (["--steps=3"], "steps = 3"),
        (["--keep-color"], "keep_color = true"),
        (["--no-clip"], "clip = false"),
        (["--objective", "-1 * tv()"], 'objective = "-1 * tv()"'),
        (["--objective", "-tv()"], 'objective = "-tv()"'),
        (["--guide", "-"], 'guide = "-"'),
        (["--step-size", "1e-3"], "step_size = 0.001"),
        (["--seed", "0"], "seed = 0"),
    ],
)
def test_values(run, typed, setting):
    assert setting in run("config", *typed).out.splitlines()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["dreem"], 'Unknown command "dreem". Did you mean "dream"?'),
        (["dream", "a.png", "--setps", "3"], "Unknown option: --setps. Did you mean --steps?"),
        (["dream", "a.png", "--no-steps"], "Unknown option: --no-steps"),
        (["dream", "a.png", "--steps"], "requires an argument"),
        (["dream", "a.png", "--steps", "3", "--steps", "4"], "--steps specified multiple times"),
        (["dream", "a.png", "--clip", "--no-clip"], "specified multiple times"),
        (["dream", "a.png", "--steps", "-3"], "steps is '-3', expected a whole number at least 1"),
        (["dream", "a.png", "--steps", "nan"], "steps is 'nan', expected a whole number at least 1"),
        (["dream", "a.png", "--quality", "101"], "--quality is 101, expected 1 to 100"),
        (["dream", "a.png", "--quality", "best"], "--quality"),
        (["dream", "a.png", "--overwrite", "--skip-existing"], "contradict"),
        (["dream", "a.png", "--preset", "clasic"], "'clasic'"),
        (["dream", "a.png", "--model", "googlenet"], "the nearest are bvlc_googlenet"),
        (["show"], "requires an argument"),
        (["show", "a", "b"], "b"),
        (["models", "--nope"], "--nope"),
        (["config", "--config", "absent.toml"], "absent.toml"),
    ],
)
def test_wrong_usage_is_one_line_and_2(run, photo, typed, expected):
    found = run(*typed)
    assert found.code == 2
    assert found.out == ""
    assert found.err.count("\n") == 1
    assert found.err.startswith("phosphene: E_")
    assert expected in found.err
