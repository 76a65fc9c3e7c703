"""Downloads from servers that cut off, lie and send the wrong bytes."""

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import textwrap

import pytest

import http_server as ways
from http_server import serving
from phosphene.errors import PhospheneError
from phosphene.models import fetch, pull

PAYLOAD = random.Random(0).randbytes(200_000)
NAME = "torchvision:googlenet"


def entry(payload=PAYLOAD, size=None, digest=None):
    digest = hashlib.sha256(payload).hexdigest()[:8] if digest is None else digest
    size = len(payload) if size is None else size
    return pull.Published(NAME, "http://127.0.0.1:9/weights.pth", size, "ours", "sha256", digest)


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pull, "PUBLISHED", {NAME: entry()})
    return tmp_path / "phosphene" / "models"


def get(server, what=None, timeout=5.0, pauses=(0.0, 0.0, 0.0)):
    return list(fetch.pull(what or entry(), server.url, timeout=timeout, pauses=pauses))


def refused(server, match, what=None, **more):
    with pytest.raises(PhospheneError, match=match) as error:
        get(server, what, **more)
    assert error.value.code == "E_DOWNLOAD"
    assert "\n" not in str(error.value)


def names(store):
    return sorted(path.name for path in store.iterdir() if not path.name.endswith(".lock"))


class TestWhole:
    @pytest.mark.parametrize("way", [ways.whole, ways.chunked, ways.ignores_range])
    def test_arrives(self, store, way):
        with serving(PAYLOAD, way) as server:
            steps = get(server)
        assert names(store) == ["weights.pth"]
        assert (store / "weights.pth").read_bytes() == PAYLOAD
        assert pull.cached(NAME) == str(store / "weights.pth")
        done = [step.done for step in steps]
        assert done == sorted(done) and done[-1] == len(PAYLOAD) == steps[-1].total

    def test_what_is_here_is_not_asked_for(self, store):
        with serving(PAYLOAD) as server:
            get(server)
            assert get(server) == []
            assert len(server.asked) == 1

    def test_size_and_digest_unknown(self, store):
        with serving(PAYLOAD, ways.chunked) as server:
            get(server, entry(size=0, digest=""))
        assert (store / "weights.pth").read_bytes() == PAYLOAD

    def test_it_is_asked_for_as_it_is(self):
        with serving(PAYLOAD, ways.answer(200, b"packed", Content_Encoding="gzip")) as server:
            refused(server, "sends it as 'gzip'")


