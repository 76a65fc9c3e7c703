"""Ray's workers, on a real cluster of three raylets, killed in the middle."""

import importlib.util
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "cli")]

from benchmarks.raylets import QUIET, raylets  # noqa: E402
from tiny import QUICK, make_photo  # noqa: E402

from phosphene.catalog import cluster as clusters  # noqa: E402
from phosphene.catalog.crews import crews_for  # noqa: E402
from phosphene.catalog.executor import Failure  # noqa: E402
from phosphene.catalog.tries import outcomes  # noqa: E402
from phosphene.cli import main  # noqa: E402
from phosphene.errors import PhospheneError  # noqa: E402

HERE = Path(__file__).parent
GB = 2**30
LONG = 120  # s after which something hangs


def no_room():
    """Why there can't be a cluster here, or ''."""
    if importlib.util.find_spec("ray") is None:
        return "ray isn't installed"
    if os.name != "posix":
        return "raylets are killed by signals"
    if psutil.virtual_memory().available < 4 * GB:
        return "a cluster needs 4 GB of memory"
    if shutil.disk_usage("/tmp").free < 2 * GB or not Path("/dev/shm").is_dir():
        return "a cluster needs 2 GB in /tmp, and /dev/shm"
    return ""


real = pytest.mark.skipif(bool(no_room()), reason=no_room())


@pytest.fixture(scope="module")
def cluster():
    """Three nodes of one processor; the second says that it has a GPU."""
    with raylets(3, path=str(HERE), gpus=1) as found:
        yield found


