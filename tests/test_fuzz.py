"""The script that damages files: mutants are the same again, and a few of every kind end well."""

import subprocess
import sys

import pytest

from docs_pages import ROOT

sys.path.insert(0, str(ROOT))
pytest.importorskip("av", reason="films need PyAV")

from fuzz.corpus import KINDS, good, mutant
from fuzz.worker import decoded


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_are_read_or_refused(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        data = mutant(kind, number)
        assert data == mutant(kind, number) != good(kind)
        assert decoded(kind, number).startswith(("read", "E_"))
    assert not list(tmp_path.iterdir())


def test_a_few_by_the_command_line(tmp_path):
    command = [sys.executable, "-m", "fuzz", "--mutants", "2", "--commands", "2", "--only", "webp"]
    done = subprocess.run(
        [*command, "--write", str(tmp_path / "f.md")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kinds, 6 mutants decoded, 6 by the command line, 0 wrong" in (tmp_path / "f.md").read_text()
