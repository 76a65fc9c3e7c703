"""Files that appear whole or not at all.

The content goes to a hidden temporary file in the same folder, is brought to the disk, and only
then takes the final name. A process that is killed leaves at most `.NAME.XXXX.part`.
"""

from __future__ import annotations

import errno
import glob
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from phosphene.errors import PhospheneError
from phosphene.picture.source import shown

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}

REASONS = {
    errno.ENOENT: "the folder doesn't exist; make it first",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.EACCES: "no permission to write in this folder",
    errno.EPERM: "no permission to write in this folder",
    errno.EROFS: "the disk is read-only",
    errno.EISDIR: "it is a folder; name a file in it",
    errno.ENAMETOOLONG: "the name is too long for a file",
}


@contextmanager
def write(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[IO[bytes]]:
    """A binary file to fill, which becomes `path` when the block ends and vanishes when it raises.

    Without `overwrite` an existing file is never replaced, not even one that appears meanwhile
    (on a disk without hard links that last moment has no guard). With it the new file takes the
    old one's permissions; a new one gets those of the umask. A symbolic link stays and the file
    it leads to is replaced. Other names of the same file (hard links) keep the old content.

    Raises E_EXISTS, E_OUTPUT (no such folder, no permission, a folder or a device of that name) and
    E_DISK (full).
    """
    target = check(path, overwrite)
    part = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.part")
    with reported(path):
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(part, flags, 0o666), "w+b") as file:
                with suppress(FileNotFoundError):
                    part.chmod(stat.S_IMODE(target.stat().st_mode))
                yield file
                file.flush()
                os.fsync(file.fileno())
            publish(part, target, overwrite)
        finally:
            with suppress(OSError):
                part.unlink()


def check(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """The file that writing to `path` will make, links resolved; raises now what would fail later.

    For use before long work: E_EXISTS, or E_OUTPUT for a missing folder and the like.
    """
    with reported(path):
        try:
            target = Path(os.path.realpath(path))
            mode = target.lstat().st_mode
        except ValueError:
            raise PhospheneError(
                "E_OUTPUT", f"{shown(path)} can't be written: that is no file name"
            ) from None
        except FileNotFoundError:
            mode = 0
        if mode and not stat.S_ISREG(mode):
            kind = (
                "a folder; name a file in it"
                if stat.S_ISDIR(mode)
                else "no regular file; use - for standard output"
            )
            raise PhospheneError("E_OUTPUT", f"{shown(path)} can't be written: it is {kind}")
        if mode and not overwrite:
            raise PhospheneError("E_EXISTS", f"{shown(path)} exists; use --overwrite to replace it")
        if not os.access(target.parent, os.W_OK):
            raise OSError(errno.EACCES if target.parent.is_dir() else errno.ENOENT, "")
    return target


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what killed writers of `path` have left; for who knows that nobody else is writing it."""
    target = Path(os.path.realpath(path))
    if len(target.name) > 40:  # the names of the parts don't tell whose they are
        return
    with suppress(OSError):
        for part in target.parent.glob(f"{glob.escape(f'.{target.name}.')}{'[0-9a-f]' * 8}.part"):
            part.unlink(missing_ok=True)


def publish(part: Path, target: Path, overwrite: bool) -> None:
    """Give the finished file its final name, in one step."""
    if overwrite:
        part.replace(target)
    else:
        try:
            os.link(part, target)  # unlike a rename it fails where the name is taken
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "") from None
            part.replace(target)
    with suppress(OSError, AttributeError):  # the new name, too, survives a power cut
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def reported(path: str | os.PathLike[str]) -> Iterator[None]:
    """What the system says about writing to `path`, as a `PhospheneError`."""
    try:
        yield
    except FileExistsError:
        raise PhospheneError("E_EXISTS", f"{shown(path)} exists; use --overwrite to replace it") from None
    except OSError as error:
        if error.errno is None or isinstance(error, BrokenPipeError):
            raise
        reason = REASONS.get(error.errno) or error.strerror or str(error)
        code = "E_DISK" if error.errno in FULL else "E_OUTPUT"
        reason = "the disk is full; make room and try again" if code == "E_DISK" else reason
        raise PhospheneError(code, f"{shown(path)} can't be written: {reason}") from None