def environment():
    paths = [str(ROOT / "src"), str(HERE)]
    return {**os.environ, **QUIET, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def begun(*arguments, **more):
    command = [sys.executable, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment(), **pipes, **more)


def ended(process):
    """Exit code and both streams."""
    try:
        out, err = process.communicate(timeout=LONG)
    finally:
        process.kill()
    return process.returncode, out, err


def driver(cluster, folder, count, seconds, *special):
    """In the folder above, by a name that only means something there: the nodes run elsewhere."""
    folder.mkdir(exist_ok=True)
    arguments = (cluster.address, folder.name, count, seconds, *special)
    return begun(HERE / "ray_tasks.py", *arguments, cwd=folder.parent)


def results(process):
    code, out, err = ended(process)
    assert code == 0, err
    return {line["number"]: line for line in map(json.loads, out.splitlines())}


def until(there):
    end = time.monotonic() + LONG
    while not (found := there()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)
    return found


def made(folder, pattern="*.txt"):
    return {path.name: path.read_bytes() for path in folder.glob(pattern)}


def logged(folder, what):
    lines = [line.split() for line in (folder / "log").read_text().splitlines()]
    return Counter(int(number) for kind, number, _ in lines if kind == what)


class Inline:
    """An executor of one worker, in this process."""

    slots = 1

    def __init__(self, task, settings):
        self.task, self.items, self.submitted = task(**settings), [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, item):
        self.submitted += 1
        self.items.append(item)
        assert len(self.items) <= 2, "more than its worker needs"

    def wait(self):
        item = self.items.pop(0)
        try:
            yield item, self.task.do(item)
        except PhospheneError as error:
            yield item, Failure(error.code, str(error))


class Counting:
    def do(self, item):
        if item in ("E_WORKER", "E_DECODE"):
            raise PhospheneError(item, "it can't")
        return item


def test_three_tries_and_no_more():
    executor = Inline(Counting, {})
    found = dict(outcomes(executor, iter(["a", "E_WORKER", "E_DECODE", "b"])))
    assert executor.submitted == 2 + 3 + 1
    assert found["a"] == "a" and found["b"] == "b"
    assert (found["E_WORKER"].code, found["E_DECODE"].code) == ("E_WORKER", "E_DECODE")


def test_items_are_taken_as_they_are_needed_and_not_when_stopped():
    taken = []
    executor = Inline(Counting, {})
    items = (taken.append(n) or str(n) for n in range(100_000))
    got = [item for item, _ in outcomes(executor, items, stopped=lambda: len(taken) > 10)]
    assert len(taken) < 15 and len(got) > 8


@pytest.mark.parametrize(
    ("resources", "more", "expected"),
    [
        ({"CPU": 4.0}, {}, [(4, 1, 0, "")]),
        ({"CPU": 4.0}, {"most": 3}, [(3, 1, 0, "")]),
        ({"CPU": 8.0}, {"threads": 3}, [(2, 3, 0, "")]),
        ({"CPU": 0.0}, {}, [(1, 1, 0, "")]),
        ({"CPU": 2.0}, {"workers": 5}, [(5, 1, 0, "")]),
        ({"CPU": 6.0, "GPU": 2.0}, {}, [(2, 1, 1, "cuda"), (4, 1, 0, "cpu")]),
        ({"CPU": 6.0, "GPU": 1.0}, {"share": 0.25}, [(4, 1, 0.25, "cuda"), (2, 1, 0, "cpu")]),
        ({"CPU": 2.0, "GPU": 4.0}, {}, [(4, 0.5, 1, "cuda")]),
        ({"CPU": 6.0, "GPU": 2.0}, {"device": "cpu"}, [(6, 1, 0, "")]),
        ({"CPU": 6.0, "GPU": 2.0}, {"device": "cuda"}, [(2, 1, 1, "cuda")]),
    ],
)
def test_workers_for_what_there_is(resources, more, expected):
    crews = crews_for(resources, **more)
    assert [(c.count, c.cpus, c.gpus, c.more.get("device", "")) for c in crews] == expected


def test_without_ray_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    make_photo(tmp_path / "a.png")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["dream", "a.png", "-o", "out/", "--ray", "auto"]) == 2
    assert "pip install 'phosphene[ray]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["dream", "-", "-o", "b.png", "--workers", "2"], "stdin"),
        (["dream", "a.png", "--ray", "auto", "--workers", "-1"], "--workers is -1"),
        (["dream", "-", "-o", "b.png", "--ray", "auto"], "stdin"),
        (["video", "a.mp4", "--ray", "auto", "--start", "1"], "a whole film"),
    ],
)
def test_what_cannot_be_spread(arguments, says, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    make_photo(tmp_path / "a.png")
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_part_of_a_gpu(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    given = {}

    def hired(*_task, **how):
        given.update(how)
        raise PhospheneError("E_WORKER", "nobody")

    monkeypatch.setattr(clusters, "Cluster", hired)
    typed = ["catalog", "efficientnet_lite0", "-o", "site", "--layers", "conv_stem", "--kinds", "noise"]
    assert main([*typed, "--ray", "auto", "--gpu-share", "2"]) == 2
    assert "--gpu-share is 2.0, expected 0.01 to 1" in capsys.readouterr().err
    assert main([*typed, "--ray", "auto", "--gpu-share", "0.25", "--threads", "2"]) == 2
    assert given == {"address": "auto", "workers": 0, "threads": 2, "share": 0.25, "device": "auto"}


@real
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_no_cluster_at_that_address(address):
    with pytest.raises(PhospheneError, match="HOST:PORT of a cluster") as caught:
        clusters.joined(clusters.imported(), address)
    assert caught.value.code == "E_DEVICE"


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_a_machine_too_busy_for_a_cluster_is_asked_twice(monkeypatch, failures):
    left, ended = [Exception("The current node timed out\nduring startup.")] * failures, []

    def init(address, **_more):
        assert address == "local"
        if left:
            raise left.pop()

    ray = SimpleNamespace(is_initialized=lambda: False, init=init, shutdown=lambda: ended.append(1))
    monkeypatch.setattr(clusters, "running", lambda: "")
    if failures < 2:
        assert clusters.joined(ray, "auto") is True
    else:
        with pytest.raises(PhospheneError, match="--ray local: The current node timed out during"):
            clusters.joined(ray, "auto")
    assert len(ended) == failures and not left


@real
def test_auto_is_the_cluster_that_runs(cluster, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", cluster.folder)
    clusters.imported()
    assert clusters.running() == cluster.address
    (tmp_path / "ray").mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert clusters.running() == ""
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    assert clusters.running() == "", "it has ended"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert clusters.running() == "10.0.0.1:6379"


@real
def test_a_poison_item_ends_after_three_tries_and_nothing_else(cluster, tmp_path):
    special = ("both:0", "both:1", "kill:2", "error:5", "once:7")
    found = results(driver(cluster, tmp_path / "out", 12, 0.1, *special))
    began, finished = logged(tmp_path / "out", "begin"), logged(tmp_path / "out", "end")
    assert found[2]["failure"] == "E_WORKER" and began[2] == 3
    assert found[5]["failure"] == "E_INTERNAL" and "never does" in found[5]["text"] and began[5] == 3
    assert began[7] == 2
    others = set(range(12)) - {2, 5}
    assert finished == dict.fromkeys(others, 1) and not any("failure" in found[n] for n in others)
    assert all(began[n] == 1 for n in others - {7})
    assert {found[n]["device"] for n in others} == {"cuda", "cpu"}
    assert {found[n]["threads"] for n in others} == {"1"}


@real
def test_a_killed_driver_goes_on_with_what_is_missing(cluster, tmp_path):
    out = tmp_path / "out"
    killed = driver(cluster, out, 12, 1)
    until(lambda: len(made(out)) >= 3)
    os.kill(until(cluster.workers)[0], signal.SIGKILL)
    until(lambda: len(made(out)) >= 5)
    killed.kill()
    ended(killed)
    until(lambda: not cluster.workers())
    there = len(made(out))
    found = results(driver(cluster, out, 12, 0))
    assert len(found) == 12 - there > 0
    assert len(made(out)) == 12 and logged(out, "end") == dict.fromkeys(range(12), 1)


@real
def test_photos_are_those_of_one_thread(cluster, tmp_path):
    """A worker and the driver are killed; a broken photo is told of and ends nothing."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(7):
        make_photo(photos / f"{number}.png", seed=number)
    (photos / "broken.png").write_bytes(b"no picture")
    quick = [*QUICK[:2], "--steps", "12", "--seed", "3", "--device", "cpu"]
    good = [str(path.relative_to(tmp_path)) for path in sorted(photos.glob("[0-9].png"))]
    alone = begun("-m", "phosphene", "dream", *good, "-o", "alone/", *quick, cwd=tmp_path)
    assert ended(alone)[0] == 0
    spread = ["-m", "phosphene", "dream", "photos", "-o", "out/", *quick, "--ray", cluster.address]
    first = begun(*spread, cwd=tmp_path)
    until(lambda: made(tmp_path / "out", "*.png"))
    os.kill(until(cluster.workers)[0], signal.SIGKILL)
    before = len(made(tmp_path / "out", "*.png"))
    until(lambda: len(made(tmp_path / "out", "*.png")) > before)
    first.kill()
    ended(first)
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    code, out, err = ended(begun(*spread, "--json", cwd=tmp_path))
    assert code == 1 and "Traceback" not in err
    events = [json.loads(line) for line in out.splitlines()]
    assert [Path(e["photo"]).name for e in events if e["event"] == "error"] == ["broken.png"]
    assert sum(e["event"] == "end" for e in events) <= 7 - len(stamps)
    assert made(tmp_path / "out", "*.png") == made(tmp_path / "alone", "*.png") and len(stamps) < 7
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items())


@real
def test_a_site_lies_where_the_driver_says(cluster, tmp_path):
    example = begun(ROOT / "examples" / "catalog_ray.py", cluster.address, cwd=tmp_path)
    code, out, err = ended(example)
    assert code == 0 and out.startswith("4 pictures"), err
    assert len(list(tmp_path.glob("catalog-site/images/*/*-96.webp"))) == 4
    assert not Path(cluster.folder, "catalog-site").exists()


@real
@pytest.mark.slow
def test_a_catalog_is_that_of_one_worker(cluster, tmp_path):
    """A worker and the driver are killed: the same units, keys and pictures."""
    what = ["--layers", "blocks.0.0,blocks.1.0", "--size", "32", "--steps", "4", "--kinds", "noise"]
    spread = ["-m", "phosphene", "catalog", "efficientnet_lite0", *what, "-o"]
    code, _, err = ended(begun(*spread, "alone", "--workers", "1", cwd=tmp_path))
    assert code == 0, err

    def pictures(site):
        return {path.name: path.read_bytes() for path in (tmp_path / site / "images").rglob("*.webp")}

    def units(site):
        with closing(sqlite3.connect(tmp_path / site / "manifest.sqlite")) as manifest:
            return sorted(manifest.execute("SELECT layer, channel, kind, key FROM units"))

    first = begun(*spread, "out", "--ray", cluster.address, cwd=tmp_path)
    until(lambda: pictures("out") or first.poll() is not None)
    for pid in cluster.workers()[:1]:
        os.kill(pid, signal.SIGKILL)
    first.kill()
    ended(first)
    assert len(pictures("out")) < len(pictures("alone"))
    code, _, err = ended(begun(*spread, "out", "--ray", cluster.address, cwd=tmp_path))
    assert code == 0 and "Traceback" not in err
    assert pictures("out") == pictures("alone") and units("out") == units("alone") != []


@real
def test_a_lost_node_costs_no_item(cluster, tmp_path):
    """The cluster has two nodes afterwards."""
    out = tmp_path / "out"
    running = driver(cluster, out, 12, 1)
    until(lambda: len(made(out)) >= 3)
    os.kill(cluster.pids[2], signal.SIGKILL)
    found = results(running)
    assert len(found) == 12 and not any("failure" in one for one in found.values())
    assert logged(out, "end") == dict.fromkeys(range(12), 1)


@real
def test_a_lost_head_ends_the_run(cluster, tmp_path):
    """The last of these: there is no cluster afterwards."""
    out = tmp_path / "out"
    running = driver(cluster, out, 60, 1)
    until(lambda: made(out))
    (head,) = (p for p in psutil.process_iter(["name", "cmdline"]) if is_head(p.info, cluster.folder))
    head.kill()
    code, _, err = ended(running)
    assert code == 1 and 0 < len(made(out)) < 60
    last = err.strip().splitlines()[-1]
    assert "its head doesn't answer any more; what is made stays, the same command goes on" in last


def is_head(info, folder):
    return "gcs_server" in (info["name"] or "") and any(folder in part for part in info["cmdline"] or ())
