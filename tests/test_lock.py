"""One writer per output."""

import subprocess
import sys

import pytest

from phosphene.errors import PhospheneError
from phosphene.lock import only_writer

HOLD = """
import sys
from phosphene.lock import only_writer
with only_writer(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of `out.png`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out.png")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_writer_is_refused(other, tmp_path):
    (tmp_path / "link.png").symlink_to("out.png")
    for path in ("out.png", "./out.png", str(tmp_path / "out.png"), "link.png"):
        with pytest.raises(PhospheneError, match="another phosphene") as error, only_writer(path):
            pass
        assert error.value.code == "E_EXISTS"


def test_other_outputs_are_free(other):
    with only_writer("other.png"):
        pass


def test_a_dead_writer_holds_nothing(other):
    other.kill()
    other.wait()
    with only_writer("out.png"):
        pass


def test_it_can_be_taken_again():
    for _ in range(2):
        with only_writer("out.png"):
            pass


def test_where_there_can_be_no_lock_the_work_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with only_writer("out.png"):
        pass


def test_what_is_no_file_needs_no_lock():
    with only_writer("-"), only_writer("-"), only_writer(""), only_writer(""):
        pass
