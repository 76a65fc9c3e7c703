"""A server on this machine that keeps to HTTP as badly as it is told to."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Answers each request with the next of `ways`, the last one for ever; `asked` are the Range headers."""

    daemon_threads = True

    def __init__(self, payload, *ways):
        super().__init__(("127.0.0.1", 0), Handler)
        self.payload, self.ways, self.asked = payload, list(ways) or [whole], []
        self.over = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/weights.pth"

    def handle_error(self, request, client_address):
        """The client went away."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        self.close_connection = True
        way = server.ways.pop(0) if len(server.ways) > 1 else server.ways[0]
        way(self, server.payload)

    def log_message(self, *_):
        pass

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


@contextmanager
def serving(payload, *ways):
    with Server(payload, *ways) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def start(handler):
    asked = handler.headers.get("Range")
    return int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0


def whole(handler, payload):
    """As it should be."""
    at, version = start(handler), handler.headers.get("If-Range")
    if at and version in (None, '"one"'):
        place = f"bytes {at}-{len(payload) - 1}/{len(payload)}"
        handler.head(206, Content_Range=place, Content_Length=len(payload) - at, ETag='"one"')
        handler.wfile.write(payload[at:])
    else:
        handler.head(200, Content_Length=len(payload), ETag='"one"')
        handler.wfile.write(payload)


def cut(after, etag='"one"'):
    """Goes away after so many bytes."""

    def way(handler, payload):
        at = start(handler)
        if at:
            place = f"bytes {at}-{len(payload) - 1}/{len(payload)}"
            handler.head(206, Content_Range=place, Content_Length=len(payload) - at, ETag=etag)
        else:
            handler.head(200, Content_Length=len(payload), ETag=etag)
        handler.wfile.write(payload[at : at + after])

    return way


def answer(status, body=b"", **headers):
    """Always the same, whatever was asked."""

    def way(handler, _payload):
        handler.head(status, **{"Content_Length": len(body), **headers})
        handler.wfile.write(body)

    return way


def ignores_range(handler, payload):
    handler.head(200, Content_Length=len(payload))
    handler.wfile.write(payload)


def another_place(handler, payload):
    """Says 206, and begins somewhere else."""
    handler.head(206, Content_Range=f"bytes 1-{len(payload) - 1}/{len(payload)}", Content_Length=3)
    handler.wfile.write(payload[1:4])


def chunked(handler, payload):
    handler.head(200, Transfer_Encoding="chunked")
    for at in range(0, len(payload), 1000):
        piece = payload[at : at + 1000]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")


def endless(handler, payload):
    handler.head(200)
    while not handler.server.over.is_set():
        handler.wfile.write(payload)


def silent(handler, _payload):
    handler.server.over.wait(10)


def drips(handler, payload):
    handler.head(200, Content_Length=len(payload))
    for byte in payload:
        handler.wfile.write(bytes([byte]))
        if handler.server.over.wait(0.02):
            return


def nonsense(handler, _payload):
    handler.wfile.write(b"\0\1\2 this is no HTTP\r\n\r\n")


def leads_to(url):
    return answer(302, Location=url)
