"""Where this user's own files are on this platform: settings, caches, what they have made."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

Environment = Mapping[str, str]


def config(environment: Environment = os.environ) -> Path:
    """The folder for settings."""
    return _home(environment, "XDG_CONFIG_HOME", ".config", "APPDATA", "Roaming", "Application Support")


def cache(environment: Environment = os.environ) -> Path:
    """The folder for what can be got or made again."""
    return _home(environment, "XDG_CACHE_HOME", ".cache", "LOCALAPPDATA", "Local", "Caches")


def data(environment: Environment = os.environ) -> Path:
    """The folder for what a user has made."""
    return _home(environment, "XDG_DATA_HOME", ".local/share", "LOCALAPPDATA", "Local", "Application Support")


def _home(environment: Environment, xdg: str, unix: str, windows: str, roaming: str, library: str) -> Path:
    if environment.get(xdg):
        base = Path(environment[xdg])
    elif sys.platform == "win32":
        base = Path(environment.get(windows) or Path.home() / "AppData" / roaming)
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / library
    else:
        base = Path(environment.get("HOME") or Path.home()) / unix
    return base / "phosphene"
