"""A dream that is stopped anyhow and goes on ends in the very bytes of one that never stopped."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from tiny import make_photo

from phosphene import checkpoint, engine
from phosphene.cli import main
from phosphene.picture import atomic, read_recipe
from phosphene.recipe import Recipe

QUICK = ["--objective", "blocks.1.0", "--octaves", "1", "--steps", "2"]
RUN = ["--objective", "blocks.1.0", "--octaves", "2", "--steps", "3", "--seed", "3"]
KEPT = Path(".out.png.checkpoint")


def listing(folder="."):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


class Killed(BaseException):
    """As good as kill -9: nothing of ours catches it."""


@pytest.fixture
def stopped(monkeypatch):
    """`stopped(k, how)`: when the engine has made k frames it is killed, or the process gets a signal.

    `stopped()`: it is left alone again.
    """
    real = engine.dream

    def stopped(count=0, how=Killed):
        def dream(*arguments, **more):
            for index, frame in enumerate(real(*arguments, **more), 1):
                if index == count and how is not Killed:
                    os.kill(os.getpid(), how)
                yield frame
                if index == count and how is Killed:
                    raise Killed

        monkeypatch.setattr(engine, "dream", dream)

    return stopped


wholes = {}


@pytest.fixture
def whole(run, photo):
    """The bytes of the run that is never stopped."""
    if not wholes:
        assert run("dream", photo, "-o", "whole.png", *RUN).code == 0
        wholes["out"] = Path("whole.png").read_bytes()
        Path("whole.png").unlink()
    return wholes["out"]


def test_killed_after_every_step(run, photo, whole, stopped):
    for count in range(1, 7):
        stopped(count)
        with pytest.raises(Killed):
            run("dream", photo, "-o", "out.png", *RUN, "--resume", "--checkpoint-every", "0")
        assert listing() == [str(KEPT), "photo.png"]
        stopped()
        found = run("dream", photo, "-o", "out.png", *RUN, "--resume")
        assert (found.code, found.out) == (0, "out.png\n")
        assert found.err.endswith(f"note: going on from {KEPT}\n")
        assert Path("out.png").read_bytes() == whole
        assert listing() == ["out.png", "photo.png"]
        Path("out.png").unlink()


def test_killed_at_every_step_of_one_run(run, photo, whole, stopped):
    """It never gets further than one step at a time, and still arrives."""
    stopped(1)
    for _ in range(6):
        with pytest.raises(Killed):
            run("dream", photo, "-o", "out.png", *RUN, "--resume", "--checkpoint-every", "0")
    stopped(2)
    assert run("dream", photo, "-o", "out.png", *RUN, "--resume").code == 0
    assert Path("out.png").read_bytes() == whole


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_picture_and_the_way_on(run, photo, whole, stopped, count, number):
    stopped(count, number)
    found = run("dream", photo, "-o", "out.png", *RUN, "--resume")
    assert found.code == 128 + number
    assert "--resume goes on" in found.err
    assert Recipe.from_text(read_recipe("out.png")).interrupted
    assert listing() == [str(KEPT), "out.png", "photo.png"]
    stopped()
    assert run("dream", photo, "-o", "out.png", *RUN, "--resume").code == 0
    assert Path("out.png").read_bytes() == whole
    assert listing() == ["out.png", "photo.png"]


def test_without_a_checkpoint_it_begins_and_says_so(run, photo, whole):
    found = run("dream", photo, "-o", "out.png", *RUN, "--resume")
    assert found.code == 0
    assert found.err == f"note: there is no checkpoint {KEPT}; beginning at the beginning\n"
    assert Path("out.png").read_bytes() == whole
    assert listing() == ["out.png", "photo.png"]


def test_what_is_finished_is_skipped(run, photo, whole):
    Path("out.png").write_bytes(whole)
    found = run("dream", photo, "-o", "out.png", *RUN, "--resume")
    assert (found.code, found.err) == (0, "note: out.png exists; skipped\n")
    Path("out.png").write_bytes(Path(photo).read_bytes())  # somebody's picture
    assert run("dream", photo, "-o", "out.png", *RUN, "--resume").code == 0
    assert Path("out.png").read_bytes() == Path(photo).read_bytes()


def test_killed_between_picture_and_clean_up(run, photo, whole, stopped):
    stopped(6)
    with pytest.raises(Killed):
        run("dream", photo, "-o", "out.png", *RUN, "--resume")
    Path("out.png").write_bytes(whole)
    assert "skipped" in run("dream", photo, "-o", "out.png", *RUN, "--resume", "--dry-run").err
    assert KEPT.exists()
    assert "skipped" in run("dream", photo, "-o", "out.png", *RUN, "--resume").err
    assert listing() == ["out.png", "photo.png"]


def test_an_unfinished_picture_is_not_replaced_without_its_checkpoint(run, photo, stopped):
    stopped(2, signal.SIGINT)
    run("dream", photo, "-o", "out.png", *RUN)
    stopped()
    before = Path("out.png").read_bytes()
    found = run("dream", photo, "-o", "out.png", *RUN, "--resume")
    assert found.code == 2
    assert "E_EXISTS: out.png isn't finished and has no checkpoint; give --overwrite" in found.err
    assert Path("out.png").read_bytes() == before


def test_a_picture_that_does_not_say_if_it_is_finished(run, photo, whole, stopped):
    stopped(2, signal.SIGINT)
    run("dream", photo, "-o", "out.png", *RUN, "--resume", "--no-metadata")
    stopped()
    assert "E_EXISTS: out.png has no recipe" in run("dream", photo, "-o", "out.png", *RUN, "--resume").err
    assert run("dream", photo, "-o", "out.png", *RUN, "--resume", "--overwrite").code == 0
    assert Path("out.png").read_bytes() == whole


def test_the_seed_that_was_drawn_is_drawn_no_more(run, photo, stopped):
    run_ = ["dream", photo, "-o", "out.png", *QUICK, "--resume"]
    stopped(1)
    with pytest.raises(Killed):
        run(*run_, "--checkpoint-every", "0")
    seed = checkpoint.identity_of(KEPT)["seed"]
    stopped()
    found = run(*run_, "--json")
    assert found.events[-1]["seed"] == seed
    assert Recipe.from_text(read_recipe("out.png")).dream.seed == seed
    assert "give --seed" in run("dream", photo, "-o", "{seed}.png", "--resume").err


def test_several_photos_each_have_their_own(run, photo, stopped):
    make_photo("second.png", seed=1)
    make_photo("third.png", seed=2)
    photos = [photo, "second.png", "third.png"]
    stopped(2, signal.SIGINT)
    found = run("dream", *photos, "-o", "out/", *QUICK, "--resume")
    assert found.code == 130
    stopped(1)
    with pytest.raises(Killed):
        run("dream", *photos, "-o", "out/", *QUICK, "--resume", "--checkpoint-every", "0")
    assert listing("out") == [".second-dream.png.checkpoint", "photo-dream.png"]
    stopped()
    found = run("dream", *photos, "-o", "out/", *QUICK, "--resume")
    assert found.code == 0
    assert listing("out") == ["photo-dream.png", "second-dream.png", "third-dream.png"]
    seeds = {Recipe.from_text(read_recipe(path)).dream.seed for path in Path("out").iterdir()}
    (seed,) = seeds  # as if it had never been stopped
    assert run("dream", *photos, "-o", "again/", *QUICK, "--seed", str(seed)).code == 0
    for path in Path("out").iterdir():
        assert Path("again", path.name).read_bytes() == path.read_bytes()


def test_a_file_or_folder_of_ones_own(run, photo, stopped):
    make_photo("second.png", seed=1)
    typed = [photo, "second.png", "-o", "out/", *QUICK, "--seed", "3"]
    found = run("dream", *typed, "--checkpoint", "one")
    assert found.code == 2
    assert "E_PARAM: --checkpoint 'one' is another file of this run" in found.err
    stopped(1, signal.SIGINT)
    assert run("dream", *typed, "--checkpoint", "kept/").code == 130
    assert listing("kept") == [".photo-dream.png.checkpoint"]
    stopped()
    assert run("dream", *typed, "--checkpoint", "kept/", "--resume").code == 0
    assert listing("kept") == []


def test_standard_output_needs_a_named_one(run, photo, whole, stopped):
    assert "give --checkpoint FILE" in run("dream", photo, "-o", "-", *RUN, "--resume").err
    stopped(2)
    with pytest.raises(Killed):
        run("dream", photo, "-o", "-", *RUN, "--checkpoint", "kept", "--checkpoint-every", "0")
    stopped()
    assert run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", "kept", "--resume").code == 0
    assert Path("out.png").read_bytes() == whole


@pytest.mark.parametrize("name", ["photo.png", "./photo.png", "out.png"])
def test_a_checkpoint_is_no_other_file_of_the_run(run, photo, name):
    before = Path(photo).read_bytes()
    found = run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", name, "--overwrite")
    assert found.code == 2
    assert "E_PARAM: --checkpoint" in found.err
    assert Path(photo).read_bytes() == before


def test_a_file_that_is_no_checkpoint_is_never_replaced(run, photo):
    Path("diary.txt").write_text("dear diary")
    for flags in ([], ["--overwrite"], ["--resume"], ["--resume", "--overwrite"]):
        found = run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", "diary.txt", *flags)
        assert found.code == 2
        assert "E_CHECKPOINT: diary.txt is damaged, or no checkpoint" in found.err
        assert found.err.count("\n") == 1
    assert listing() == ["diary.txt", "photo.png"]


@pytest.fixture
def half(run, photo, stopped):
    """A run that was killed after three steps of six."""
    stopped(3)
    with pytest.raises(Killed):
        run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", "kept", "--checkpoint-every", "0")
    stopped()
    return Path("kept")


def test_a_checkpoint_is_begun_anew_on_request_only(run, photo, whole, half):
    before = half.read_bytes()
    found = run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", "kept")
    assert found.code == 2
    assert "E_EXISTS: kept exists; give --resume" in found.err
    assert half.read_bytes() == before
    assert run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", "kept", "--overwrite").code == 0
    assert Path("out.png").read_bytes() == whole
    assert not half.exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--steps", "4"], "steps: then 3, now 4"),
        (["--seed", "4"], "seed: then 3, now 4"),
        (["--objective", "blocks.3.2"], "objective: then blocks.1.0, now blocks.3.2"),
        (["--deterministic"], "deterministic: then False, now True"),
        (["--model", "efficientnet_lite0", "--octaves", "1"], "model: then efficientnet_lite2, now"),
        (["--mask", "mask.png"], "mask: then , now mask.png; mask.png's SHA-256: then nothing, now "),
    ],
)
def test_another_run_is_refused_with_what_differs(run, photo, half, flags, expected):
    make_photo("mask.png", seed=5)
    before = half.read_bytes()
    typed = {**dict(zip(RUN[::2], RUN[1::2], strict=True)), "--checkpoint": "kept"}
    typed |= dict(zip(flags[::2], flags[1::2], strict=True)) if len(flags) % 2 == 0 else {}
    words = [word for pair in typed.items() for word in pair] + (flags if len(flags) % 2 else [])
    found = run("dream", photo, "-o", "out.png", "--resume", *words)
    assert found.code == 2
    assert "E_CHECKPOINT: kept is of another run (" in found.err
    assert expected in found.err
    assert half.read_bytes() == before
    assert not Path("out.png").exists()


def test_another_photo_is_refused(run, photo, half):
    make_photo(photo, seed=9)
    found = run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", "kept", "--resume")
    assert "E_CHECKPOINT: kept is of another run (photo: then " in found.err


def test_other_software_is_refused(run, photo, half, monkeypatch):
    from phosphene import recipe

    monkeypatch.setattr(recipe, "installed", lambda package: "0.0.1" if package == "torch" else "1")
    found = run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", "kept", "--resume")
    assert "torch: then " in found.err and ", now 0.0.1" in found.err


def test_a_renamed_photo_is_the_same_photo(run, photo, half):
    Path(photo).rename("renamed.png")
    assert run("dream", "renamed.png", "-o", "out.png", *RUN, "--checkpoint", "kept", "--resume").code == 0


def test_a_damaged_checkpoint_is_one_line(run, photo, half):
    data, chance = bytearray(half.read_bytes()), random.Random(2)
    for turn in range(20):
        mutant = bytearray(data) if turn % 2 else data[: chance.randrange(len(data))]
        if turn % 2:
            mutant[chance.randrange(len(data) // 2, len(data))] ^= 1
        half.write_bytes(mutant)
        found = run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", "kept", "--resume")
        assert found.code == 2
        assert found.err.startswith("phosphene: E_CHECKPOINT: kept ")
        assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "told"), [(errno.ENOSPC, "the disk is full"), (errno.EIO, ""), (errno.EROFS, "read-only")]
)
def test_a_checkpoint_that_cannot_be_written_ends_nothing(run, photo, whole, monkeypatch, error, told):
    real = atomic.publish

    def publish(part, target, overwrite):
        if target.name == "kept":
            raise OSError(error, os.strerror(error))
        real(part, target, overwrite)

    monkeypatch.setattr(atomic, "publish", publish)
    arguments = ["--checkpoint", "kept", "--checkpoint-every", "0"]
    found = run("dream", photo, "-o", "out.png", *RUN, *arguments)
    assert found.code == 0
    assert found.err.startswith("note: no checkpoint is kept: kept can't be written: ")
    assert told in found.err
    assert found.err.count("\n") == 1
    assert Path("out.png").read_bytes() == whole
    assert listing() == ["out.png", "photo.png"]


@pytest.mark.parametrize("place", ["absent/kept", "photo.png/kept", "x" * 300, "/proc/kept"])
def test_a_place_where_no_checkpoint_can_be(run, photo, whole, place):
    found = run("dream", photo, "-o", "out.png", *RUN, "--checkpoint", place)
    assert found.code == 0
    assert found.err.count("note: no checkpoint is kept: ") == found.err.count("\n") == 1
    assert Path("out.png").read_bytes() == whole


def test_a_failed_write_leaves_the_older_checkpoint(run, photo, whole, stopped, monkeypatch):
    writes, real = [], os.fsync

    def fsync(file):
        writes.append(file)
        if len(writes) > 4:  # two checkpoints, each with its folder
            raise OSError(errno.ENOSPC, "full")
        real(file)

    stopped(5)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "fsync", fsync)
        run("dream", photo, "-o", "out.png", *RUN, "--resume", "--checkpoint-every", "0")
    assert listing() == [str(KEPT), "photo.png"]
    stopped()
    assert run("dream", photo, "-o", "out.png", *RUN, "--resume").code == 0
    assert Path("out.png").read_bytes() == whole


@pytest.mark.parametrize("every", ["-1", "nan", "soon"])
def test_wrong_intervals(run, photo, every):
    found = run("dream", photo, *RUN, "--checkpoint-every", every)
    assert found.code == 2
    assert "--checkpoint-every" in found.err


def test_a_replay_goes_on_too(run, photo, stopped):
    stopped(5, signal.SIGINT)
    run("dream", photo, "-o", "five.png", *RUN)  # five steps of six
    for count in range(1, 5):
        stopped(count)
        with pytest.raises(Killed):
            run("replay", "five.png", "-o", "out.png", "--resume", "--checkpoint-every", "0")
        stopped()
        assert run("replay", "five.png", "-o", "out.png", "--resume").code == 0
        assert Path("out.png").read_bytes() == Path("five.png").read_bytes()
        assert "skipped" in run("replay", "five.png", "-o", "out.png", "--resume").err
        assert listing() == ["five.png", "out.png", "photo.png"]
        Path("out.png").unlink()


LONG = ["--objective", "blocks.1.0", "--octaves", "2", "--steps", "12", "--seed", "3", "--threads", "1"]


def test_kill_9_at_random_moments(run, photo):
    """In the middle of writing too; a fork is a process whose network is loaded already."""
    assert run("dream", photo, "-o", "whole.png", *LONG).code == 0
    typed = ["dream", photo, "-o", "out.png", *LONG, "--resume", "--checkpoint-every", "0"]
    chance, kills = random.Random(4), 0
    for _ in range(12):
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()
        if not child:
            os._exit(main(typed))
        time.sleep(chance.uniform(0, 0.4))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        if KEPT.exists():
            assert checkpoint.load(KEPT, checkpoint.identity_of(KEPT))
        if Path("out.png").exists():
            assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()
            Path("out.png").unlink()
    assert kills
    assert run("dream", photo, "-o", "out.png", *LONG, "--resume").code == 0
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()
    assert listing() == ["out.png", "photo.png", "whole.png"]


def test_a_real_process_that_is_killed(run, photo):
    assert run("dream", photo, "-o", "whole.png", *LONG).code == 0
    command = [sys.executable, "-m", "phosphene", "dream", photo, "-o", "out.png", *LONG]
    with subprocess.Popen([*command, "--resume", "--checkpoint-every", "0"]) as process:
        while process.poll() is None and not KEPT.exists():
            time.sleep(0.01)
        process.kill()
    assert run("dream", photo, "-o", "out.png", *LONG, "--resume").code == 0
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()
    assert listing() == ["out.png", "photo.png", "whole.png"]
