"""What is told of a machine, and what isn't."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from phosphene import models
from phosphene.cli import health
from phosphene.errors import PhospheneError


def groups(found):
    assert all(event["event"] == "facts" for event in found.events)
    return {event["group"]: event["facts"] for event in found.events}


def test_all_is_well(run):
    found = run("doctor", "--json")
    assert found.code == 0
    told = groups(found)
    assert told["torch"]["version"] == torch.__version__
    assert told["torch"]["devices"].endswith("cpu")
    assert told["libraries"]["numpy"] == np.__version__
    assert told["a small dream"]["dream"].endswith("fine")
    assert not any("fails" in facts for facts in told.values())


def test_settings_and_where_they_are_from(run, monkeypatch):
    Path("phosphene.toml").write_text("steps = 7\n")
    monkeypatch.setenv("PHOSPHENE_SEED", "3")
    told = groups(run("doctor", "--json"))
    assert told["settings"] == {"steps": "7 (phosphene.toml)", "seed": "3 (PHOSPHENE_SEED)"}
    assert told["environment"]["PHOSPHENE_SEED"] == "3"


def test_what_is_broken_is_told_and_the_rest_too(run, monkeypatch):
    Path("phosphene.toml").write_text("steps = 'many'\n")

    def broken(*arguments, **more):
        raise PhospheneError("E_WEIGHTS", "the weights are damaged")

    monkeypatch.setattr(models, "load", broken)
    found = run("doctor", "--json")
    assert found.code == 1
    told = groups(found)
    assert told["settings"]["fails"].startswith("PhospheneError: phosphene.toml: steps is 'many'")
    assert told["a small dream"] == {"fails": "the weights are damaged"}
    assert told["libraries"]
    assert "Traceback" not in found.err


def test_a_network_that_dreams_nothing_is_broken(run, monkeypatch):
    from phosphene import engine

    class Still:
        def full(self):
            return torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)

    monkeypatch.setattr(engine, "dream", lambda *given: iter([Still()]))
    assert run("doctor").code == 1


def test_secrets_and_names_stay_here():
    variables = {
        "PHOSPHENE_TOKEN": "s3cret",
        "HF_TOKEN": "s3cret",
        "HF_HOME": f"{Path.home()}/hub",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "PATH": os.environ["PATH"],
        "OMP_NUM_THREADS": "1",
    }
    told = health.environment(variables)
    assert told.keys() == {"PHOSPHENE_TOKEN", "HF_TOKEN", "HF_HOME", "OMP_NUM_THREADS"}
    assert "s3cret" not in str(told)
    if Path.home() != Path("/"):
        assert str(Path.home()) not in told["HF_HOME"]


@pytest.mark.parametrize("extra", ["film", "studio", "catalog", "ray"])
def test_extras_have_their_packages(monkeypatch, extra):
    lines = [f'thing-{extra}>=1.0; extra == "{extra}"', "numpy>=2.0", 'ruff; extra == "dev"']
    monkeypatch.setattr(health.metadata, "requires", lambda name: lines)
    assert health.extras() == {extra: f"thing-{extra} missing"}
