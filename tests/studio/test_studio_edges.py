"""The studio, asked by hand: heads and messages that no client writes, bodies in drops, who goes away."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time

import psutil
import pytest
from websockets.sync.client import connect

from phosphene.errors import PhospheneError
from phosphene.studio import bodies
from phosphene.studio.decode import looked_at
from studios import LONG, PHOTO, ended, until

HEADS = {
    b"Host: [": 403,
    b"Host: [::1": 403,
    b"Host: ]": 403,
    b"Host: \xff": 403,
    b"Host: localhost%00": 403,
    b"Host: evil.example:{port}": 403,
    b"Host: 127.0.0.1.evil.example": 403,
    b"Host:": 403,
    b"Host: 127.0.0.1\r\nHost: evil.example": 400,
    b"Host: 127.0.0.1\r\nOrigin: http://[": 403,
    b"Host: 127.0.0.1\r\nOrigin: null": 403,
    b"Host: 127.0.0.1\r\nOrigin:": 403,
    b"Host: 127.0.0.1\r\nOrigin: http://127.0.0.1:1": 403,
    b"Host: 127.0.0.1\r\nOrigin: http://127.0.0.1@evil.example": 403,
    b"Host: 127.0.0.1\r\nCookie: phosphene_visitor=" + b"\xff" * 32: 200,
    b"Host: 127.0.0.1\r\nCookie: " + b"a=b; " * 5000: 200,
    b"Host: 127.0.0.1\r\nContent-Length: -1": 400,
    b"Host: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2": 400,
}
PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nPLACE\n#EXT-X-ENDLIST\n",
    "hls map": '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI="PLACE"\n#EXTINF:9,\na.ts\n',
    "concat": "ffconcat version 1.0\nfile 'PLACE'\n",
    "asx": '<asx version="3.0"><entry><ref href="PLACE"/></entry></asx>',
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="PLACE"/></svg>',
    "mvg": "push graphic-context\nimage over 0,0 0,0 'url(PLACE)'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=PLACE\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
}
UPGRADE = (
    b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
MESSAGES = (
    r'{"type": "watch", "job": "\ud800"}',
    r'{"type": "\ud800"}',
    r'{"type": "watch", "job": "\u0000"}',
    '{"type": ["watch"]}',
    '{"type": "leave"}',
    "[" * 30_000,
    "9" * 5000,
    "null",
)


def line_to(studio, seconds=20):
    return socket.create_connection(("127.0.0.1", studio.port), timeout=seconds)


def cookie_of(visitor):
    return "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.decode("latin-1")[:50])
def test_heads(studio, head):
    with line_to(studio) as line:
        text = head.replace(b"{port}", str(studio.port).encode())
        line.sendall(b"GET /api/about HTTP/1.1\r\n" + text + b"\r\n\r\n")
        assert int(line.recv(4096).split()[1]) == HEADS[head]


@pytest.mark.parametrize("head", [b"Host: [", b"Host: 127.0.0.1\r\nOrigin: null"])
def test_heads_of_a_socket(studio, head):
    with line_to(studio) as line:
        line.sendall(UPGRADE.replace(b"Host: 127.0.0.1\r\n{more}", head))
        assert int(line.recv(4096).split()[1]) == 403


def test_messages_are_answered_and_the_socket_lives(studio, visitor):
    address = f"ws://127.0.0.1:{studio.port}/api/live"
    with connect(address, additional_headers={"Cookie": cookie_of(visitor)}) as line:
        for message in MESSAGES:
            line.send(message)
            assert json.loads(line.recv(timeout=20))["type"] == "error", message[:50]


def test_ten_thousand_parts(visitor):
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="../../a.png"\r\n\r\nb\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for path in ("/api/uploads", "/api/jobs"):
        answer = visitor.post(path, content=part * 10_000 + b"--x--\r\n", headers=headers)
        assert answer.status_code in (400, 413), answer.text


def test_an_upload_that_is_broken_off_is_not_kept(studio, visitor):
    files = studio.folder / "files"
    with line_to(studio) as line:
        line.sendall(b"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n1234")
        until(lambda: list(files.glob("*.upload")))
    until(lambda: not list(files.glob("*.upload")))


def test_who_goes_away_comes_back_to_a_finished_dream(studio, visitor):
    upload = visitor.post("/api/uploads", content=PHOTO.read_bytes()).json()["id"]
    job = visitor.post("/api/jobs", json={"photo": upload, "settings": {**LONG, "steps": 60}}).json()["id"]
    address = f"ws://127.0.0.1:{studio.port}/api/live"
    with connect(address, additional_headers={"Cookie": cookie_of(visitor)}) as line:
        line.send(json.dumps({"type": "watch", "job": job}))
        line.recv(timeout=60)
        line.socket.shutdown(socket.SHUT_RDWR)
    assert ended(visitor, job)["state"] == "done"


def test_who_never_reads_costs_nothing(studio, visitor):
    """Not even what the system keeps for the connection: its window is closed."""
    upload = visitor.post("/api/uploads", content=PHOTO.read_bytes()).json()["id"]
    job = visitor.post("/api/jobs", json={"photo": upload, "settings": LONG}).json()["id"]
    ended(visitor, job, "running")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.connect(("127.0.0.1", studio.port))
    deaf.sendall(UPGRADE.replace(b"{more}", b"Cookie: " + cookie_of(visitor).encode()))
    text = json.dumps({"type": "watch", "job": job}).encode()
    frame = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
    server = psutil.Process(studio.process.pid)
    taken = server.memory_info().rss
    end = time.monotonic() + 5
    with contextlib.suppress(TimeoutError, ConnectionError):
        deaf.settimeout(0.2)
        while time.monotonic() < end:
            deaf.sendall(frame * 100)
    assert visitor.get(f"/api/jobs/{job}").json()["state"] == "running"
    assert server.memory_info().rss - taken < 40e6
    deaf.close()
    visitor.post(f"/api/jobs/{job}/cancel")
    assert ended(visitor, job)["state"] == "cancelled"


class Slow:
    """A request whose body comes in drops."""

    def __init__(self, pause):
        self.pause = pause

    async def stream(self):
        while True:
            await asyncio.sleep(self.pause)
            yield b" "


@pytest.mark.parametrize("pause", [0.01, 60])
def test_a_body_in_drops_is_given_up(monkeypatch, tmp_path, pause):
    monkeypatch.setattr(bodies, "PATIENCE", 0.2)
    monkeypatch.setattr(bodies, "UPLOADING", 0.3)
    for reading in (bodies.read_json(Slow(pause)), bodies.received(Slow(pause), tmp_path / "a", 10**9)):
        with pytest.raises(PhospheneError) as caught:
            asyncio.run(asyncio.wait_for(reading, 20))
        assert caught.value.code == "E_REQUEST"


def test_a_port_in_use_is_told(studio, tmp_path):
    typed = ["studio", "--port", str(studio.port), "--data", str(tmp_path), "--no-open"]
    command = [sys.executable, "-m", "phosphene", *typed]
    found = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120)
    assert found.returncode == 1 and found.stdout == ""
    assert found.stderr.count("\n") == 1 and "choose another --port" in found.stderr


@pytest.mark.parametrize("name", PLAYLISTS)
def test_what_names_another_place_is_no_upload(tmp_path, name):
    """Playlists and drawings make careless decoders fetch addresses, and read files."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(PHOTO.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/a"
        for place in (address, str(secret), f"file://{secret}", secret.name):
            path = tmp_path / "upload"
            path.write_text(PLAYLISTS[name].replace("PLACE", place))
            assert looked_at(str(path))["error"][0] in ("E_FORMAT", "E_DECODE")
        with pytest.raises(TimeoutError):
            listening.accept()
