"""A studio of its own for tests: a real process behind a real socket."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

PHOTO = Path(__file__).resolve().parents[1] / "examples" / "photo.jpg"
SMALL = {"model": "efficientnet_lite0", "objective": "blocks.2.1", "max_size": 96, "steps": 2, "seed": 1}
LONG = {**SMALL, "steps": 100_000}  # doesn't end by itself, however busy the machine is
DEADLINE = 120


class Studio:
    def __init__(self, folder, *flags, environment=None):
        self.folder, self.flags, self.environment = folder, flags, environment or {}
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        typed = ["studio", "--port", str(self.port), "--data", str(self.folder), "--no-open", *self.flags]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **self.environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "phosphene", *typed], env=environment, stdout=subprocess.PIPE
        )
        self.printed = self.process.stdout.readline().decode().strip()
        until(lambda: httpx.get(f"{self.url}/api/about").status_code in (200, 401))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()

    def visitor(self):
        return httpx.Client(base_url=self.url, timeout=60)


def until(true):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            found = true()
        except httpx.TransportError:
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it took too long")


def ended(visitor, job, *states):
    states = states or ("done", "failed", "cancelled")
    return until(lambda: (seen := visitor.get(f"/api/jobs/{job}").json())["state"] in states and seen)
