"""A tiny photo, a folder of one's own, networks that are loaded once, and `phosphene` in this process."""

import json
import sys
from functools import cache
from types import SimpleNamespace

import pytest
from tiny import make_photo

from phosphene import models
from phosphene.cli import main

cached_load = cache(models.load)


def load(*arguments, **more):
    """The network, loaded once; tiny pictures are quickest on one thread."""
    import torch

    torch.set_num_threads(1)
    return cached_load(*arguments, **more)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No settings of whoever runs the tests; networks are loaded once for all of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "xterm")
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(models, "load", load)
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    yield
    if torch:
        torch.set_num_threads(threads)


@pytest.fixture
def photo(tmp_path):
    """`photo.png`, 96×64, in the current folder."""
    return make_photo(tmp_path / "photo.png").name


@pytest.fixture
def run(capfd):
    """`run("dream", …)` gives exit code, stdout and stderr; `events` are the lines of JSON on stdout."""

    def run(*arguments):
        code = main(list(arguments))
        out, err = capfd.readouterr()
        events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return SimpleNamespace(code=code, out=out, err=err, events=events)

    return run
