"""The program around the commands: start-up, help, versions, errors, closed pipes."""

import io
import json
import os
import pty
import shlex
import subprocess
import sys

import pytest

from phosphene import settings
from phosphene.cli import app

PHOSPHENE = [sys.executable, "-m", "phosphene"]
HEAVY = {"torch", "torchvision", "timm", "numpy", "PIL", "pyvips"}
IMPORTS = """
import json, sys
from phosphene.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "typed", [["--help"], ["dream", "--help"], ["--version"], ["models"], ["config", "--show-origin"]]
)
def test_nothing_heavy_is_imported_for_answers(typed):
    done = subprocess.run([sys.executable, "-c", IMPORTS, *typed], capture_output=True, text=True)
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert done.stdout
    assert not HEAVY & set(modules)


def test_versions(run):
    words = run("--version").out
    assert words.startswith("phosphene ")
    assert "torch 2." in words
    assert "CUDA 1" in words or "CPU only" in words
    assert "Python 3." in words


def test_no_command_is_help(run):
    found = run()
    assert found.code == 0
    assert "Usage: phosphene COMMAND" in found.out


def test_no_photo_on_a_terminal_is_help():
    master, slave = pty.openpty()
    done = subprocess.run([*PHOSPHENE, "dream"], stdin=slave, capture_output=True, text=True, timeout=60)
    os.close(master)
    os.close(slave)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Examples:\n  phosphene dream")


def test_no_photo_elsewhere_is_an_error(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    found = run("dream")
    assert found.code == 2
    assert found.err == "phosphene: E_INPUT: no photo given; name one, or - to read it from stdin\n"


def test_a_closed_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*PHOSPHENE, "models"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="streams are closed by a POSIX shell here")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_nothing_to_write_to(closed):
    line = f"{shlex.join(PHOSPHENE)} config --steps 3 {closed}; echo $? >&3"
    done = subprocess.run(["sh", "-c", f"exec 3>&1; {line}"], capture_output=True, text=True)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[-1] == "0" and ("steps = 3" in lines) == (closed == "2>&-")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_disk_behind_stdout_is_one_line():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([*PHOSPHENE, "models"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("phosphene: E_DISK: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("surprise\nat dawn"), "E_INTERNAL: RuntimeError: surprise at dawn; "),
        (MemoryError(), "E_MEMORY: out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "E_MEMORY: "),
        (ImportError("libtorch_cpu.so: failed to map segment"), "E_MEMORY: "),
        (OSError(28, os.strerror(28)), "E_DISK: No space left on device"),
        (OSError(24, os.strerror(24)), "E_INPUT: Too many open files"),
        (ImportError("libfoo.so: Too many open files"), "E_INPUT: Too many open files"),
        (PermissionError(13, os.strerror(13), "x.png"), "E_INPUT: x.png: Permission denied"),
    ],
)
def test_what_nobody_foresaw_is_one_line(run, monkeypatch, error, line):
    def fail(*_arguments, **_more):
        raise error

    monkeypatch.setattr(settings, "gather", fail)
    found = run("config")
    assert found.code == 2
    assert found.err.startswith(f"phosphene: {line}")
    assert found.err.count("\n") == 1
    assert "Traceback" not in found.err
    assert "Traceback" in run("config", "--debug").err


def test_errors_are_events_too(run):
    found = run("config", "--steps", "0", "--json")
    assert found.code == 2
    assert found.events == [
        {"v": 1, "event": "error", "code": "E_PARAM", "message": found.err.split("E_PARAM: ")[1].strip()}
    ]


def test_no_event_mixes_with_a_picture(run):
    for out in (["-o", "-"], ["-o-"], ["--output=-"]):
        found = run("dream", "absent.png", "--json", *out)
        assert found.code == 2
        assert found.out == ""
        assert json.loads(found.err)["code"] == "E_INPUT"


def test_completion_is_installed(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    found = run("--install-completion", "--shell", "fish")
    assert found.code == 0
    (script,) = tmp_path.rglob("phosphene.fish")
    assert "octave-scale" in script.read_text()
    assert str(script) in found.out


def test_a_shell_that_can_not_be_told(run, monkeypatch):
    from cyclopts.completion import ShellDetectionError

    def fail(*_arguments, **_more):
        raise ShellDetectionError

    monkeypatch.setattr(type(app.app), "install_completion", fail)
    assert "give --shell" in run("--install-completion").err
