"""One writer per file, even among processes.

Every output stands for one byte of one file in the temporary folder, and whoever is writing it
holds that byte's lock. The system gives locks back when a process dies, however it dies, so there
is nothing to clean up. Where there can be no lock (other machines on a network disk, a read-only
temporary folder) the last word is had by the rename that refuses to replace a file.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phosphene.errors import PhospheneError


@contextmanager
def only_writer(path: str) -> Iterator[None]:
    """Hold the lock of the output `path`; E_EXISTS if another process is writing it.

    "" and "-" are no files and need none. As the system has it, a process that lets go of one of its
    locks lets go of all: take several in one `with`.
    """
    if path in ("", "-"):
        yield
        return
    place = (
        int.from_bytes(hashlib.sha256(os.path.realpath(path).encode(errors="surrogateescape")).digest()[:7])
        >> 1
    )
    try:
        file = _open()
    except OSError:
        yield
        return
    try:
        if not _taken(file, place):
            raise PhospheneError(
                "E_EXISTS",
                f"{path} is being written by another phosphene; wait for it, or choose another output",
            )
        yield
    finally:
        os.close(file)


def taken(path: Path) -> int | None:
    """Make or open the lock file `path` and take its lock: what to close to let go, None if another has it.

    The file stays: to remove it would let two processes hold two files of one name.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    if _taken(file, 0):
        return file
    os.close(file)
    return None


def _open() -> int:
    user = os.getuid() if sys.platform != "win32" else "user"
    name = Path(tempfile.gettempdir(), f"phosphene-{user}.lock")
    return os.open(name, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _taken(file: int, place: int) -> bool:
    """Whether the byte at `place` could be locked; True as well where locks don't work at all."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, place, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
