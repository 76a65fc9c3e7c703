"""Several catalogs in one site, each a network of its own: to see the same unit here and there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from phosphene.catalog.files import Files
from phosphene.catalog.run import build
from phosphene.catalog.store import PLAN, Store
from phosphene.errors import PhospheneError
from phosphene.lock import only_writer


def merge(places: Sequence[str], output: str) -> list[str]:
    """Make the site `output` of others; the networks' labels. What is there of it is made anew."""
    if len(places) < 2:
        raise PhospheneError("E_PARAM", f"{len(places)} catalog to merge, expected 2 or more")
    if output.rstrip("/") in [place.rstrip("/") for place in places]:
        raise PhospheneError("E_EXISTS", f"{output} is one of those to merge; give another -o")
    given = [Store(place) for place in places]
    with only_writer(output):
        target = Store(output, make=True)
        try:
            for table in ("networks", "units", "images"):
                target.base.execute(f"delete from {table}")
            labels: list[str] = []
            for place, source in zip(places, given, strict=True):
                for own in source.base.execute("select * from networks order by id").fetchall():
                    label = _label(own["label"], place, labels)
                    number = len(labels)
                    labels.append(label)
                    with target.base:
                        _copied(source, target, own["id"], number, label)
                for name in _pictures(source):
                    _picture(source.files, target.files, name)
            target.files.write(PLAN, given[0].plan().to_json().encode())
            target.sync()
            build(target)
        finally:
            target.close()
            for source in given:
                source.close()
    return labels


def _label(label: str, place: str, taken: Sequence[str]) -> str:
    """The network's name; beside another of that name, with its site's."""
    if label not in taken:
        return label
    named = f"{label} ({PurePath(place).name})"
    return named if named not in taken else f"{named} {len(taken)}"


def _copied(source: Store, target: Store, own: int, number: int, label: str) -> None:
    row = source.base.execute("select * from networks where id = ?", (own,)).fetchone()
    target.base.execute(
        "insert into networks values (?,?,?,?,?)",
        (number, label, row["model"], row["weights_sha256"], row["plan"]),
    )
    for table in ("units", "images"):
        rows = source.base.execute(f"select * from {table} where network = ?", (own,))
        marks = ",".join("?" * len(rows.description))
        target.base.executemany(
            f"insert into {table} values ({marks})", ((number, *tuple(row)[1:]) for row in rows)
        )


def _pictures(source: Store) -> Iterator[str]:
    """The files of all pictures that are shown."""
    rows = source.base.execute(
        "select distinct sha from images join units using (network, key) where current = 1"
    )
    for (sha,) in rows:
        yield f"images/{sha[:2]}/{sha}.webp"
        yield f"images/{sha[:2]}/{sha}-96.webp"


def _picture(source: Files, target: Files, name: str) -> None:
    """A link where that can be, else a copy."""
    if source.folder and target.folder:
        path = target.folder / name
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.folder / name, path)
        except OSError:
            part = path.with_name(f".{path.name}.part")
            shutil.copyfile(source.folder / name, part)
            part.replace(path)
    elif (data := source.read(name)) is not None:
        target.write(name, data, again=False)
