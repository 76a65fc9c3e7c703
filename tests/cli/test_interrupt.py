"""Ctrl-C and SIGTERM: what there is, or nothing, but never half a picture."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from tiny import QUICK

from phosphene import engine, picture
from phosphene.cli import interrupt, main
from phosphene.picture import read_recipe
from phosphene.recipe import Recipe

CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
LONG = ["--octaves", "2", "--steps", "5000", "--seed", "3"]


@pytest.fixture
def signalled(monkeypatch):
    """`signalled(number, after)`: this process gets the signal when the engine has made `after` frames."""

    def signalled(number, *after):
        real = engine.dream

        def dream(*arguments, **more):
            for index, frame in enumerate(real(*arguments, **more)):
                for _ in range(after.count(index)):
                    os.kill(os.getpid(), number)
                yield frame

        monkeypatch.setattr(engine, "dream", dream)

    return signalled


@pytest.mark.parametrize(("number", "code"), CODES)
def test_the_first_signal_saves_what_there_is(run, photo, signalled, number, code):
    signalled(number, 2)
    found = run("dream", photo, "-o", "out.png", *LONG, "--json")
    assert found.code == code
    assert found.events[-1]["interrupted"] == {"octave": 1, "step": 3}
    assert "once more ends at once" in found.err
    stop = Recipe.from_text(read_recipe("out.png")).interrupted
    assert (stop.octave, stop.step) == (1, 3)
    with Image.open("out.png") as image:
        assert image.size == (96, 64)  # whole, though the first octave is smaller
    assert run("replay", "out.png", "-o", "again.png").code == code  # the fake signals again
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


def test_it_ends_the_whole_batch(run, photo, signalled, tmp_path):
    (tmp_path / "second.png").write_bytes((tmp_path / photo).read_bytes())
    signalled(signal.SIGINT, 0)
    found = run("dream", photo, "second.png", "-o", "out/", *QUICK)
    assert found.code == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo-dream.png"]


def test_the_second_signal_ends_at_once(run, photo, signalled):
    signalled(signal.SIGINT, 1, 1)
    found = run("dream", photo, "-o", "out.png", *LONG)
    assert found.code == 130
    assert not Path("out.png").exists()


def test_a_second_signal_while_saving_leaves_nothing_behind(run, photo, signalled, monkeypatch, tmp_path):
    signalled(signal.SIGINT, 1)
    real = os.fsync

    def fsync(file):
        os.kill(os.getpid(), signal.SIGINT)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    assert run("dream", photo, "-o", "out.png", *LONG).code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_handlers_are_put_back(run, photo):
    before = [signal.getsignal(number) for number in interrupt.SIGNALS]
    run("dream", photo, "-o", "out.png", *QUICK)
    assert [signal.getsignal(number) for number in interrupt.SIGNALS] == before


def test_a_process_of_its_own_is_guarded_to_its_end(monkeypatch):
    before = [signal.getsignal(number) for number in interrupt.SIGNALS]
    monkeypatch.setattr(sys, "argv", ["phosphene", "models"])
    try:
        assert main() == 0
        assert [signal.getsignal(number) for number in interrupt.SIGNALS] == [interrupt.stop.handle] * 2
    finally:
        for number, handler in zip(interrupt.SIGNALS, before, strict=True):
            signal.signal(number, handler)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupt.handled():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) == interrupt.stop.handle
    finally:
        signal.signal(signal.SIGINT, before)


def start(*typed):
    command = [sys.executable, "-m", "phosphene", "dream", "photo.png", "-o", "out.png", *typed]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_real_process_is_interrupted_while_it_loads(photo):
    with start(*LONG) as process:
        time.sleep(0.6)  # any moment before the first frame will do
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "")
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


def test_a_real_process_is_interrupted_while_it_dreams(photo):
    with start(*LONG, "--json") as process:
        for line in process.stdout:
            if json.loads(line)["event"] == "frame":
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert picture.open_picture("out.png").size == (64, 96)
    assert Recipe.from_text(read_recipe("out.png")).interrupted
    assert sorted(path.name for path in Path().iterdir()) == ["out.png", "photo.png"]
