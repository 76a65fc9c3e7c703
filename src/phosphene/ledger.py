"""A SQLite file that a fault doesn't take along: what is damaged is set aside, the last good copy taken."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def opened(path: Path, **how: Any) -> tuple[sqlite3.Connection, str]:
    """The base at `path`, and in words what had to be done to it, if anything. `how` is sqlite3's.

    Raises sqlite3.OperationalError where it is locked, or where there is no room or no right to open it.
    """
    base = sqlite3.connect(path, **how)
    try:
        if base.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
            return base, ""
    except sqlite3.OperationalError:
        base.close()
        raise
    except sqlite3.DatabaseError:
        pass
    base.close()
    aside = _set_aside(path)
    copy = _copy_of(path)
    if not copy.exists():
        return sqlite3.connect(path, **how), f"{path.name} was damaged; it is kept as {aside.name}"
    copy.replace(path)
    base, more = opened(path, **how)  # the copy may be damaged too: then there is none any more
    return base, more or f"{path.name} was damaged, and its last copy is taken; it is kept as {aside.name}"


def keep(base: sqlite3.Connection, path: Path) -> None:
    """Keep a copy of all that is in the base at `path`, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        with closing(sqlite3.connect(part)) as copy:
            base.backup(copy)
        part.replace(_copy_of(path))
    finally:
        part.unlink(missing_ok=True)


def _copy_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.copy")


def _set_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    for ending in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return aside
