"""A catalog's manifest: what has been made, in one SQLite file, filled from the records of the workers.

A worker leaves `records/<item>.json` when an item's pictures are written; the driver folds records into
the manifest in one transaction and then removes them. Whoever dies in between, nothing is lost: what
is left is folded by the next driver, and to fold twice changes nothing.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from phosphene import ledger
from phosphene.catalog.files import files
from phosphene.catalog.record import Item, Plan, Record, Unit
from phosphene.errors import PhospheneError
from phosphene.folder import CATALOG
from phosphene.picture import atomic

TABLES = """
create table if not exists networks(  -- one, or several of a merged catalog
  id integer primary key, label text, model text, weights_sha256 text, plan text);
create table if not exists units(  -- a row for each kind of work on a channel; `current` = 1: to be shown
  network integer, layer text, channel integer, kind text, key text, item text, current integer default 1,
  score real, percentile real, mean real, deviation real, highest real, quantiles blob, signature blob,
  primary key(network, key)) without rowid;
create index if not exists by_unit on units(network, layer, channel, kind, current);
create table if not exists images(  -- of a key, in order: images/<ab>/<sha>.webp and <sha>-96.webp
  network integer, key text, number integer, role text, sha text, width integer, height integer,
  activation real, photo text, primary key(network, key, number)) without rowid;
create table if not exists items(
  name text primary key, layer text, kind text, units integer, device text, threads integer, batch integer,
  seconds real, host text, bytes integer, finished real) without rowid;
create table if not exists failures(
  item text primary key, layer text, kind text, channels text, code text, text text, tries integer,
  at real) without rowid;
