"""The catalog without a cluster: items and keys, the pool's workers, the manifest, interrupted runs."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import core_tasks
import pytest

from phosphene.catalog import plan as planning
from phosphene.catalog import run as running
from phosphene.catalog.executor import Failure
from phosphene.catalog.files import files
from phosphene.catalog.local import Pool, early
from phosphene.catalog.record import Image, Layer, Made, Plan, Record, Unit, items
from phosphene.catalog.run import Run, begin, drive, missing
from phosphene.catalog.status import status
from phosphene.catalog.store import Store
from phosphene.catalog.tries import outcomes
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.presets import VISUALIZE

NOISE = Dream(**VISUALIZE, seed=0)


def plan_of(channels=20, layers=("a", "b"), **how):
    found = tuple(Layer(name=name, channels=channels, stop=channels) for name in layers)
    return Plan(**{"model": "m", "weights_sha256": "0", "layers": found, "noise": NOISE} | how)


def keys(plan, kind):
    return [key for item in items(plan) if item.kind == kind for key in item.keys]


class TestKeys:
    def test_each_unit_and_kind_has_its_own(self):
        plan = plan_of()
        found = [key for item in items(plan) for key in item.keys]
        assert len(set(found)) == len(found) == 2 * 20 * 2
        assert [len(item.keys) for item in items(plan) if item.kind == "noise"] == [8, 8, 4] * 2

    @pytest.mark.parametrize(
        ("change", "changed"),
        [
            ({"size": 128}, {"noise", "diverse"}),
            ({"variants": 5}, {"diverse"}),
            ({"crops": 64}, {"photos"}),
            ({"photos": "other"}, {"photos"}),
            ({"photo": "other"}, {"dream"}),
            ({"noise": NOISE.but(steps=9)}, {"noise", "diverse"}),
            ({"dream": Dream(steps=9)}, {"dream"}),
            ({"noise": NOISE.but(device="cuda", threads=7, max_memory="1GB")}, set()),
            ({"software": {"torch": "9"}}, set()),
            ({"weights_sha256": "1"}, {"noise", "diverse", "dream", "photos"}),
        ],
    )
    def test_an_option_changes_the_keys_of_what_depends_on_it(self, change, changed):
        kinds = ("noise", "diverse", "dream", "photos")
        before, after = plan_of(kinds=kinds), plan_of(kinds=kinds, **change)
        for kind in kinds:
            same = set(keys(before, kind)) & set(keys(after, kind))
            assert not same if kind in changed else len(same) == 40

    def test_a_unit_keeps_its_key_whatever_else_is_planned(self):
        few, many = plan_of(4, ("b",)), plan_of(20)
        assert set(keys(few, "noise")) < set(keys(many, "noise"))


class TestPlanning:
    @pytest.mark.parametrize(
        ("text", "every", "found"),
        [
            ("", 1, (0, None, 1)),
            ("0:16", 1, (0, 16, 1)),
            ("7", 1, (7, 8, 1)),
            (":9:2", 3, (0, 9, 6)),
            ("4:", 4, (4, None, 4)),
        ],
    )
    def test_units(self, text, every, found):
        assert planning.units(text, every) == found

    @pytest.mark.parametrize("text", ["a", "1:2:0", "-1:3", "1:2:3:4", "0-15"])
    def test_bad_units(self, text):
        with pytest.raises(PhospheneError, match="--units"):
            planning.units(text)

    def test_kinds(self):
        assert planning.kinds("photos, noise,noise") == ("noise", "photos")
        with pytest.raises(PhospheneError, match="'fish'"):
            planning.kinds("noise,fish")

    def test_many_units_are_planned_without_being_kept(self):
        plan = plan_of(50_000, kinds=("noise",))
        assert sum(len(item.channels) for item in items(plan)) == 100_000


def done(executor, given):
    with executor:
        return dict(outcomes(executor, given))


class TestPool:
    def test_a_killed_worker_costs_only_its_own_item_a_try(self, tmp_path):
        given = [("a", ""), ("b", "die once"), ("c", ""), ("d", "die"), ("e", "fail"), ("f", "")]
        found = done(Pool(core_tasks.Odd, {"folder": str(tmp_path)}, workers=2), given)
        good = {item[0]: said for item, said in found.items() if not isinstance(said, Failure)}
        assert good == {"a": "aa", "b": "bb", "c": "cc", "f": "ff"}
        assert found["d", "die"].code == "E_WORKER" and "SIGKILL" in found["d", "die"].text
        assert "a bad item" in found["e", "fail"].text
        tried = (tmp_path / "log").read_text().split()
        assert {name: tried.count(name) for name in "abcdef"} == dict(
            zip("abcdef", (1, 2, 1, 3, 3, 1), strict=True)
        )

    def test_workers_that_began_early_are_taken_first_and_all_end(self, tmp_path):
        with early(2, 1, os.getpid) as begun:
            early_ones = {hand.process.pid for hand in begun}
            pool = Pool(core_tasks.Odd, {"folder": str(tmp_path)}, workers=1, begun=begun)
            assert {hand.process.pid for hand in pool.hands} < early_ones
            assert done(pool, [("a", ""), ("b", "die once")]) == {("a", ""): "aa", ("b", "die once"): "bb"}
            assert pool.begun == begun == []
        assert not any(map(alive, early_ones))
        with early(1, 1, core_tasks.NeverStarts) as begun, pytest.raises(PhospheneError, match="no network"):
            done(Pool(core_tasks.Odd, {"folder": str(tmp_path)}, begun=begun), [1])

    def test_what_never_starts_is_told(self):
        with pytest.raises(PhospheneError, match="no network"):
            done(Pool(core_tasks.NeverStarts, {}), [1])

    def test_workers_end_with_their_parent(self, tmp_path):
        code = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "import core_tasks\nfrom phosphene.catalog.local import Pool\n"
            "if __name__ == '__main__':\n"
            f"    pool = Pool(core_tasks.Odd, {{'folder': {str(tmp_path)!r}}})\n"
            "    pool.submit(('a', 'slow'))\n"
            "    print(pool.hands[0].process.pid, flush=True)\n"
            "    while True: list(pool.wait())\n"
        )
        script = tmp_path / "script.py"
        script.write_text(code)
        driver = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        worker = int(driver.stdout.readline())
        await_(lambda: (tmp_path / "log").exists())
        driver.kill()
        driver.communicate()
        await_(lambda: not alive(worker))


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def await_(true, patience=60):
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def record_of(item, score=1.0):
    units = tuple(
        Unit(channel, key, (Image("ab" * 32, 8, 8, item.kind, score),), {"score": score})
        for channel, key in zip(item.channels, item.keys, strict=True)
    )
    return Record(item, Made("cpu", 1, len(units), 0.1, "here"), units, 10)


class Hands:
    """An executor that does everything at once, but for the items of these channels."""

    slots = 2

    def __init__(self, store, bad=(), most=10**9):
        self.store, self.bad, self.left, self.queue, self.tried = store, bad, most, [], []

    def submit(self, item):
        self.queue.append(item)

    def wait(self):
        for item in self.queue[:]:
            self.queue.remove(item)
            self.tried.append(item)
            if set(self.bad) & set(item.channels):
                yield item, Failure("E_WORKER", "died")
                continue
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            record = record_of(item)
            self.store.files.write(f"records/{item.name}.json", record.to_json())
            yield item, record

    def close(self):
        pass


@pytest.fixture
def store(tmp_path):
    store = Store(str(tmp_path / "site"), make=True)
    yield store
    store.close()


def ran(plan, store, hands, **how):
    return drive(plan, store, lambda: hands, begin(plan, store, **how))


class TestRun:
    def test_all_is_made_once(self, store):
        plan, hands = plan_of(), Hands(store)
        run = ran(plan, store, hands)
        assert run.made == 80 and not run.left
        assert store.base.execute("select count(*), sum(current) from units").fetchone()[:] == (80, 80)
        assert not store.files.names("records")
        again = Hands(store)
        assert ran(plan, store, again).made == 0 and not again.tried

    def test_what_a_dead_driver_left_is_taken(self, store):
        plan = plan_of()
        whole = list(items(plan))
        for item in whole[:3]:
            store.files.write(f"records/{item.name}.json", record_of(item).to_json())
        store.files.write("records/broken.json", b"{")
        hands = Hands(store)
        ran(plan, store, hands)
        assert [item.name for item in hands.tried] == [item.name for item in whole[3:]]
        assert not store.files.names("records")

    def test_more_units_leave_the_others_alone(self, store):
        ran(plan_of(12), store, Hands(store))
        hands = Hands(store)
        ran(plan_of(20), store, hands)
        noise = [item.channels for item in hands.tried if item.kind == "noise" and item.layer == "a"]
        assert noise == [(12, 13, 14, 15), (16, 17, 18, 19)]

    def test_another_size_is_shown_and_the_first_isn_t_forgotten(self, store):
        ran(plan_of(), store, Hands(store))
        hands = Hands(store)
        ran(plan_of(size=128), store, hands)
        assert {item.kind for item in hands.tried} == {"noise"}
        rows = store.base.execute("select kind, current, count(*) from units group by 1, 2").fetchall()
        assert {tuple(row) for row in rows} == {("noise", 0, 40), ("noise", 1, 40), ("photos", 1, 40)}
        back = Hands(store)
        ran(plan_of(), store, back)
        assert not back.tried
        shown = {row[0] for row in store.base.execute("select key from units where current and kind='noise'")}
        assert shown == set(keys(plan_of(), "noise"))

    def test_poison_is_quarantined_until_it_is_asked_for(self, store):
        plan, hands = plan_of(kinds=("noise",)), Hands(store, bad=[9])
        run = ran(plan, store, hands)
        assert run.made == 40 - 16 and sum(one.failed for one in run.layers.values()) == 16
        poison = [item for item in hands.tried if 9 in item.channels]
        assert len(poison) == 6  # three tries in each of two layers
        lines = (store.files.folder / "failures.jsonl").read_text().splitlines()
        assert [json.loads(line)["channels"] for line in lines] == [list(range(8, 16))] * 2
        again = Hands(store)
        assert ran(plan, store, again).made == 0 and not again.tried
        found = status(store.place)
        assert found["done"] == 24 and found["failed"] == 16 and not found["running"]
        assert ran(plan, store, Hands(store), retry=True).made == 16
        assert not store.quarantined()

    def test_what_is_the_same_every_time_is_tried_once_and_says_so(self, store):
        class Broken(Hands):
            def wait(self):
                self.tried.append(item := self.queue.pop())
                yield item, Failure("E_FORMAT", "no picture")

        hands = Broken(store)
        ran(plan_of(8, ("a",), kinds=("dream",)), store, hands)
        assert len(hands.tried) == 2 and store.base.execute("select tries from failures").fetchone()[0] == 1

    def test_a_full_disk_ends_the_run(self, store):
        class Full(Hands):
            def wait(self):
                item = self.queue.pop()
                yield item, Failure("E_DISK", "the disk is full")

        with pytest.raises(PhospheneError, match="goes on"):
            ran(plan_of(), store, Full(store))
        assert not store.quarantined()

    def test_another_network_is_another_catalog(self, store):
        ran(plan_of(), store, Hands(store))
        with pytest.raises(PhospheneError, match="another -o"):
            begin(plan_of(weights_sha256="1"), store)

    def test_percentile_comes_with_the_second_of_the_two(self, store):
        import base64

        import numpy as np

        noise, photos = items(plan_of(1, ("a",)))
        values = base64.b64encode(np.linspace(0, 4, 257).astype(np.float16).tobytes()).decode()
        seen = Record(photos, Made(), (Unit(0, photos.keys[0], (), {"mean": 2.0}, quantiles=values),))
        for order in ([record_of(noise, 3.0), seen], [seen, record_of(noise, 3.0)]):
            store.base.execute("delete from units")
            for record in order:
                store.fold([record])
            row = store.base.execute("select percentile from units where kind = 'noise'").fetchone()
            assert row[0] == pytest.approx(75)


@pytest.mark.parametrize(("takes", "acts"), [(0, [3, 6, 9, 12, 15, 18]), (0.25, [3, 9, 15])])
def test_what_takes_long_is_done_seldom(monkeypatch, takes, acts):
    clock, done = [0.0], []
    monkeypatch.setattr(running, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def act():
        done.append(clock[0])
        clock[0] += takes

    perhaps = running.seldom(act, 2)
    for now in range(1, 20):
        clock[0] = now
        perhaps()
    assert done == acts


def test_the_pages_are_there_while_the_work_goes_on(store, monkeypatch):
    monkeypatch.setattr(running, "SHOW", 0.0)
    monkeypatch.setattr(running, "FOLD", 0.0)
    seen = []
    plan = plan_of(8, ("a",))
    drive(
        plan,
        store,
        lambda: Hands(store),
        begin(plan, store),
        told=lambda run, item, result: seen.append(store.files.read("data/index.js")),
    )
    assert seen[-1] and b'"name":"a"' in seen[-1]


def test_status_tells_how_fast_each_layer_goes(store, monkeypatch):
    """One layer took ten seconds and ended, the other is at work for five."""
    plan = plan_of(10, ("a", "b", "c"), kinds=("noise",))
    store.begin(plan)
    whole = [item for item in items(plan) if item.layer in "ab"]
    ended = {whole[0].name: 108.0, whole[1].name: 110.0, whole[2].name: 115.0}
    store.fold([record_of(item) for item in whole[:3]])
    for name, at in ended.items():
        spent = 8 if at == 108 else 2 if at == 110 else 5
        store.base.execute("update items set finished = ?, seconds = ? where name = ?", (at, spent, name))
    store.base.commit()
    monkeypatch.setattr("phosphene.catalog.status.time", SimpleNamespace(time=lambda: 120.0))
    monkeypatch.setattr("phosphene.catalog.status.running", lambda place: True)
    found = status(store.place)
    assert {one["layer"]: (one["rate"], one["seconds_left"]) for one in found["layers"]} == {
        "a": (10 / (110 - 100), 0.0),
        "b": (8 / (120 - 110), pytest.approx(2 / 0.8)),
        "c": (0.0, None),
    }
    assert found["rate"] == 18 / (120 - 100) and found["seconds_left"] == pytest.approx(12 / 0.9)


def test_a_damaged_manifest_is_the_last_copy(tmp_path):
    store = Store(str(tmp_path), make=True)
    plan = plan_of(8)
    ran(plan, store, Hands(store))
    store.keep()
    store.close()
    (tmp_path / "manifest.sqlite").write_bytes(b"no base" * 1000)
    again = Store(str(tmp_path), make=True)
    assert "its last copy is taken" in again.note
    assert not list(missing(plan, again, Run()))
    again.close()


def test_a_remote_site(tmp_path):
    pytest.importorskip("fsspec")
    place = "memory://catalog-test"
    store = Store(place, make=True)
    plan = plan_of(4)
    ran(plan, store, Hands(store))
    store.close()
    found = Store(place)
    assert not list(missing(plan, found, Run()))
    assert files(place).names("records") == []
    found.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionError("Access Denied"), "E_OUTPUT"),
        (RuntimeError("no such host\nas that"), "E_OUTPUT"),
        (OSError(errno.ENOSPC, "full"), "E_DISK"),
    ],
    ids=["forbidden", "unreachable", "full"],
)
def test_a_remote_site_that_refuses(monkeypatch, error, code):
    """S3's own errors are no OSErrors."""
    pytest.importorskip("fsspec")
    remote = files("memory://refusing")

    def refuse(*args, **more):
        raise error

    for name in ("cat_file", "pipe_file", "ls", "rm_file"):
        monkeypatch.setattr(type(remote.system), name, refuse)
    tries = (
        lambda: remote.read("a"),
        lambda: remote.write("a", b""),
        lambda: remote.names("a"),
        lambda: remote.remove("a"),
    )
    for each in tries:
        with pytest.raises(PhospheneError, match=r"^memory://refusing: [^\n]*$") as caught:
            each()
        assert caught.value.code == code


