"""Tasks for the tests of the pool: what they do is told in their items."""

import os
import signal
import time
from pathlib import Path


class Odd:
    """Items are (name, what): what may be "die", "die once", "fail", "slow" or ""."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def do(self, item):
        name, what = item
        with (self.folder / "log").open("a") as log:
            log.write(f"{name}\n")
        marker = self.folder / f"{name}.died"
        if what == "die" or (what == "die once" and not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "fail":
            raise ValueError("a bad item")
        if what == "slow":
            time.sleep(60)
        return name * 2


class NeverStarts:
    def __init__(self):
        raise ValueError("no network")
