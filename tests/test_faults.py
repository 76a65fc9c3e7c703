"""The table of faults keeps its word, and a few faults that have no other home."""

import os
import re
import subprocess
import sys
import time
from functools import cache

import pytest
from PIL import Image

from docs_pages import ROOT
from phosphene.catalog.status import _rates
from phosphene.catalog.store import Store
from phosphene.studio.store import Store as Kept

PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
LINES = [line for line in PAGE.splitlines() if re.match(r"\| \d", line)]
ROWS = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in LINES]
CODES = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


@cache
def text_of(path):
    return path.read_text(encoding="utf-8")


def test_every_fault_has_its_row():
    assert [int(row[0]) for row in ROWS] == list(range(1, 99))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_tests_and_codes_that_there_are(row):
    number, fault, promise, tests, figure = row
    named = re.findall(r"`([\w/]+\.py)::([^`]+)`", tests)
    assert named or figure.startswith("not tested: "), f"{number}: {fault}"
    for file, name in named:
        text = text_of(ROOT / "tests" / file)
        there = name[1:] in text if name[0] == "@" else re.search(rf"def {name}\(", text)
        assert there, f"{number}: {file}::{name}"
    for code in re.findall(r"`(E_\w+)`", promise):
        assert f"| `{code}` |" in CODES, code


@pytest.mark.skipif(os.name != "posix", reason="limits of descriptors are POSIX's")
@pytest.mark.parametrize("most", [6, 8])
def test_hardly_any_descriptors(tmp_path, most):
    import resource

    Image.new("RGB", (48, 48), "red").save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "phosphene", "dream", "photo.png", "-o", "out.png"]
    done = subprocess.run(
        [*command, "--steps", "1", "--octaves", "1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{os.environ['PYTHONPATH']}"},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)),
    )
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert re.search(r"phosphene: E_\w+: ", done.stderr)
        assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]
    else:
        with Image.open(tmp_path / "out.png") as made:
            assert made.size == (48, 48)


@pytest.fixture
def clock(monkeypatch):
    """Puts the wall's clock forward or back by so many seconds."""
    real, jump = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jump[0])
    return lambda seconds: jump.__setitem__(0, jump[0] + seconds)


DAY = 86_400


@pytest.mark.parametrize("first", [DAY, -DAY])
def test_a_clock_that_jumps(tmp_path, clock, first):
    kept = Kept(tmp_path / "studio")
    names = [kept.add_job("somebody", "dream", {})]
    for jump in (first, -2 * first):
        clock(jump)
        names.append(kept.add_job("somebody", "dream", {}))
    assert {job["id"] for job in kept.queue()} == set(names)
    kept.close()
    site = Store(str(tmp_path / "site"), make=True)
    for number in range(4):
        site.base.execute(
            "insert into items values (?, 'a', 'noise', 8, 'cpu', 1, 8, 2.0, 'here', 1, ?)",
            (str(number), time.time()),
        )
        clock(first * (-1) ** number)
    clock(-3 * abs(first))
    assert 0 <= _rates(site, working=True, ended=set())[0] < 100
    assert 0 <= _rates(site, working=False, ended=set())[0] < 100
    site.close()
