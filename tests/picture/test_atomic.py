"""A file appears whole or not at all, whatever happens meanwhile."""

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from phosphene.errors import PhospheneError
from phosphene.picture import atomic


def fill(path, data=b"new", overwrite=False):
    with atomic.write(path, overwrite) as file:
        file.write(data)


def refused(path, code, overwrite=False):
    with pytest.raises(PhospheneError) as error:
        fill(path, overwrite=overwrite)
    assert error.value.code == code
    assert "\n" not in str(error.value)
    return str(error.value)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file(tmp_path):
    fill(tmp_path / "a.png", b"x" * 100_000)
    assert (tmp_path / "a.png").read_bytes() == b"x" * 100_000
    assert names(tmp_path) == ["a.png"]


def test_nothing_is_there_before_the_end(tmp_path):
    with atomic.write(tmp_path / "a.png") as file:
        file.write(b"half")
        file.flush()
        (part,) = names(tmp_path)
        assert part.startswith(".a.png.")
        assert part.endswith(".part")
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_left_of_a_failure(tmp_path, error, overwrite):
    if overwrite:
        (tmp_path / "a.png").write_bytes(b"old")

    def fail():
        with atomic.write(tmp_path / "a.png", overwrite) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == (["a.png"] if overwrite else [])
    assert not overwrite or (tmp_path / "a.png").read_bytes() == b"old"


def test_an_existing_file_stays_without_overwrite(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    assert "--overwrite" in refused(tmp_path / "a.png", "E_EXISTS")
    assert (tmp_path / "a.png").read_bytes() == b"old"
    fill(tmp_path / "a.png", overwrite=True)
    assert (tmp_path / "a.png").read_bytes() == b"new"
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_stays(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", raising(OSError(errno.EPERM, "no links here")))

    def meet():
        with atomic.write(tmp_path / "a.png") as file:
            file.write(b"new")
            (tmp_path / "a.png").write_bytes(b"other")

    with pytest.raises(PhospheneError, match="--overwrite") as error:
        meet()
    assert error.value.code == "E_EXISTS"
    assert (tmp_path / "a.png").read_bytes() == b"other"
    assert names(tmp_path) == ["a.png"]


def raising(error):
    def function(*_, **__):
        raise error

    return function


def test_disks_without_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", raising(OSError(errno.EPERM, "Operation not permitted")))
    fill(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"new"
    assert names(tmp_path) == ["a.png"]


def test_one_of_many_wins(tmp_path):
    start, results = threading.Barrier(8), []

    def race(number):
        start.wait()
        try:
            fill(tmp_path / "a.png", bytes([number]) * 1000)
            results.append(number)
        except PhospheneError as error:
            assert error.code == "E_EXISTS"

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = results
    assert (tmp_path / "a.png").read_bytes() == bytes([winner]) * 1000
    assert names(tmp_path) == ["a.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no umask")
@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, mask, expected):
    before = os.umask(mask)
    try:
        fill(tmp_path / "a.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such permissions")
def test_a_replaced_file_keeps_its_permissions(tmp_path):
    (tmp_path / "a.png").touch(0o600)
    (tmp_path / "a.png").chmod(0o640)
    fill(tmp_path / "a.png", overwrite=True)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


def test_missing_folders(tmp_path):
    assert "folder doesn't exist" in refused(tmp_path / "none" / "a.png", "E_OUTPUT")
    (tmp_path / "file").touch()
    assert "not a folder" in refused(tmp_path / "file" / "a.png", "E_OUTPUT")
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_that_name(tmp_path, overwrite):
    (tmp_path / "a.png").mkdir()
    assert "it is a folder" in refused(tmp_path / "a.png", "E_OUTPUT", overwrite)
    assert names(tmp_path) == ["a.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no devices")
def test_devices_and_pipes_are_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "use - for standard output" in refused(tmp_path / "pipe.png", "E_OUTPUT", overwrite=True)
    assert "use - for standard output" in refused("/dev/null", "E_OUTPUT", overwrite=True)
    assert stat.S_ISFIFO((tmp_path / "pipe.png").stat().st_mode)


def test_names_that_cannot_be(tmp_path):
    assert "too long" in refused(tmp_path / ("x" * 300 + ".png"), "E_OUTPUT")
    assert "no file name" in refused("a\0.png", "E_OUTPUT")


@pytest.mark.parametrize("name", ["🌈" * 60 + ".png", "x" * 250 + ".png", "a\nb.png", "-.png"])
def test_long_and_odd_names(tmp_path, name):
    fill(tmp_path / name)
    assert names(tmp_path) == [name]


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert "no permission" in refused(tmp_path / "a.png", "E_OUTPUT")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.EACCES, "E_OUTPUT", "no permission"),
        (errno.EROFS, "E_OUTPUT", "read-only"),
        (errno.ENOSPC, "E_DISK", "disk is full"),
        (errno.EDQUOT, "E_DISK", "disk is full"),
        (errno.EMFILE, "E_OUTPUT", "open files"),
    ],
)
def test_what_opening_may_say(tmp_path, monkeypatch, number, code, words):
    monkeypatch.setattr(os, "open", raising(OSError(number, os.strerror(number))))
    assert words in refused(tmp_path / "a.png", code)
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "link", "replace"])
@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "E_DISK"), (errno.EIO, "E_OUTPUT")])
def test_what_the_last_steps_may_say(tmp_path, monkeypatch, step, number, code):
    overwrite = step == "replace"
    if overwrite:
        (tmp_path / "a.png").write_bytes(b"old")
    monkeypatch.setattr(os, step, raising(OSError(number, os.strerror(number))))
    refused(tmp_path / "a.png", code, overwrite)
    assert names(tmp_path) == (["a.png"] if overwrite else [])
    assert not overwrite or (tmp_path / "a.png").read_bytes() == b"old"