class TestResumed:
    def test_goes_on_where_it_was(self, store):
        with serving(PAYLOAD, ways.cut(50_000), ways.cut(70_000), ways.whole) as server:
            steps = get(server)
        assert server.asked == [None, "bytes=50000-", "bytes=120000-"]
        assert (store / "weights.pth").read_bytes() == PAYLOAD
        assert [step.note for step in steps if step.note]

    def test_in_another_run(self, store):
        with serving(PAYLOAD, ways.cut(50_000), ways.cut(0), ways.cut(0), ways.cut(0), ways.whole) as server:
            refused(server, "kept: the same command goes on")
            assert not pull.cached(NAME)
            assert names(store) == [".weights.pth.part", ".weights.pth.part.json"]
            get(server)
            assert server.asked[-1] == "bytes=50000-"
        assert names(store) == ["weights.pth"]
        assert (store / "weights.pth").read_bytes() == PAYLOAD

    def test_abandoned_half_way(self, store):
        """What Ctrl-C does: the generator is closed."""
        with serving(PAYLOAD) as server:
            steps = fetch.pull(entry(), server.url)
            next(steps)
            steps.close()
            assert names(store) == [".weights.pth.part", ".weights.pth.part.json"]
            get(server)
        assert server.asked[1].startswith("bytes=")
        assert (store / "weights.pth").read_bytes() == PAYLOAD

    @pytest.mark.parametrize(
        "way", [ways.ignores_range, ways.another_place, ways.answer(416), ways.answer(206, b"abc")]
    )
    def test_begins_again_where_it_must(self, store, way):
        with serving(PAYLOAD, ways.cut(50_000), way, ways.whole) as server:
            get(server)
        assert (store / "weights.pth").read_bytes() == PAYLOAD

    def test_another_version_begins_again(self, store):
        with serving(PAYLOAD, ways.cut(50_000, etag='"zero"'), ways.whole) as server:
            get(server)  # If-Range: "zero" makes `whole` answer 200
        assert (store / "weights.pth").read_bytes() == PAYLOAD

    def test_another_address_begins_again(self, store):
        with serving(PAYLOAD, ways.cut(50_000), ways.cut(0)) as server:
            refused(server, "cut off")
        with serving(PAYLOAD) as server:
            get(server)
            assert server.asked == [None]

    @pytest.mark.parametrize("about", ["", "[]", '{"url": 3}', '{"url": "x", "total": "y"}'])
    def test_a_damaged_note_begins_again(self, store, about):
        store.mkdir(parents=True)
        (store / ".weights.pth.part").write_bytes(b"x" * 999)
        (store / ".weights.pth.part.json").write_text(about)
        with serving(PAYLOAD) as server:
            get(server)
            assert server.asked == [None]

    def test_a_part_that_was_changed_is_never_used(self, store):
        with serving(PAYLOAD, ways.cut(50_000), ways.cut(0), ways.cut(0), ways.cut(0), ways.whole) as server:
            refused(server, "cut off")
            (store / ".weights.pth.part").write_bytes(b"x" * 50_000)
            refused(server, "it was deleted")
            assert names(store) == []

    def test_all_there_but_not_yet_named(self, store):
        with serving(PAYLOAD) as server:
            store.mkdir(parents=True)
            about = {"url": server.url, "version": "", "total": len(PAYLOAD)}
            (store / ".weights.pth.part").write_bytes(PAYLOAD)
            (store / ".weights.pth.part.json").write_text(json.dumps(about))
            get(server)
            assert server.asked == []
        assert names(store) == ["weights.pth"]


class TestLies:
    def test_wrong_bytes(self, store):
        with serving(PAYLOAD[:-1] + bytes([PAYLOAD[-1] ^ 1])) as server:
            refused(server, "begins with .*it was deleted")
        assert names(store) == []

    @pytest.mark.parametrize("length", [10, 10**6, 10**15])
    def test_another_size_is_refused_before_it_is_sent(self, store, length):
        with serving(PAYLOAD, ways.answer(200, PAYLOAD[:10], Content_Length=length)) as server:
            refused(server, f"has {length} bytes, expected about 200000")
        assert names(store) == []

    def test_a_length_a_little_too_large_is_a_cut(self):
        with serving(PAYLOAD, ways.answer(200, PAYLOAD, Content_Length=len(PAYLOAD) + 9)) as server:
            refused(server, "cut off")

    def test_a_length_a_little_too_small(self, store):
        with serving(PAYLOAD, ways.answer(200, PAYLOAD, Content_Length=len(PAYLOAD) - 9)) as server:
            refused(server, "it was deleted")
        assert names(store) == []

    @pytest.mark.parametrize("length", ["-5", "many", ""])
    def test_no_length_at_all(self, store, length):
        with serving(PAYLOAD, ways.answer(200, PAYLOAD, Content_Length=length)) as server:
            get(server)
        assert (store / "weights.pth").read_bytes() == PAYLOAD

    def test_endless(self, store):
        with serving(PAYLOAD, ways.endless) as server:
            refused(server, "sends more than .* it was deleted")
        assert names(store) == []

    def test_a_page_instead(self):
        with serving(b"<html>please log in</html>") as server:
            refused(server, "has 26 bytes")

    def test_no_http(self):
        with serving(PAYLOAD, ways.nonsense) as server:
            refused(server, "no answer")


