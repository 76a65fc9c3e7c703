"""`phosphene models pull`: what is shown, what is asked, and what becomes of it."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256

import pytest

import http_server as ways
from http_server import serving
from phosphene.models import pull

PAYLOAD = random.Random(1).randbytes(100_000)
NAME = "torchvision:googlenet"
FILE = "googlenet-1378be20.pth"
PHOSPHENE = [sys.executable, "-m", "phosphene"]


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PHOSPHENE_OFFLINE", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "phosphene" / "models"


@pytest.fixture
def small(monkeypatch):
    """The small payload in place of the real file."""
    entry = replace(pull.PUBLISHED[NAME], size=len(PAYLOAD), digest=sha256(PAYLOAD).hexdigest()[:8])
    monkeypatch.setattr(pull, "PUBLISHED", {**pull.PUBLISHED, NAME: entry})
    return entry


def test_it_is_shown_and_downloaded(run, store, small):
    with serving(PAYLOAD) as server:
        found = run("models", "pull", NAME, "--yes", "--url", server.url)
    assert found.code == 0
    assert found.out == f"{store / FILE}\n"
    for words in (server.url, "0.1 MB", "licence", f"SHA-256 begins with {small.digest}"):
        assert words in found.err
    assert (store / FILE).read_bytes() == PAYLOAD
    again = run("models", "pull", NAME)
    assert (again.code, again.out) == (0, found.out)
    assert "here already" in again.err
    (row,) = [row for row in run("models").out.splitlines() if row.startswith(NAME)]
    assert "here" in row.split()


def test_as_events(run, store, small):
    with serving(PAYLOAD, ways.cut(40_000), ways.whole) as server:
        events = run("models", "pull", NAME, "--yes", "--url", server.url, "--json").events
    assert (events[0]["event"], events[-1]["event"]) == ("download", "end")
    assert {"progress", "note"} <= {event["event"] for event in events}
    assert (events[0]["url"], events[0]["size"]) == (server.url, len(PAYLOAD))
    assert (events[0]["digest"], events[0]["algorithm"]) == (small.digest, "sha256")
    assert events[-1]["output"] == str(store / FILE)
    assert [event["done"] for event in events if event["event"] == "progress"][-1] == len(PAYLOAD)


def test_nothing_without_a_yes(run, store):
    with serving(PAYLOAD) as server:
        found = run("models", "pull", NAME, "--url", server.url)
        assert server.asked == []
    assert found.code == 2
    assert "E_PARAM" in found.err and "--yes" in found.err
    assert "1378be20" in found.err
    assert not store.exists()


@pytest.mark.parametrize(("said", "downloads"), [("y\n", True), ("\n", False), ("n\n", False), ("", False)])
def test_on_a_terminal_it_asks(run, store, small, monkeypatch, said, downloads):
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(said))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with serving(PAYLOAD) as server:
        found = run("models", "pull", NAME, "--url", server.url)
        assert len(server.asked) == int(downloads)
    assert found.code == 0
    assert "[y/N]" in found.err
    assert (store / FILE).exists() == downloads


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_offline(run, store, monkeypatch, how):
    if how == "environment":
        monkeypatch.setenv("PHOSPHENE_OFFLINE", "1")
    with serving(PAYLOAD) as server:
        flags = ["--offline"] if how == "flag" else []
        found = run("models", "pull", NAME, "--yes", "--url", server.url, *flags)
        assert server.asked == []
    assert found.code == 2
    last = found.err.splitlines()[-1]
    for words in ("E_DOWNLOAD", server.url, "SHA-256 begins with 1378be20", str(store / FILE), "--weights"):
        assert words in last


def test_offline_is_no_wrong_setting(run, monkeypatch):
    monkeypatch.setenv("PHOSPHENE_OFFLINE", "1")
    assert run("config").code == 0


def test_an_unknown_name(run):
    found = run("models", "pull", "torchvision:vgg61", "--yes")
    assert found.code == 2
    assert "torchvision:vgg16" in found.err


def test_in_a_process_of_its_own_wrong_bytes_are_deleted(store):
    entry = pull.PUBLISHED[NAME]
    with serving(bytes(entry.size)) as server:
        command = [*PHOSPHENE, "models", "pull", NAME, "--yes", "--url", server.url]
        done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "E_DOWNLOAD" in done.stderr and "1378be20" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in store.iterdir()] == [f".{FILE}.lock"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_keeps_what_has_arrived(store, number, code):
    payload = bytes(pull.PUBLISHED[NAME].size)

    def half(handler, payload):
        handler.head(200, Content_Length=len(payload))
        handler.wfile.write(payload[:300_000])
        handler.server.over.wait(20)

    with serving(payload, half) as server:
        command = [*PHOSPHENE, "models", "pull", NAME, "--yes", "--url", server.url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            part = store / f".{FILE}.part"
            while not (part.exists() and part.stat().st_size == 300_000):
                assert process.poll() is None
                time.sleep(0.02)
            os.kill(process.pid, number)
            assert "goes on from there" in process.stderr.read()
        assert process.returncode == code
    assert part.stat().st_size == 300_000