def test_a_driver_killed_in_the_middle(tmp_path):
    """SIGTERM, then SIGKILL of worker and driver; the next run ends with the keys and the pictures of a quiet
    one.
    """
    command = [sys.executable, "-m", "phosphene", "catalog", "efficientnet_lite0", "--layers", "conv_stem"]
    command += ["--units", "0:24", "--size", "32", "--steps", "8", "--crops", "32", "--workers", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    broken, quiet = tmp_path / "broken", tmp_path / "quiet"

    def begun(lines):
        driver = subprocess.Popen(
            [*command, "-o", str(broken), "--json"], env=environment, stdout=subprocess.PIPE
        )
        for _ in range(lines):
            driver.stdout.readline()
        return driver

    asked = begun(2)
    asked.terminate()
    told = [json.loads(line) for line in asked.communicate(timeout=120)[0].splitlines()]
    assert asked.returncode == 143
    assert told[-1]["event"] == "end" and told[-1]["left"] > 0 and told[-1]["left"] + told[-1]["made"] == 48
    assert (broken / "index.html").exists() and status(str(broken))["done"] == told[-1]["made"]
    driver = begun(2)
    for child in Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    subprocess.run([*command, "-o", str(broken)], env=environment, check=True, stdout=subprocess.PIPE)
    subprocess.run([*command, "-o", str(quiet)], env=environment, check=True, stdout=subprocess.PIPE)
    assert made(broken) == made(quiet)


def made(folder):
    store = Store(str(folder))
    units = [
        tuple(row) for row in store.base.execute("select key, kind, score, percentile from units order by 1")
    ]
    images = [tuple(row) for row in store.base.execute("select * from images order by key, number")]
    store.close()
    assert len(units) == 48
    pictures = {path.name: path.read_bytes() for path in (folder / "images").rglob("*.webp")}
    return units, images, pictures
