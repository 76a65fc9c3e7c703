"""A task whose workers can be made to die, and a driver for it that can be killed.

`python ray_tasks.py ADDRESS FOLDER COUNT SECONDS [WHAT:NUMBER …]` makes FOLDER/NUMBER.txt for each number
that has none, and prints one line of JSON for each item that came to its end. WHAT is kill (always), once,
error, or both: it waits until either kind of worker had an item that it doesn't die of. A cluster without a
head is given up after a second.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path


class Files:
    """Writes a file of its own for each item; `log` says who began and ended it."""

    def __init__(self, folder, seconds, device="cpu"):
        self.folder, self.seconds, self.device = Path(folder), seconds, device

    def log(self, what, number):
        with (self.folder / "log").open("a") as log:
            log.write(f"{what} {number} {os.getpid()}\n")

    def do(self, item):
        number, what = item["number"], item["what"]
        self.log("begin", number)
        if what == "error":
            raise ValueError("never does")
        if what == "kill" or (what == "once" and not self.mark(number)):
            os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / f"{self.device}.seen").touch()
        while what == "both" and len(list(self.folder.glob("*.seen"))) < 2:
            time.sleep(0.05)
        time.sleep(self.seconds)
        part = self.folder / f"{number}.part{os.getpid()}"
        part.write_text(hashlib.sha256(str(number).encode()).hexdigest())
        part.replace(self.folder / f"{number}.txt")
        self.log("end", number)
        return {"device": self.device, "threads": os.environ["OMP_NUM_THREADS"]}

    def mark(self, number):
        """Whether it was here before."""
        mark = self.folder / f"{number}.mark"
        there = mark.exists()
        mark.touch()
        return there


def main(address, folder, count, seconds, *special):
    from ray_tasks import Files  # by its name, not as __main__.Files

    from phosphene.catalog import pulse
    from phosphene.catalog.cluster import Cluster
    from phosphene.catalog.executor import Failure
    from phosphene.catalog.tries import outcomes

    pulse.SILENCE = 1.0
    kinds = {number: what for what, _, number in (one.partition(":") for one in special)}
    missing = [n for n in range(int(count)) if not Path(folder, f"{n}.txt").exists()]
    items = [{"number": n, "what": kinds.get(str(n), "")} for n in missing]
    with Cluster(Files, {"folder": folder, "seconds": float(seconds)}, address=address) as cluster:
        for item, result in outcomes(cluster, items):
            said = {"failure": result.code, "text": result.text} if isinstance(result, Failure) else result
            print(json.dumps({**item, **said}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