def test_a_file_that_grows_too_large(tmp_path):
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(PhospheneError) as error:
            fill(tmp_path / "a.png", bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.code == "E_DISK"
    assert names(tmp_path) == []


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("there/real.png")
    refused(tmp_path / "link.png", "E_EXISTS")
    fill(tmp_path / "link.png", overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "there" / "real.png").read_bytes() == b"new"


def test_a_dangling_link_gets_its_file(tmp_path):
    (tmp_path / "link.png").symlink_to("real.png")
    fill(tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes() == b"new"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_to_itself(tmp_path, overwrite):
    (tmp_path / "link.png").symlink_to("link.png")
    refused(tmp_path / "link.png", "E_OUTPUT", overwrite)
    assert (tmp_path / "link.png").is_symlink()


def test_another_name_of_the_file_keeps_the_old_content(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    os.link(tmp_path / "a.png", tmp_path / "b.png")
    fill(tmp_path / "a.png", overwrite=True)
    assert (tmp_path / "b.png").read_bytes() == b"old"


def test_a_broken_pipe_is_left_to_the_caller():
    with pytest.raises(BrokenPipeError), atomic.reported("standard output"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_process_leaves_the_old_file_or_the_new_one(tmp_path):
    """One process replaces the file for ever; it is killed at random moments."""
    target = tmp_path / "a.png"
    program = """
import sys
from phosphene.picture import atomic
number = 0
while True:
    number = (number + 1) % 256
    with atomic.write(sys.argv[1], overwrite=True) as file:
        for _ in range(50):
            file.write(bytes([number]) * 10_000)
"""
    rng = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", program, target])
        try:
            deadline = time.monotonic() + 60
            before = target.stat().st_mtime_ns if target.exists() else 0
            while not target.exists() or target.stat().st_mtime_ns == before:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(rng.random() * 0.05)
        finally:
            process.kill()
            process.wait()
        data = target.read_bytes()
        assert data == data[:1] * 500_000
        assert all(name == "a.png" or (name[0] == "." and name.endswith(".part")) for name in names(tmp_path))


def test_what_killed_writers_left_can_be_swept_away(tmp_path):
    left = [".a[1].png.0123abcd.part", ".a[1].png.ffffffff.part"]
    other = [".a1.png.0123abcd.part", ".a[1].png.0123abc.part", ".a[1].png.x.0123abcd.part", "a[1].png"]
    for name in left + other:
        (tmp_path / name).touch()
    atomic.sweep(tmp_path / "a[1].png")
    assert names(tmp_path) == sorted(other)
    atomic.sweep(tmp_path / "absent" / "a.png")


def test_long_names_are_not_swept_as_their_parts_could_be_anothers(tmp_path):
    (tmp_path / f".{'x' * 40}.0123abcd.part").touch()
    atomic.sweep(tmp_path / ("x" * 41))
    assert len(names(tmp_path)) == 1
