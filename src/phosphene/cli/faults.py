"""Every exception as one line with a stable code."""

from __future__ import annotations

import errno
import os

from phosphene.errors import PhospheneError

NO_MEMORY = ("allocate memory", "out of memory", "failed to map segment")
FULL = {errno.ENOSPC, errno.EDQUOT}


def explained(error: BaseException) -> PhospheneError:
    """What went wrong, for a person; whatever nobody foresaw is E_INTERNAL and asks for `--debug`."""
    if isinstance(error, PhospheneError):
        return error
    words = str(error)
    if isinstance(error, MemoryError) or any(sign in words.lower() for sign in NO_MEMORY):
        return PhospheneError("E_MEMORY", "out of memory; give a smaller --tile, --max-size or --scale")
    if isinstance(error, OSError) and error.errno in FULL:
        return PhospheneError("E_DISK", f"{error.strerror}; free some space, or give another output")
    if isinstance(error, OSError | ImportError) and os.strerror(errno.EMFILE) in words:
        return PhospheneError(
            "E_INPUT", f"{os.strerror(errno.EMFILE)}; close some, or raise the limit with `ulimit -n`"
        )
    if isinstance(error, OSError) and error.filename:
        return PhospheneError("E_INPUT", f"{error.filename}: {error.strerror}; check the path")
    return PhospheneError(
        "E_INTERNAL",
        f"{type(error).__name__}: {words[:300]}; this is a fault of phosphene, --debug shows where",
    )
