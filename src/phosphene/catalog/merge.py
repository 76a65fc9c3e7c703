"""Catalogs put side by side in one site: two networks, or one before and after it was trained on."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Sequence

from phosphene.catalog import site
from phosphene.catalog.atlas import name_of
from phosphene.catalog.record import Plan
from phosphene.catalog.store import PLAN, Store
from phosphene.errors import PhospheneError

MANY = 500  # rows copied at once


def merge(places: Sequence[str], output: str) -> int:
    """Make `output` hold the networks of the catalogs at `places`; how many they are.

    A merged site that is there already is made anew. E_INPUT where there is no catalog, E_EXISTS where
    `output` is one that isn't merged.
    """
    if len(places) < 2:
        raise PhospheneError("E_INPUT", "one catalog is nothing to merge; give two or more")
    sites = [Store(place) for place in places]
    joined = None
    try:
        if any(_same(place, output) for place in places):
            raise PhospheneError("E_EXISTS", f"{output}: one of the catalogs to merge; choose another -o")
        joined = Store(output, make=True)
        if joined.base.execute("select 1 from items limit 1").fetchone():
            raise PhospheneError("E_EXISTS", f"{output}: a catalog of its own; choose another -o")
        labels = _labels(sites)
        with joined.base:
            for table in ("networks", "units", "images"):
                joined.base.execute(f"delete from {table}")
            count = 0
            for one in sites:
                for row in one.base.execute("select * from networks order by id").fetchall():
                    values = (count, labels[count], row["model"], row["weights_sha256"], row["plan"])
                    joined.base.execute("insert into networks values (?,?,?,?,?)", values)
                    _copy(one, row["id"], joined, count)
                    for atlas in Plan.from_json(row["plan"]).atlases:
                        if data := one.files.read(name_of(atlas.sha256)):
                            joined.files.write(name_of(atlas.sha256), data, again=False)
                    count += 1
        joined.files.write(PLAN, sites[0].files.read(PLAN) or b"")
        joined.sync()
        site.build(joined)
        return count
    finally:
        for one in [*sites, *([joined] if joined else [])]:
            one.close()


def _copy(source: Store, network: int, target: Store, number: int) -> None:
    """A network's units that are shown, with their pictures."""
    _rows(source.base, target.base, "units", "network = ? and current = 1", network, number)
    chosen = (
        "network = ?1 and key in (select key from units where network = ?1 and current = 1) "
        "order by network, key, number"
    )
    _rows(source.base, target.base, "images", chosen, network, number)
    for (sha,) in target.base.execute("select distinct sha from images where network = ?", (number,)):
        for name in (f"images/{sha[:2]}/{sha}.webp", f"images/{sha[:2]}/{sha}-96.webp"):
            if data := source.files.read(name):
                target.files.write(name, data, again=False)


def _rows(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, where: str, old: int, new: int
) -> None:
    cursor = source.execute(f"select * from {table} where {where}", (old,))
    marks = ",".join("?" * len(cursor.description))
    while rows := cursor.fetchmany(MANY):
        target.executemany(f"insert into {table} values ({marks})", [(new, *tuple(row)[1:]) for row in rows])


def _labels(sites: Sequence[Store]) -> list[str]:
    """The networks' names, with the catalog's where several have the same."""
    given = [
        (str(row["label"]), os.path.basename(one.place.rstrip("/")))  # noqa: PTH119
        for one in sites
        for row in one.base.execute("select label from networks order by id")
    ]
    often = Counter(label for label, _ in given)
    return [f"{label} ({place})" if often[label] > 1 else label for label, place in given]


def _same(one: str, two: str) -> bool:
    if "://" in one or "://" in two:
        return one.rstrip("/") == two.rstrip("/")
    return os.path.realpath(one) == os.path.realpath(two)
