"""Which photos: names, patterns, folders and lists, without any help from the shell."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from phosphene.errors import PhospheneError
from phosphene.folder import SUFFIXES

STDIN = "-"
MAX_LIST_BYTES = 100_000_000


def photos(names: Sequence[str], *, files_from: str = "", recursive: bool = False) -> list[str]:
    """The photos to dream on, in order; E_INPUT or E_PARAM where there is nothing to find.

    A name with `*`, `?` or `[` that isn't a file is a pattern (`**` for any depth); a folder gives
    the pictures under it with `recursive`; `files_from` is a file, or `-`, with one name per line.
    """
    if STDIN in names and files_from == STDIN:
        raise PhospheneError(
            "E_PARAM", "stdin can't be both a photo and the list of photos; give one of them"
        )
    if list(names).count(STDIN) > 1:
        raise PhospheneError("E_PARAM", "stdin is one photo; give - once")
    found: list[str] = []
    for name in names:
        found += _found(name, recursive)
    return found + (_listed(files_from) if files_from else [])


def _found(name: str, recursive: bool) -> list[str]:
    if name == STDIN:
        return [name]
    if not name or "\0" in name:
        raise PhospheneError("E_INPUT", "a photo's name is empty; give the path of a picture")
    if os.path.isdir(name):  # noqa: PTH112 (Path's raises for names that are too long)
        return _under(name, recursive)
    if os.path.lexists(name) or not glob.has_magic(name):
        return [name]
    matches = sorted(path for path in glob.glob(name, recursive=True) if not Path(path).is_dir())  # noqa: PTH207
    if not matches:
        raise PhospheneError("E_INPUT", f"no file matches {name}; check the pattern")
    return matches


def _under(folder: str, recursive: bool) -> list[str]:
    """The pictures under a folder, by their suffix; links to folders aren't followed."""
    if not recursive:
        raise PhospheneError(
            "E_INPUT", f"{folder} is a folder, expected a picture; add --recursive for all pictures in it"
        )
    matches = sorted(
        str(Path(place, file))
        for place, _, files in os.walk(folder)
        for file in files
        if Path(file).suffix.lower() in SUFFIXES
    )
    if not matches:
        raise PhospheneError("E_INPUT", f"{folder} has no pictures in it; give another folder")
    return matches


def _listed(source: str) -> list[str]:
    """Names from a file or stdin, one per line, as they are: no patterns, no folders."""
    try:
        if source == STDIN:
            data = stdin_bytes(MAX_LIST_BYTES)
        else:
            with Path(source).open("rb") as file:
                data = file.read(MAX_LIST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhospheneError("E_INPUT", f"{source}: {reason}; give a readable list of files") from None
    if len(data) > MAX_LIST_BYTES or b"\0" in data:
        raise PhospheneError("E_INPUT", f"{source} is no list of files; expected one name per line")
    names = [line.rstrip("\r") for line in os.fsdecode(data).split("\n")]
    return [name for name in names if name]


def stdin_bytes(limit: int = -1) -> bytes:
    """All of stdin, up to one byte past `limit`; never waits for a person to type a picture."""
    if sys.stdin is None or sys.stdin.isatty():
        raise PhospheneError("E_INPUT", "stdin is a terminal; pipe a picture into it, or give a file's name")
    return sys.stdin.buffer.read(limit + 1 if limit >= 0 else -1)
