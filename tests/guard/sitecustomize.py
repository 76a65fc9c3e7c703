"""No test reaches the network: neither in pytest's process nor in Python's that it starts.

Python imports this by itself where the folder is on PYTHONPATH. Every try to connect, to send or to look up
a name is refused unless it stays on this machine, and written to the file that TESTS_NETWORK_LOG names, so
that a test fails even if what it tests swallows the refusal.
"""

import ipaddress
import os
import socket
import sys

LOG = "TESTS_NETWORK_LOG"
HERE = {"", "localhost", "localhost.localdomain"}
CLOUDS = {"169.254.169.254", "metadata.google.internal"}  # Ray asks once where it is; nothing can forbid it
EVENTS = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}


def stays_here(host):
    """Whether a name or an address is this machine's own."""
    if host is None or (isinstance(host, bytes) and not host):
        return True
    name = (host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)).partition("%")[0]
    if name.lower() in HERE | {socket.gethostname().lower()}:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.lower().endswith(".localhost")
    return address.is_loopback or address.is_unspecified or name in own_addresses()


def own_addresses():
    import psutil

    every = psutil.net_if_addrs().values()
    return {address.address.partition("%")[0] for addresses in every for address in addresses}


def refuse(event, arguments):
    if event not in EVENTS:
        return
    target = arguments[EVENTS[event]]
    if event in ("socket.connect", "socket.sendto"):
        if not isinstance(target, tuple):  # a socket of this machine's own
            return
        target = target[0]
    if stays_here(target) or (target in CLOUDS and "/ray/dashboard/" in sys.argv[0]):
        return
    with open(os.environ[LOG], "a") as log:  # noqa: PTH123
        log.write(f"{event} {target!r} in {' '.join(sys.argv)[:200]}\n")
    raise OSError(f"no network in tests: {event} {target!r}")


if os.environ.get(LOG):
    sys.addaudithook(refuse)
