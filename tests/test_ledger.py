"""A base that is damaged is set aside, and what was kept of it is taken."""

import sqlite3
from contextlib import closing

import pytest

from phosphene import ledger


def base_of(path, rows=500):
    base, note = ledger.opened(path)
    with base:
        base.execute("create table if not exists t(n integer, text text)")
        base.executemany("insert into t values (?, ?)", [(n, "x" * 200) for n in range(rows)])
    return base, note


def count(base):
    return base.execute("select count(*) from t").fetchone()[0]


def garbage(path):
    path.write_bytes(b"this is no base" * 1000)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def bits(path):
    data = bytearray(path.read_bytes())
    for place in range(5000, len(data), 97):
        data[place] ^= 0x5A
    path.write_bytes(data)


DAMAGES = pytest.mark.parametrize("damage", [garbage, cut, bits])


def test_a_good_one_is_opened_as_it_is(tmp_path):
    base, note = base_of(tmp_path / "a.db")
    base.close()
    again, more = ledger.opened(tmp_path / "a.db")
    with closing(again):
        assert (note, more, count(again)) == ("", "", 500)


@DAMAGES
def test_the_last_copy_is_taken(tmp_path, damage):
    path = tmp_path / "a.db"
    base, _ = base_of(path)
    ledger.keep(base, path)
    base.close()
    base_of(path, 10)[0].close()
    damage(path)
    damaged = path.read_bytes()
    again, note = ledger.opened(path)
    with closing(again):
        assert count(again) == 500
    assert note == "a.db was damaged, and its last copy is taken; it is kept as a.db.damaged-1"
    assert (tmp_path / "a.db.damaged-1").read_bytes() == damaged


@DAMAGES
def test_without_a_copy_it_begins_anew(tmp_path, damage):
    path = tmp_path / "a.db"
    base_of(path)[0].close()
    damage(path)
    again, note = ledger.opened(path)
    with closing(again):
        assert again.execute("select count(*) from sqlite_master").fetchone()[0] == 0
    assert "a.db.damaged-1" in note


def test_a_damaged_copy_too(tmp_path):
    path = tmp_path / "a.db"
    base, _ = base_of(path)
    ledger.keep(base, path)
    base.close()
    garbage(path)
    garbage(tmp_path / "a.db.copy")
    again, note = ledger.opened(path)
    again.close()
    assert "a.db.damaged-2" in note
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.db", "a.db.damaged-1", "a.db.damaged-2"]


def test_what_somebody_else_holds_is_no_damage(tmp_path):
    path = tmp_path / "a.db"
    base, _ = base_of(path)
    base.execute("begin exclusive")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        ledger.opened(path, timeout=0)
    base.close()
    assert [each.name for each in tmp_path.iterdir() if "damaged" in each.name] == []