class TestTrouble:
    @pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (204, 1), (500, 3), (503, 3)])
    def test_status(self, status, tries):
        with serving(PAYLOAD, ways.answer(status)) as server:
            refused(server, str(status))
            assert len(server.asked) == tries

    def test_a_moment_of_it(self, store):
        with serving(PAYLOAD, ways.answer(503), ways.whole) as server:
            get(server)
        assert (store / "weights.pth").read_bytes() == PAYLOAD

    def test_silence(self):
        with serving(PAYLOAD, ways.silent) as server:
            refused(server, "no answer", timeout=0.1, pauses=(0.0,))

    def test_hardly_anything_comes(self):
        with serving(PAYLOAD, ways.drips) as server:
            refused(server, "sent .* bytes in", timeout=0.2, pauses=(0.0,))

    def test_nobody_is_there(self):
        with serving(PAYLOAD) as server:
            pass
        refused(server, "no answer")

    def test_redirects(self, store):
        with serving(PAYLOAD) as good, serving(PAYLOAD, ways.leads_to(good.url)) as server:
            get(server)
        assert (store / "weights.pth").read_bytes() == PAYLOAD

    def test_redirects_in_a_circle(self):
        with serving(PAYLOAD) as server:
            server.ways = [ways.leads_to(server.url)]
            refused(server, "302")
            assert len(server.asked) <= fetch.REDIRECTS + 1

    @pytest.mark.parametrize("there", ["file:///etc/passwd", "ftp://127.0.0.1/weights.pth", "data:,x"])
    def test_redirects_out_of_http(self, there):
        with serving(PAYLOAD, ways.leads_to(there)) as server:
            refused(server, "leads to|is not allowed")

    def test_from_https_to_http(self):
        with pytest.raises(PhospheneError, match="leads to"):
            request = fetch.urllib.request.Request("https://127.0.0.1/weights.pth")
            fetch.Redirects().redirect_request(request, None, 302, "", {}, "http://127.0.0.1/weights.pth")

    @pytest.mark.parametrize(
        "url", ["file:///etc/passwd", "ftp://a/b", "weights.pth", "http://", "http://[", "http://a/b\r\nX: 1"]
    )
    def test_what_is_no_address(self, url):
        with pytest.raises(PhospheneError, match="http or https") as error:
            list(fetch.pull(entry(), url))
        assert error.value.code == "E_PARAM"


class TestDisk:
    def test_full(self, store, monkeypatch):
        real = os.fsync

        def full(_file):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with serving(PAYLOAD) as server:
            with pytest.raises(PhospheneError, match="the same command goes on") as error:
                get(server)
            assert error.value.code == "E_DISK"
            assert names(store) == [".weights.pth.part", ".weights.pth.part.json"]
            monkeypatch.setattr(os, "fsync", real)
            get(server)
            assert len(server.asked) == 1

    def test_too_little_room_is_told_at_once(self, monkeypatch):
        usage = fetch.shutil.disk_usage("/")._replace(free=1000)
        monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _path: usage)
        with serving(PAYLOAD) as server:
            with pytest.raises(PhospheneError, match="MB free") as error:
                get(server)
            assert error.value.code == "E_DISK"

    def test_no_place_for_it(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_bytes(b"")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        with pytest.raises(PhospheneError, match="XDG_CACHE_HOME") as error:
            list(fetch.pull(entry(), "http://127.0.0.1:9/x"))
        assert error.value.code == "E_OUTPUT"


def test_two_at_once(store):
    """The second waits for the first, and finds the file there; the bytes are sent once."""
    code = """
        import sys
        from phosphene.models import fetch, pull
        url, size, digest = sys.argv[1:]
        entry = pull.Published("x", "http://127.0.0.1:9/weights.pth", int(size), "ours", "sha256", digest)
        for step in fetch.pull(entry, url):
            print(step.done, step.note, flush=True)
    """
    with serving(PAYLOAD, ways.drips, ways.whole) as server:
        command = [sys.executable, "-c", textwrap.dedent(code), server.url, str(len(PAYLOAD)), entry().digest]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
            first.stdout.readline()
            steps = fetch.pull(entry(), server.url)
            assert "another phosphene" in next(steps).note
            first.kill()
            first.wait()
            list(steps)  # a dead process holds nothing
    assert len(server.asked) == 2
    assert (store / "weights.pth").read_bytes() == PAYLOAD
