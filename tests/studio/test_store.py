"""What the studio keeps, and what it lets go of."""

import time

import pytest

from phosphene.studio import store as module
from phosphene.studio.store import Store


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path)
    yield found
    found.close()


def sent(store, letter, days):
    name = letter * 32
    for kind in ("upload", "jpg"):
        store.file(name, kind).write_bytes(b"x")
    store.add_upload(name, "me", "cat.jpg", (2, 3), None)
    store._do("UPDATE uploads SET created = ? WHERE id = ?", (time.time() - days * 24 * 3600, name))
    return name


def test_uploads_of_no_job_go_after_a_week(store):
    assert module.UNUSED == 7 * 24 * 3600
    new, old = sent(store, "a", 6.9), sent(store, "b", 7.1)
    used = {
        part: sent(store, letter, 99)
        for part, letter in zip(("photo", "mask", "guide", "film"), "cdef", strict=True)
    }
    for part, name in used.items():
        store.add_job("me", "dream", {part: name})
    store.add_job("somebody else", "dream", {"photo": old})
    store.forget()
    assert store.upload(old) is None and not list(store.files.glob(f"{old}.*"))
    for name in (new, *used.values()):
        assert store.upload(name) is not None and store.file(name, "upload").exists()
    job = store.jobs("me")[0]["id"]
    store.remove(job)
    store.forget()
    assert sum(store.upload(name) is None for name in used.values()) == 1


def test_what_a_kill_left_of_an_upload_is_swept_away(store):
    known = sent(store, "a", 0)
    store.file("b" * 32, "upload").write_bytes(b"half of i")
    store.file("c" * 32, "png").write_bytes(b"a picture")
    store.sweep()
    assert {path.name for path in store.files.iterdir()} == {
        f"{known}.upload",
        f"{known}.jpg",
        f"{'c' * 32}.png",
    }
