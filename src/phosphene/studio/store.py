"""What the studio keeps: jobs and uploads in SQLite, their files beside it under names that say nothing."""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from phosphene import ledger

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, visitor TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, asked TEXT NOT NULL,
    created REAL NOT NULL, served REAL NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0, progress TEXT NOT NULL DEFAULT '{}', error TEXT
);
CREATE INDEX IF NOT EXISTS jobs_of ON jobs (visitor, created);
CREATE INDEX IF NOT EXISTS jobs_in ON jobs (state);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, visitor TEXT NOT NULL, name TEXT NOT NULL, width INTEGER NOT NULL,
    height INTEGER NOT NULL, recipe TEXT, created REAL NOT NULL, film TEXT
);
"""
WAITING = ("queued", "running")
OVER = ("done", "failed", "cancelled")
UNUSED = 7 * 24 * 3600.0  # s that an upload is kept for which nobody asked a dream


def identifier() -> str:
    """A name that can't be guessed."""
    return secrets.token_hex(16)


class Store:
    """One folder. Its methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.files, self.cache = folder / "files", folder / "cache"
        for place in (folder, self.files, self.cache):
            place.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._path = folder / "studio.db"
        self._base, self.note = ledger.opened(self._path, check_same_thread=False, isolation_level=None)
        self._base.row_factory = sqlite3.Row
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=NORMAL")
        self._base.executescript(SCHEMA)
        if "film" not in {row["name"] for row in self._do("PRAGMA table_info(uploads)")}:
            self._do("ALTER TABLE uploads ADD COLUMN film TEXT")
        self._do("UPDATE jobs SET state = 'queued' WHERE state = 'running'")  # the last server was killed
        self._keep()

    def close(self) -> None:
        self._base.close()

    def file(self, name: str, kind: str) -> Path:
        """The file of a job or an upload."""
        return self.files / f"{name}.{kind}"

    def add_job(self, visitor: str, kind: str, asked: dict[str, Any]) -> str:
        name = identifier()
        self._do(
            "INSERT INTO jobs (id, visitor, kind, state, asked, created) VALUES (?, ?, ?, 'queued', ?, ?)",
            (name, visitor, kind, json.dumps(asked), time.time()),
        )
        return name

    def add_upload(
        self,
        name: str,
        visitor: str,
        title: str,
        size: tuple[int, int],
        recipe: str | None,
        film: dict[str, Any] | None = None,
    ) -> None:
        """A picture of (H, W), or a film with its frames, seconds and fps."""
        self._do(
            "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (name, visitor, title, size[1], size[0], recipe, time.time(), json.dumps(film) if film else None),
        )

    def forget(self) -> None:
        """Uploads that are no job's, after a week."""
        parts = ", ".join(f"json_extract(j.asked, '$.{part}')" for part in ("photo", "mask", "guide", "film"))
        rows = self._do(
            "DELETE FROM uploads WHERE created < ? AND NOT EXISTS"
            f" (SELECT 1 FROM jobs j WHERE j.visitor = uploads.visitor AND uploads.id IN ({parts}))"
            " RETURNING id",
            (time.time() - UNUSED,),
        )
        for row in rows:
            self._clear(row["id"])

    def sweep(self) -> None:
        """What a kill left of uploads that were coming; nobody may be sending any."""
        self.forget()
        known = {row["id"] for row in self._do("SELECT id FROM uploads")}
        for path in self.files.glob("*.upload"):
            if path.stem not in known:
                self._clear(path.stem)

    def job(self, name: str, visitor: str | None = None) -> dict[str, Any] | None:
        """A job, if it is that visitor's."""
        rows = self._do("SELECT * FROM jobs WHERE id = ?", (name,))
        if not rows or (visitor is not None and rows[0]["visitor"] != visitor):
            return None
        return _read(rows[0])

    def upload(self, name: str, visitor: str | None = None) -> dict[str, Any] | None:
        rows = self._do("SELECT * FROM uploads WHERE id = ?", (name,))
        if not rows or (visitor is not None and rows[0]["visitor"] != visitor):
            return None
        found = dict(rows[0])
        return {**found, "film": json.loads(found["film"]) if found["film"] else None}

    def jobs(self, visitor: str, before: float | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """A visitor's, the newest first."""
        rows = self._do(
            "SELECT * FROM jobs WHERE visitor = ? AND created < ? ORDER BY created DESC LIMIT ?",
            (visitor, 9e18 if before is None else before, limit),
        )
        return [_read(row) for row in rows]

    def waiting(self, visitor: str | None = None) -> int:
        """How many jobs are queued or running, of all or of one visitor."""
        who, values = ("", ()) if visitor is None else (" AND visitor = ?", (visitor,))
        rows = self._do(f"SELECT count(*) AS n FROM jobs WHERE state IN ('queued', 'running'){who}", values)
        return int(rows[0]["n"])

    def queue(self) -> list[dict[str, Any]]:
        """The queued jobs in their order: who was served longest ago comes first, then who asked first."""
        rows = self._do(
            "SELECT j.*, (SELECT max(served) FROM jobs o WHERE o.visitor = j.visitor) AS last,"
            " (SELECT count(*) FROM jobs e WHERE e.visitor = j.visitor AND e.state = 'queued'"
            "  AND e.created < j.created) AS turn"
            " FROM jobs j WHERE state = 'queued' ORDER BY turn, last, created"
        )
        return [_read(row) for row in rows]

    def change(self, name: str, **values: Any) -> None:
        """Set columns of a job; a dict becomes JSON."""
        columns = ", ".join(f"{column} = ?" for column in values)
        found = [json.dumps(value) if isinstance(value, dict) else value for value in values.values()]
        self._do(f"UPDATE jobs SET {columns} WHERE id = ?", (*found, name))
        if values.get("state") in OVER:
            self._keep()

    def remove(self, name: str) -> None:
        """A job and its files."""
        self._do("DELETE FROM jobs WHERE id = ?", (name,))
        self._clear(name)

    def _clear(self, name: str) -> None:
        for path in self.files.glob(f"{name}.*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _keep(self) -> None:
        with self._lock, suppress(sqlite3.Error, OSError):  # a copy that can't be made costs nobody a dream
            ledger.keep(self._base, self._path)

    def _do(self, statement: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._base.execute(statement, values).fetchall()


def _read(row: sqlite3.Row) -> dict[str, Any]:
    found = dict(row)
    for column in ("asked", "progress", "error"):
        found[column] = json.loads(found[column]) if found[column] else None
    return found


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    store = Store(folder)
    try:
        yield store
    finally:
        store.close()
