"""The hub's cache on this machine, read without asking anybody: what the user has downloaded before."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
COMMIT = re.compile(r"[0-9a-f]{40}")


def cache() -> Path:
    """The folder that the hub's own library would use."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name]).expanduser()
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{above}/huggingface").expanduser() / "hub"


def snapshot(repository: str) -> Path | None:
    """The folder with the newest version of `repository`'s files that was downloaded, if any was."""
    if not NAME.fullmatch(repository):
        return None
    folder = cache() / f"models--{repository.replace('/', '--')}"
    try:
        commit = (folder / "refs/main").read_text().strip()
    except (OSError, ValueError):
        return None
    found = folder / "snapshots" / commit
    return found if COMMIT.fullmatch(commit) and found.is_dir() else None


@contextmanager
def offline() -> Iterator[None]:
    """The hub's library, wherever another calls it, asks nobody inside the `with`."""
    constants = sys.modules.get("huggingface_hub.constants")
    before = getattr(constants, "HF_HUB_OFFLINE", None)
    if constants is not None:
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if constants is not None:
            constants.HF_HUB_OFFLINE = before  # type: ignore[attr-defined]
