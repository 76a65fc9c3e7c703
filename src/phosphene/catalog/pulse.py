"""Whether a cluster can still be heard: Ray itself ends a program whose cluster is gone."""

from __future__ import annotations

import socket
import time

from phosphene.errors import PhospheneError

ANSWER = 10.0  # s that a cluster has to be heard of
EVERY = 2.0  # s between two times that it is listened to
SILENCE = 20.0  # s without a head after which there is none; Ray waits 60


def answers(address: str, patience: float = ANSWER) -> None:
    """E_DEVICE where nobody does: Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=patience).close()
    except ValueError:
        raise none_at(address, "that is no HOST:PORT") from None
    except OSError as error:
        raise none_at(address, " ".join(str(error).split())[:300]) from None


def none_at(address: str, why: str) -> PhospheneError:
    return PhospheneError(
        "E_DEVICE", f"--ray {address[:200]}: {why}; give the HOST:PORT of a cluster that runs, or auto"
    )


class Pulse:
    """A cluster's, by its head's `address` and by the Unix `door` of this machine's node ('' = none)."""

    def __init__(self, address: str, door: str) -> None:
        self.address, self.door = address, door
        self.heard = self.asked = time.monotonic()

    def check(self) -> None:
        """E_WORKER where the head, or this machine's node, is gone."""
        if time.monotonic() - self.asked < EVERY:
            return
        if self.door and not _opens(self.door):
            raise self._lost("this machine's node of it has died")
        try:
            answers(self.address, EVERY)
            self.heard = time.monotonic()
        except PhospheneError as error:
            if time.monotonic() - self.heard > SILENCE:
                raise self._lost("its head doesn't answer any more") from error
        self.asked = time.monotonic()

    def _lost(self, why: str) -> PhospheneError:
        return PhospheneError(
            "E_WORKER", f"the cluster at {self.address}: {why}; what is made stays, the same command goes on"
        )


def _opens(door: str) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(ANSWER)
        try:
            line.connect(door)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # too busy is not dead
            return True
    return True
