"""The guard that keeps tests off the network notices what it should, and only that."""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

LOG = Path(os.environ["TESTS_NETWORK_LOG"])
ASK = """
import urllib.request
try:
    urllib.request.urlopen("http://203.0.113.77/", timeout=1)
except Exception:
    pass
"""


def asked():
    """What the guard has written down, which is then forgotten."""
    text = LOG.read_text() if LOG.exists() else ""
    LOG.unlink(missing_ok=True)
    return text


@pytest.mark.parametrize(
    "ask",
    [
        lambda: socket.create_connection(("203.0.113.77", 80), timeout=1),
        lambda: socket.getaddrinfo("example.org", 80),
        lambda: socket.gethostbyname("example.org"),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("203.0.113.77", 53)),
    ],
    ids=["connect", "getaddrinfo", "gethostbyname", "sendto"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_notices_what_is_swallowed(ask):
    with suppress(OSError):
        ask()
    assert "203.0.113.77" in (text := asked()) or "example.org" in text


def test_it_notices_other_processes():
    subprocess.run([sys.executable, "-c", ASK], check=True)
    assert "203.0.113.77" in asked()


def test_this_machine_may_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
        socket.create_connection(("localhost", server.getsockname()[1])).close()
    assert asked() == ""
