"""Whether a cluster is still there, by a head and a door that aren't Ray's."""

import socket

import pytest

from phosphene.catalog import pulse
from phosphene.errors import PhospheneError


@pytest.fixture
def head(monkeypatch):
    """A port that answers, listened to every time and given up at once."""
    monkeypatch.setattr(pulse, "EVERY", 0.1)
    monkeypatch.setattr(pulse, "SILENCE", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address(server):
    return f"127.0.0.1:{server.getsockname()[1]}"


def after(found):
    found.asked -= 1
    return found


def test_a_head_that_answers_and_one_that_does_not(head):
    found = pulse.Pulse(address(head), "")
    after(found).check()
    head.close()
    found.check()  # it was asked a moment ago
    with pytest.raises(
        PhospheneError, match="its head doesn't answer any more; what is made stays"
    ) as caught:
        after(found).check()
    assert caught.value.code == "E_WORKER"


def test_a_head_may_come_back(head, monkeypatch):
    monkeypatch.setattr(pulse, "SILENCE", 60.0)
    found, port = pulse.Pulse(address(head), ""), head.getsockname()[1]
    head.close()
    heard = found.heard
    after(found).check()
    assert found.heard == heard
    with socket.create_server(("127.0.0.1", port)):
        after(found).check()
    assert found.heard > heard


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_a_node_that_dies(head, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # sockets' names must be short
    with socket.socket(socket.AF_UNIX) as node:
        node.bind("node")
        node.listen()
        found = pulse.Pulse(address(head), "node")
        after(found).check()
    for _ in range(2):
        with pytest.raises(PhospheneError, match="this machine's node of it has died"):
            after(found).check()
        (tmp_path / "node").unlink(missing_ok=True)
