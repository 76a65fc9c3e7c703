"""The studio among strangers: malformed requests, many visitors, a token, full queues and full disks."""

import concurrent.futures
import contextlib
import io
import json
import os
import random
import socket
import subprocess
import sys
import time

import httpx
import psutil
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from studios import LONG, PHOTO, SMALL, Studio, ended, until

QUICK = {**SMALL, "max_size": 48, "octaves": 1, "steps": 1}


def png(color):
    file = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(file, "PNG")
    return file.getvalue()


def live(studio, client, **more):
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    address = f"ws://127.0.0.1:{studio.port}/api/live"
    return connect(address, additional_headers={"Cookie": cookie, **more.pop("headers", {})}, **more)


def raw(studio, text, seconds=10):
    """What comes back for bytes as they are."""
    with socket.create_connection(("127.0.0.1", studio.port), timeout=seconds) as line:
        line.sendall(text)
        with contextlib.suppress(TimeoutError, ConnectionError):
            return line.recv(65536)
    return b""


PLACES = [
    *("../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "//etc/passwd", "%00", "{}"),
    *("C:%5Cwindows", "%ff%fe", "\N{GRINNING FACE}", "'; DROP TABLE jobs; --", "%0d%0aX: y"),
    *("a" * 5000, "0" * 32, "F" * 32, "0" * 31 + "g"),
]
PATHS = [
    *("/api/jobs/{}", "/api/jobs/{}/picture", "/api/jobs/{}/pause", "/api/uploads/{}/picture"),
    *("/static/{}", "/{}", "/api/models/{}/layers", "/api/models/efficientnet_lite0/layers/{}/picture"),
    "/api/compare?a={}&b={}",
]
BODIES = [b"", b"{", b"[]", b"null", b"1e999", b"\xff\xfe", b'"x"', b"[" * 20000, b'{"size": true}']
BODIES += [b'{"kind": "x"}', b'{"settings": []}', b'{"photo": "http://127.0.0.1/x.png"}']
BODIES += [b'{"settings": {"steps": NaN}}', b'{"kind": "zoom", "fps": Infinity}']
WRONG = [{"kind": "zoom", "frames": value} for value in (-1, 10**30, "x", None, 1.5)]
WRONG += [{"settings": {"steps": value}} for value in (-1, 10**30, "x", [], {"a": 1})]
WRONG += [{"kind": "zoom", "motion": value} for value in ([], {"zoom": 9}, {"drift": [1]}, "x")]
WRONG += [{"settings": {f"a{n}": n for n in range(10000)}}]
BODIES += [json.dumps(one).encode() for one in WRONG]
LINES = (b"GET /\r\n\r\n", b"\x16\x03\x01\x00\xa5", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"X" * 100_000)
MESSAGES = ("", "{", "[]", "null", '"x"', '{"type": 7}', '{"type": "watch"}', '{"type": "watch", "job": 1}')
NO_PICTURES = (b"<html><script>alert(1)</script>", b"<svg xmlns='a'/>", b"%PDF-1.4", b"GIF89a")


def test_a_thousand_malformed_requests(studio, visitor):
    draw = random.Random(11)
    for number in range(1000):
        path = draw.choice(PATHS).replace("{}", draw.choice(PLACES))
        method = draw.choice(["GET", "GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"])
        if number % 3 == 0:
            method, path = "POST", draw.choice(["/api/jobs", "/api/uploads", "/api/jobs?x=" + "y" * 3000])
        body = draw.choice(BODIES) if draw.random() < 0.8 else draw.randbytes(draw.randrange(400))
        kind = draw.choice(["application/json", "multipart/form-data; boundary=x", "text/html", "", "\x7f"])
        headers = {"content-type": kind} if draw.random() < 0.5 else {}
        answer = visitor.request(method, path, content=body if method != "GET" else None, headers=headers)
        assert answer.status_code < 500, (method, path, body[:80], answer.text)
        assert answer.status_code >= 400 or method in ("GET", "HEAD"), (method, path, body[:80])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "text/html" not in answer.headers.get("content-type", "") or path == "/"
    for text in (
        b"GET /\r\n\r\n",
        b"\x16\x03\x01\x00\xa5",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"X" * 100_000,
    ):
        assert b" 500 " not in raw(studio, text, 2)[:40]
    assert visitor.get("/api/about").status_code == 200


def test_malformed_messages(studio, visitor):
    with live(studio, visitor) as line:
        for text in MESSAGES:
            line.send(text)
            assert json.loads(line.recv(timeout=20))["type"] == "error", text
        line.send(b"\x00\xff")
        assert json.loads(line.recv(timeout=20))["type"] == "error"
        line.send(json.dumps({"type": "watch", "job": "0" * 32}))
        assert json.loads(line.recv(timeout=20))["message"] == "there is no such job"
        with pytest.raises(ConnectionClosed):
            line.send("x" * 200_000)
            line.recv(timeout=20)
    assert visitor.get("/api/about").status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_other_pages_get_no_socket(studio, visitor, headers):
    with pytest.raises(InvalidStatus), live(studio, visitor, headers=headers):
        pass


def test_an_upload_is_ended_when_it_is_too_long(studio):
    sent = 0
    with socket.create_connection(("127.0.0.1", studio.port), timeout=30) as line:
        line.sendall(b"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000000\r\n\r\n")
        block = b"x" * 1_000_000
        line.setblocking(False)
        end = time.monotonic() + 60
        answer = b""
        while time.monotonic() < end and not answer:
            try:
                sent += line.send(block)
            except BlockingIOError:
                time.sleep(0.005)
            except ConnectionError:
                break
            try:
                answer = line.recv(4096)
            except BlockingIOError:
                continue
            except ConnectionError:
                break
    assert (not answer or b" 413 " in answer[:40]) and sent < 400_000_000
    assert not list((studio.folder / "files").glob("*.upload"))


def test_what_is_no_picture_is_never_served(visitor):
    for content in NO_PICTURES:
        answer = visitor.post("/api/uploads?name=<script>.html", content=content)
        assert answer.status_code == 400 and answer.headers["content-type"] == "application/json", answer.text


def test_twenty_visitors_at_once(studio):
    def visit(number):
        color = (number * 12, 255 - number * 12, 100)
        with studio.visitor() as one:
            upload = one.post(f"/api/uploads?name=v{number}.png", content=png(color)).json()["id"]
            body = {"photo": upload, "settings": {**QUICK, "seed": number}}
            job = one.post("/api/jobs", json=body).json()["id"]
            with live(studio, one) as line:
                line.send(json.dumps({"type": "watch", "job": job}))
                heard, state = set(), ""
                while state not in ("done", "failed"):
                    message = line.recv(timeout=100)
                    if isinstance(message, bytes):
                        header = json.loads(message[4 : 4 + int.from_bytes(message[:4], "big")])
                        heard.add(header["job"])
                        line.send(json.dumps({"type": "ack", "n": header["n"]}))
                    else:
                        told = json.loads(message)
                        heard.add(told["id"])
                        state = told["state"]
            listed = one.get("/api/jobs").json()
            picture = one.get(f"/api/jobs/{job}/picture").content
            mean = Image.open(io.BytesIO(picture)).convert("RGB").resize((1, 1)).getpixel((0, 0))
            return number, color, upload, job, heard, listed, mean

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        found = list(pool.map(visit, range(20)))
    for number, color, upload, job, heard, listed, mean in found:
        assert heard == {job} and [one["id"] for one in listed] == [job] and listed[0]["photo"] == upload
        assert (listed[0]["state"], listed[0]["name"], listed[0]["settings"]["seed"]) == (
            "done",
            f"v{number}.png",
            number,
        )
        assert all(abs(a - b) < 60 for a, b in zip(color, mean, strict=True)), (color, mean)


def test_who_asks_for_less_waits_less(studio):
    with studio.visitor() as greedy, studio.visitor() as modest:
        upload = greedy.post("/api/uploads", content=png("red")).json()["id"]
        first = greedy.post("/api/jobs", json={"photo": upload, "settings": LONG}).json()["id"]
        many = [
            greedy.post("/api/jobs", json={"photo": upload, "settings": LONG}).json()["id"] for _ in range(8)
        ]
        own = modest.post("/api/uploads", content=png("blue")).json()["id"]
        job = modest.post("/api/jobs", json={"photo": own, "settings": QUICK}).json()
        assert job["place"] <= 2
        greedy.post(f"/api/jobs/{first}/cancel")
        ended(modest, job["id"])

        def queued():
            return [greedy.get(f"/api/jobs/{one}").json()["state"] for one in many].count("queued")

        assert queued() >= 7  # one of them may have begun since, or begins now
        until(lambda: queued() == 7)
        for one in many:
            greedy.post(f"/api/jobs/{one}/cancel")
        until(
            lambda: all(
                greedy.get(f"/api/jobs/{one}").json()["state"] in ("done", "cancelled") for one in many
            )
        )


def test_the_queue_is_bounded(studio):
    codes = []
    with studio.visitor() as one:
        upload = one.post("/api/uploads", content=png("red")).json()["id"]
        for _ in range(1000):
            answer = one.post("/api/jobs", json={"photo": upload, "settings": {**LONG, "steps": 100_000}})
            codes.append(answer.status_code)
        assert codes.count(201) == 20 and set(codes) == {201, 429}
        assert answer.json()["code"] == "E_FULL"
        jobs = [job["id"] for job in one.get("/api/jobs").json()]
        for job in jobs:
            one.post(f"/api/jobs/{job}/cancel")
        until(lambda: all(job["state"] == "cancelled" for job in one.get("/api/jobs").json()))


def test_who_never_answers_holds_nobody_up(studio, visitor):
    upload = visitor.post("/api/uploads", content=PHOTO.read_bytes()).json()["id"]
    job = visitor.post("/api/jobs", json={"photo": upload, "settings": {**LONG, "max_size": 400}}).json()[
        "id"
    ]
    server = psutil.Process(studio.process.pid)
    with live(studio, visitor) as silent, live(studio, visitor) as eager:
        for line in (silent, eager):
            line.send(json.dumps({"type": "watch", "job": job}))
        taken = server.memory_info().rss
        frames = 0
        while frames < 40:
            message = eager.recv(timeout=60)
            if isinstance(message, bytes):
                frames += 1
                header = json.loads(message[4 : 4 + int.from_bytes(message[:4], "big")])
                eager.send(json.dumps({"type": "ack", "n": header["n"]}))
        waiting = 0
        with contextlib.suppress(TimeoutError):
            for _ in range(frames):
                waiting += isinstance(silent.recv(timeout=0.5), bytes)
        assert waiting == 1 and server.memory_info().rss - taken < 30e6
    visitor.post(f"/api/jobs/{job}/cancel")
    ended(visitor, job)


def test_half_a_request_is_given_up(studio, visitor):
    lines = [socket.create_connection(("127.0.0.1", studio.port), timeout=60) for _ in range(50)]
    for line in lines:
        line.sendall(b"GET /api/about HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A")
    assert visitor.get("/api/about").status_code == 200
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while lines[0].recv(1000):
            pass
    assert time.monotonic() - began < 50
    for line in lines:
        line.close()


def test_a_token_is_asked_for(tmp_path):
    studio = Studio(tmp_path, "--token", "se cret&+")
    try:
        assert "token=" in studio.printed
        with studio.visitor() as stranger:
            for path in ("/", "/api/about", "/api/docs", "/static/main.js", "/api/jobs"):
                assert stranger.get(path).status_code == 401
                assert stranger.get(path, headers={"Authorization": "Bearer se cret"}).status_code == 401
            with pytest.raises(InvalidStatus), live(studio, stranger):
                pass
            bearer = {"Authorization": "Bearer se cret&+"}
            assert stranger.get("/api/about", headers=bearer).status_code == 200
        with httpx.Client() as guest:
            assert guest.get(studio.printed).status_code == 200
            assert guest.get(f"{studio.url}/api/about").status_code == 200
            with live(studio, guest) as line:
                line.send("{}")
                assert json.loads(line.recv(timeout=20))["type"] == "error"
    finally:
        studio.stop()


def mounted(folder):
    """Whether a small file system could be mounted there."""
    if not sys.platform.startswith("linux") or os.geteuid():
        return False
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "phosphene-test", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_a_full_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if not mounted(folder):
        pytest.skip("needs the right to mount a small file system")
    studio = None
    try:
        studio = Studio(folder)
        with studio.visitor() as one:
            upload = one.post("/api/uploads", content=PHOTO.read_bytes()).json()["id"]
            kept = one.post("/api/jobs", json={"photo": upload, "settings": QUICK}).json()["id"]
            assert ended(one, kept)["state"] == "done"
            (folder / "filler").write_bytes(
                bytes(max(0, os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize - 90_000))
            )
            answer = one.post("/api/uploads", content=PHOTO.read_bytes() * 40)
            assert (answer.status_code, answer.json()["code"]) == (507, "E_DISK")
            big = {**SMALL, "max_size": 448, "octaves": 1}
            answer = one.post("/api/jobs", json={"photo": upload, "settings": big})
            if answer.status_code == 201:
                seen = ended(one, answer.json()["id"])
                assert seen["state"] == "failed" and seen["error"]["code"] == "E_DISK"
            else:
                assert (answer.status_code, answer.json()["code"]) == (507, "E_DISK")
            assert one.get(f"/api/jobs/{kept}/picture").status_code == 200
            (folder / "filler").unlink()
            again = one.post("/api/jobs", json={"photo": upload, "settings": QUICK}).json()["id"]
            assert ended(one, again)["state"] == "done"
    finally:
        if studio:
            studio.stop()
        subprocess.run(["umount", str(folder)], capture_output=True)