"""
MANIFEST, PLAN, FAILURES = CATALOG, "plan.json", "failures.jsonl"
QUANTILES = np.linspace(0, 1, 257)


class Store:
    """The site at `place`, a folder or a URL. A remote manifest is worked on here and put back by `sync`."""

    def __init__(self, place: str, *, make: bool = False) -> None:
        self.files = files(place)
        self.place = self.files.place
        if not make and self.files.read(PLAN) is None:
            raise PhospheneError(
                "E_INPUT", f"{place}: no catalog in it; `phosphene catalog MODEL -o {place}`"
            )
        if self.files.folder:
            if make:
                with atomic.reported(place):
                    self.files.folder.mkdir(parents=True, exist_ok=True)
            path = self.files.folder / MANIFEST
        else:
            name = hashlib.sha256(place.encode()).hexdigest()[:16]
            path = Path(tempfile.mkdtemp(prefix="phosphene-catalog-")) / f"{name}.sqlite"
            if data := self.files.read(MANIFEST):
                path.write_bytes(data)
        self.path = path
        try:
            self.base, self.note = ledger.opened(path, timeout=30)
            self.base.row_factory = sqlite3.Row
            self.base.executescript("pragma synchronous=normal;" + TABLES)
        except sqlite3.Error as error:
            raise PhospheneError("E_OUTPUT", f"{path}: {error}; is another program using it?") from None

    def close(self) -> None:
        self.base.close()

    def plan(self) -> Plan:
        """E_INPUT where there is none."""
        text = self.files.read(PLAN)
        if text is None:
            raise PhospheneError("E_INPUT", f"{self.place}: no catalog in it")
        return Plan.from_json(text)

    def known_plan(self) -> Plan | None:
        """That of an earlier run, if there was one."""
        return None if self.files.read(PLAN) is None else self.plan()

    def begin(self, plan: Plan) -> None:
        """Make this the plan of network 0."""
        self.files.write(PLAN, plan.to_json().encode())
        with self.base:
            self.base.execute(
                "insert or replace into networks values (0, ?, ?, ?, ?)",
                (plan.model, plan.model, plan.weights_sha256, plan.to_json()),
            )

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Which of these keys have been made."""
        given = list(keys)
        marks = ",".join("?" * len(given))
        rows = self.base.execute(f"select key from units where network = 0 and key in ({marks})", given)
        return {row[0] for row in rows}

    def show(self, items: Iterable[Item]) -> None:
        """What is made of these is what the site shows, rather than what other settings gave."""
        if not self.base.execute("select 1 from units limit 1").fetchone():
            return
        with self.base:
            for item in items:
                for channel, key in zip(item.channels, item.keys, strict=True):
                    self._show(item, channel, key)

    def _show(self, item: Item, channel: int, key: str) -> None:
        place = (item.layer, channel, item.kind)
        where = "network = 0 and layer = ? and channel = ? and kind = ?"
        made = self.base.execute(f"select 1 from units where {where} and key = ?", (*place, key)).fetchone()
        if made:
            self.base.execute(f"update units set current = (key = ?) where {where}", (key, *place))

    def pending(self) -> Iterator[Record]:
        """The records that no driver has folded; those that are damaged are removed."""
        for name in self.files.names("records"):
            data = self.files.read(f"records/{name}")
            try:
                if data:
                    yield Record.from_json(data)
            except (ValueError, KeyError, TypeError):
                self.files.remove(f"records/{name}")

    def fold(self, records: Iterable[Record]) -> int:
        """Take records into the manifest, in one transaction; then remove their files. How many it was."""
        given = list(records)
        with self.base:
            for record in given:
                self._add(record)
        if given:
            self.sync()
        for record in given:
            self.files.remove(f"records/{record.item.name}.json")
        return len(given)

    def _add(self, record: Record) -> None:
        item, made = record.item, record.made
        self.base.execute(
            "insert or replace into items values (?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(item.name, item.layer, item.kind, len(item.channels), made.device, made.threads),
                *(made.batch, made.seconds, made.host, record.size, time.time()),
            ),
        )
        self.base.execute("delete from failures where item = ?", (item.name,))
        for unit in record.units:
            names = ("score", "mean", "deviation", "highest")
            score, mean, deviation, highest = (unit.figures.get(name) for name in names)
            self.base.execute(
                "insert or replace into units values (0,?,?,?,?,?,1,?,null,?,?,?,?,?)",
                (
                    *(item.layer, unit.channel, item.kind, unit.key, item.name, score, mean, deviation),
                    *(highest, _blob(unit.quantiles), _blob(unit.signature)),
                ),
            )
            self._show(item, unit.channel, unit.key)
            self.base.execute("delete from images where network = 0 and key = ?", (unit.key,))
            self.base.executemany(
                "insert into images values (0,?,?,?,?,?,?,?,?)",
                [
                    (unit.key, number, one.role, one.sha, one.width, one.height, one.activation, one.photo)
                    for number, one in enumerate(unit.images)
                ],
            )
            self._compare(item, unit)

    def _compare(self, item: Item, unit: Unit) -> None:
        """The percentile of a picture's activation among those on photos, once both are there."""
        rows = self.base.execute(
            "select kind, key, score, quantiles from units "
            "where network = 0 and layer = ? and channel = ? and current = 1",
            (item.layer, unit.channel),
        ).fetchall()
        known = next((row["quantiles"] for row in rows if row["kind"] == "photos"), None)
        if known is None:
            return
        values = np.frombuffer(known, np.float16).astype(np.float64)
        for row in rows:
            if row["score"] is not None:
                place = float(np.interp(row["score"], values, QUANTILES, left=0, right=1))
                self.base.execute(
                    "update units set percentile = ? where network = 0 and key = ?", (100 * place, row["key"])
                )

    def failed(self, item: Item, code: str, text: str, tries: int) -> None:
        """Quarantine an item: it isn't tried again until that is asked for."""
        with self.base:
            self.base.execute(
                "insert or replace into failures values (?,?,?,?,?,?,?,?)",
                (item.name, item.layer, item.kind, json.dumps(item.channels), code, text, tries, time.time()),
            )
        self.log()

    def quarantined(self) -> set[str]:
        return {row[0] for row in self.base.execute("select item from failures")}

    def release(self) -> None:
        """Let what failed be tried again."""
        with self.base:
            self.base.execute("delete from failures")
        self.log()

    def log(self) -> None:
        """The failures as a file to read."""
        rows: list[dict[str, Any]] = [
            dict(row) for row in self.base.execute("select * from failures order by at")
        ]
        if rows or self.files.read(FAILURES) is not None:
            text = "".join(json.dumps(row | {"channels": json.loads(row["channels"])}) + "\n" for row in rows)
            self.files.write(FAILURES, text.encode())

    def keep(self) -> None:
        """Keep a copy of the manifest, for the day on which it is damaged."""
        if self.files.folder:
            with contextlib.suppress(sqlite3.Error, OSError):
                ledger.keep(self.base, self.path)

    def sync(self) -> None:
        """Put the manifest where the site is, unless it lies there."""
        if self.files.folder is None:
            with contextlib.closing(sqlite3.connect(self.path.with_suffix(".copy"))) as copy:
                self.base.backup(copy)
            self.files.write(MANIFEST, self.path.with_suffix(".copy").read_bytes())


def _blob(text: str) -> bytes | None:
    return base64.b64decode(text) if text else None
