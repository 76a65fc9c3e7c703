"""A site's files: in a folder, or wherever fsspec reaches (s3://…, memory://…)."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from phosphene.errors import PhospheneError
from phosphene.picture import atomic


class Files(Protocol):
    """Names are relative, with / between folders. What is written appears whole or not at all."""

    place: str

    @property
    def folder(self) -> Path | None:
        """Where it is on this machine, if it is."""

    def read(self, name: str) -> bytes | None: ...
    def write(self, name: str, data: bytes, *, again: bool = True) -> None: ...
    def names(self, folder: str) -> list[str]: ...
    def remove(self, name: str) -> None: ...


def files(place: str) -> Files:
    """Those at `place`, a folder (made when something is written) or a URL. E_FORMAT without fsspec."""
    return Remote(place) if "://" in place else Local(place)


class Local:
    """A folder."""

    def __init__(self, place: str) -> None:
        self.folder = Path(place).absolute()  # the same for workers, wherever they run
        self.place = str(self.folder)

    def read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, data: bytes, *, again: bool = True) -> None:
        """Unless `again`, a file that is there is left alone: its name says what is in it."""
        path = self.folder / name
        if not again and path.exists():
            return
        with atomic.reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
            try:
                with part.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(path.name for path in (self.folder / folder).iterdir() if path.name[0] != ".")
        except (FileNotFoundError, NotADirectoryError):
            return []

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)


class Remote:
    """Through fsspec, whose `pipe` puts an object as a whole."""

    folder: Path | None = None

    def __init__(self, place: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise PhospheneError(
                "E_FORMAT", f"{place}: needs fsspec; pip install 'phosphene[catalog]'"
            ) from None
        self.place = place
        try:
            self.system: Any
            self.system, self.root = fsspec.core.url_to_fs(place)
        except (ImportError, ValueError) as error:
            raise PhospheneError("E_OUTPUT", f"{place[:200]}: {str(error)[:200]}") from None
        self.root = self.root.rstrip("/")

    def read(self, name: str) -> bytes | None:
        try:
            with self._reached():
                data: bytes = self.system.cat_file(f"{self.root}/{name}")
        except FileNotFoundError:
            return None
        return data

    def write(self, name: str, data: bytes, *, again: bool = True) -> None:
        path = f"{self.root}/{name}"
        with self._reached():
            if not again and self.system.exists(path):
                return
            self.system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.system.pipe_file(path, data)

    def names(self, folder: str) -> list[str]:
        self.system.invalidate_cache()
        try:
            with self._reached():
                found = self.system.ls(f"{self.root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._reached():
            self.system.rm_file(f"{self.root}/{name}")

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """E_DISK, E_OUTPUT. Each system has errors of its own, and not all of them are OSErrors."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            code = "E_DISK" if getattr(error, "errno", None) in atomic.FULL else "E_OUTPUT"
            text = " ".join(str(error).split())[:200] or type(error).__name__
            raise PhospheneError(code, f"{self.place}: {text}; is it reachable, and allowed?") from None
