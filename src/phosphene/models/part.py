"""The part of a file that has arrived, and what it is a part of."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from phosphene.errors import PhospheneError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Part:
    """What has arrived of a file, and of which version of it at which address."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.file = target.with_name(f".{target.name}.part")
        self.about = target.with_name(f".{target.name}.part.json")

    def begun(self, url: str) -> tuple[int, str, int]:
        """Bytes that are here of `url`, the version that they are of ('' unknown), its size (0 unknown)."""
        try:
            about = json.loads(self.about.read_text("utf-8"))
            if about["url"] == url:
                return self.file.stat().st_size, str(about["version"]), int(about["total"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self.drop()
        return 0, "", 0

    def begin(self, url: str, version: str, total: int) -> None:
        self.drop()
        self.about.write_text(json.dumps({"url": url, "version": version, "total": total}), "utf-8")

    def drop(self) -> None:
        for path in (self.file, self.about):
            with suppress(OSError):
                path.unlink()

    def publish(self) -> None:
        """Give it its name; a power cut leaves it under the old one."""
        with self.file.open("rb+") as file:
            os.fsync(file.fileno())
        self.file.replace(self.target)
        self.drop()


@contextmanager
def written(target: Path) -> Iterator[None]:
    """What the system says about the store, as a `PhospheneError`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise PhospheneError(
                "E_DISK", f"{target.parent}: the disk is full; make room: the same command goes on from here"
            ) from None
        raise PhospheneError(
            "E_OUTPUT",
            f"{target.parent} can't be written: {error.strerror or error}; set XDG_CACHE_HOME to a folder "
            "that can",
        ) from None
