"""`phosphene studio`: the page in the browser."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from phosphene import homes, lock
from phosphene.cli.dash import plain
from phosphene.cli.flags import option
from phosphene.errors import PhospheneError

LOCAL = ("127.0.0.1", "localhost", "::1")


def studio(
    *,
    host: Annotated[
        str, option("the address to serve at (default 127.0.0.1, this machine only)")
    ] = "127.0.0.1",
    port: Annotated[int, option("the port; 0 = any that is free (default 8347)", metavar="N")] = 8347,
    token: Annotated[str, option("what visitors must know; made up beyond this machine")] = "",
    data: Annotated[str, option("where uploads and pictures are kept", metavar="DIR")] = "",
    no_open: Annotated[bool, option("don't open the browser")] = False,
) -> int:
    """Open the studio in the browser: dream, watch, keep."""
    if not 0 <= port <= 65535:
        raise PhospheneError("E_PARAM", f"--port is {port}, expected 0 to 65535")
    import phosphene.studio  # noqa: F401  (says what is missing)

    folder = Path(plain(data)) if data else homes.data() / "studio"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PhospheneError("E_OUTPUT", f"{folder} can't be made: {error.strerror}") from None
    if not all(" " <= letter <= "~" for letter in plain(token)):
        raise PhospheneError("E_PARAM", "--token has other than ASCII's printable characters in it")
    token = plain(token) or ("" if host in LOCAL else secrets.token_urlsafe(24))
    try:
        listening = socket.create_server((host, port), family=_family(host))
    except OSError as error:
        print(
            f"phosphene: {host}:{port} can't be served: {error.strerror}; choose another --port",
            file=sys.stderr,
        )
        return 1
    kept = _alone(folder, listening.getsockname()[1])  # noqa: F841  (for as long as this runs)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else every answer waits for 40 ms
    import uvicorn

    from phosphene.studio.patience import Patient
    from phosphene.studio.safety import LOOPBACK
    from phosphene.studio.server import application

    port = listening.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{port}/" + (f"?token={quote(token, safe='')}" if token else "")
    hosts = LOOPBACK if host in LOCAL else (*LOOPBACK, name, *_names(host))
    app = application(folder, hosts=hosts, token=token)
    print(address, flush=True)
    if not no_open:
        threading.Timer(0.8, webbrowser.open, [address]).start()
    config = uvicorn.Config(
        app,
        http=Patient,
        log_level="warning",
        ws_max_size=65_536,
        timeout_keep_alive=10,
        limit_concurrency=500,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what uvicorn raises again when all is closed
    uvicorn.Server(config).run(sockets=[listening])
    return 0


def _alone(folder: Path, port: int) -> int:
    """Hold the folder's lock: two studios would dream each other's queue. E_EXISTS where one has it."""
    path = folder / "studio.lock"
    try:
        held = lock.taken(path)
    except OSError as error:
        raise PhospheneError("E_OUTPUT", f"{folder} can't be written: {error.strerror}") from None
    if held is None:
        raise PhospheneError(
            "E_EXISTS",
            f"another studio has {folder} open{_there(path)}; use that one, or choose another folder: --data",
        )
    with suppress(OSError):  # a full disk
        os.write(held, f"\n{port:<5}".encode())
    return held


def _there(path: Path) -> str:
    """Where it is: its port stands behind the byte that it holds locked."""
    try:
        with path.open("rb") as file:
            file.seek(1)
            return f" at port {int(file.read(5))}"
    except (OSError, ValueError):
        return ""


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _names(host: str) -> tuple[str, ...]:
    """The names under which others reach this machine, where every address is served."""
    if host not in ("0.0.0.0", "::"):
        return ()
    found = {socket.gethostname().lower()}
    with suppress(OSError):
        found |= {str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None)}
    return tuple(f"[{one}]" if ":" in one else one for one in found)
