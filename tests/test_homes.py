"""Each platform's own places, and what the environment says of them."""

from pathlib import Path

import pytest

from phosphene import homes

U = Path("/home/u")


@pytest.mark.parametrize(
    ("platform", "environment", "config", "cache", "data"),
    [
        ("linux", {"HOME": "/home/u"}, ".config", ".cache", ".local/share"),
        (
            "darwin",
            {},
            *("Library/Application Support", "Library/Caches", "Library/Application Support"),
        ),
        ("win32", {}, "AppData/Roaming", "AppData/Local", "AppData/Local"),
        ("win32", {"APPDATA": "/home/u/r", "LOCALAPPDATA": "/home/u/l"}, "r", "l", "l"),
        ("linux", {"XDG_CONFIG_HOME": "/home/u/x", "HOME": "/home/u"}, "x", ".cache", ".local/share"),
        (
            "darwin",
            {"XDG_CACHE_HOME": "/home/u/x"},
            "Library/Application Support",
            "x",
            "Library/Application Support",
        ),
        ("linux", {"XDG_DATA_HOME": "/home/u/x"}, ".config", ".cache", "x"),
    ],
)
def test_where_things_are(monkeypatch, platform, environment, config, cache, data):
    monkeypatch.setattr(homes.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: U)
    assert homes.config(environment) == U / config / "phosphene"
    assert homes.cache(environment) == U / cache / "phosphene"
    assert homes.data(environment) == U / data / "phosphene"
