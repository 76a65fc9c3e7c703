"""The queue's end: a job that takes long lets other visitors' jobs in."""

import pytest

from phosphene.studio.manager import Manager
from phosphene.studio.store import Store
from studios import LONG, PHOTO, SMALL, until


@pytest.fixture
def manager(tmp_path):
    store = Store(tmp_path)
    found = Manager(store, tmp_path, slice=0.3)
    yield found
    found.close()
    store.close()


def asked(manager, visitor, kind, settings, **more):
    manager.store.file("a" * 32, "upload").write_bytes(PHOTO.read_bytes())
    wanted = {"settings": settings, "photo": "a" * 32, "name": "", "size": 64, **more}
    job = manager.store.add_job(visitor, kind, wanted)
    manager.next()
    return lambda: manager.store.job(job)


@pytest.mark.parametrize("kind, more", [("dream", {}), ("zoom", {"frames": 2000, "fps": 25})])
def test_a_long_job_lets_others_in_and_goes_on(manager, kind, more):
    settings = {**LONG, "octaves": 1, "steps": 1 if kind == "zoom" else 100_000}
    long = asked(manager, "greedy", kind, settings, **more)
    until(lambda: (long()["progress"] or {}).get("step"))
    own = asked(manager, "greedy", "dream", SMALL)
    short = asked(manager, "modest", "dream", SMALL)
    until(lambda: short()["state"] == "done")
    assert long()["state"] in ("queued", "running") and own()["state"] in ("queued", "running", "done")
    key = "frame" if kind == "zoom" else "step"
    place = long()["progress"][key]
    until(lambda: long()["state"] == "running" and long()["progress"][key] > place)
    assert manager.ask(long(), "cancel")
    until(lambda: long()["state"] == "cancelled")
    assert manager.store.file(long()["id"], "png").exists()


def test_what_has_begun_since_it_was_looked_at_is_cancelled(manager):
    first, waits = (asked(manager, "one", "dream", LONG) for _ in range(2))
    seen = waits()
    assert seen["state"] == "queued"
    until(lambda: first()["state"] == "running")
    assert manager.ask(first(), "cancel")
    until(lambda: waits()["state"] == "running")
    assert manager.ask(seen, "cancel")
    until(lambda: waits()["state"] == "cancelled" and manager.lines[0].now is None)
