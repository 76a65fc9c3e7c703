"""Where a picture comes from: a path, bytes or a stream, opened without ever hanging.

Everything that goes wrong before the first byte is an E_INPUT error in one line.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from phosphene.errors import PhospheneError

Source = str | os.PathLike[str] | bytes | BinaryIO

MAX_STREAM = 4 * 2**30  # bytes that are read from a stream that may never end

REASONS = {
    errno.ENOENT: "there is no such file",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ELOOP: "it is a link that leads to itself",
    errno.ENAMETOOLONG: "the name is too long for a file",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.ENXIO: "it is a device or a socket, not a picture file",
}


class Opened(NamedTuple):
    """A seekable binary file at its start; `name` is fit to be printed, `suffix` is lower case."""

    file: IO[bytes]
    name: str
    suffix: str


def shown(name: object) -> str:
    """A file name fit for a terminal: control and undecodable bytes as escapes, at most 200 long."""
    text = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return safe if len(safe) <= 200 else f"{safe[:100]}…{safe[-99:]}"


@contextmanager
def opened(source: Source) -> Iterator[Opened]:
    """`source` opened for reading; a file is closed afterwards, a caller's stream is left open.

    A stream (stdin, a socket, an upload) is read to its end, up to 4 GiB. FIFOs, devices, folders
    and sockets are refused by path, as waiting for one of them could take for ever.
    """
    if isinstance(source, str | os.PathLike):
        with open_regular(source) as file:
            yield Opened(file, shown(source), Path(source).suffix.lower())
        return
    name = "the picture"
    if isinstance(source, bytes | bytearray | memoryview):
        data: Any = bytes(source)
    elif hasattr(source, "read"):
        label = getattr(source, "name", None)
        name = shown(label) if isinstance(label, str) and label else name
        try:
            data = source.read(MAX_STREAM + 1)
        except (OSError, ValueError) as error:
            raise PhospheneError("E_INPUT", f"{name} can't be read: {error}") from None
    else:
        raise PhospheneError(
            "E_INPUT", f"got {type(source).__name__}, expected a path, bytes or a binary stream"
        )
    if not isinstance(data, bytes):
        raise PhospheneError("E_INPUT", f"{name} gives text, expected a stream opened in binary mode")
    if len(data) > MAX_STREAM:
        raise PhospheneError(
            "E_TOO_LARGE", f"{name} gave more than {MAX_STREAM >> 30} GiB; save it as a file first"
        )
    yield Opened(io.BytesIO(data), name, "")


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """The regular file at `path`, open for reading; anything else is E_INPUT, at once."""
    name = shown(path)
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (Path turns "" into the current folder)
        refuse_special(mode, name)  # before open(), which alone can disturb a device
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno == errno.ENOENT and Path(path).is_symlink():
            reason = "it is a link to a file that is not there"
        else:
            reason = REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise PhospheneError("E_INPUT", f"{name} can't be read: {reason}") from None
    except ValueError:  # a NUL in the name
        raise PhospheneError("E_INPUT", f"{name} can't be read: that is no file name") from None
    file = os.fdopen(descriptor, "rb")
    try:
        refuse_special(os.fstat(descriptor).st_mode, name)
    except PhospheneError:
        file.close()
        raise
    return file


def refuse_special(mode: int, name: str) -> None:
    """Raise E_INPUT unless `mode` is that of a regular file."""
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise PhospheneError("E_INPUT", f"{name} is a folder, expected a picture file; name the files in it")
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise PhospheneError(
        "E_INPUT", f"{name} is {kind}, expected a picture file; use - to read standard input"
    )
