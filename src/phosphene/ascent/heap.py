"""Memory that is kept from step to step.

glibc gives every large block back to the system when it is freed, and the system clears each of
its pages when it is wanted again. Every step of an ascent allocates the same blocks, so that takes
longer than the arithmetic: at 1024 px, a third of the time.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # mallopt's parameters
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1}
USUAL = {MMAP_MAX: 65536, MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26}  # where glibc's own adjusting ends

RETURN = {MMAP_MAX: 65536, MMAP_THRESHOLD: 2**20, TRIM_THRESHOLD: 2**20}

_users: set[object] = set()


@contextmanager
def kept() -> Iterator[None]:
    """Freed memory stays the process's inside the `with`, and is given back at its end."""
    libc = _glibc()
    if libc is None:
        yield
        return
    _users.add(user := object())
    _set(libc, KEEP)
    try:
        yield
    finally:
        _users.discard(user)
        if not _users:
            _set(libc, USUAL)
            libc.malloc_trim(0)


@contextmanager
def returned() -> Iterator[None]:
    """Freed memory is the system's again at once inside the `with`: slower, with nothing held in vain."""
    libc = _glibc()
    if libc is None:
        yield
        return
    _set(libc, RETURN)
    libc.malloc_trim(0)
    try:
        yield
    finally:
        _set(libc, KEEP if _users else USUAL)


def trim() -> None:
    """Give back what is free now, inside `kept` too: between the tiles' many blocks no picture has room."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is one whose allocator can be told."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "gnu_get_libc_version") else None


def _set(libc: ctypes.CDLL, options: dict[int, int]) -> None:
    for parameter, value in options.items():
        libc.mallopt(parameter, value)
