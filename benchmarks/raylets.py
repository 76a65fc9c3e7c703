"""A Ray cluster of a few raylets on this machine, of which nothing is left behind.

As a program it holds them for as long as stdin is open, and prints one line of JSON: the cluster's address
and its raylets' process ids, the head's first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
STORE = 80_000_000  # bytes, of each
TRIES = 3
QUIET = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",
    "RAY_AUTH_MODE": "disabled",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


@dataclass(frozen=True)
class Raylets:
    """`pids` are the raylets', the head's first."""

    address: str
    pids: list[int]
    folder: str

    def workers(self) -> list[int]:
        """The processes of the actors, on all nodes."""

        found = []
        for pid in self.pids:
            with suppress(psutil.Error):
                for child in psutil.Process(pid).children():
                    with suppress(psutil.Error):
                        if "".join(child.cmdline()).startswith("ray::Worker"):
                            found.append(child.pid)
        return found


@contextmanager
def raylets(count: int = 3, path: str = "", gpus: int = 0) -> Iterator[Raylets]:
    """A cluster of `count` nodes of one processor each; `path` is added to its workers' PYTHONPATH.

    The second node says that it has `gpus`, whether or not there are any. On a busy machine a node may be too
    slow for Ray, which then gives up: it is tried again.
    """
    for left in reversed(range(TRIES)):
        with ExitStack() as stack:
            found = stack.enter_context(_begun(count, path, gpus))
            if found is None and left:
                continue
            if found is None:
                raise RuntimeError("no cluster came up")
            yield found
            return


@contextmanager
def _begun(count: int, path: str, gpus: int) -> Iterator[Raylets | None]:
    folder = tempfile.mkdtemp(prefix="r8", dir="/tmp")  # sockets' names must be short
    search = [str(ROOT / "src"), str(ROOT), path, os.environ.get("PYTHONPATH", "")]
    holder = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.raylets", str(count), folder, str(gpus)],
        cwd=folder,  # the workers', unless they leave it
        env={
            **os.environ,
            **QUIET,
            "PYTHONPATH": os.pathsep.join(filter(None, search)),
            "RAY_TMPDIR": folder,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert holder.stdout and holder.stdin
        line = holder.stdout.readline()
        yield Raylets(**json.loads(line), folder=folder) if line else None
    finally:
        with suppress(OSError):
            assert holder.stdin
            holder.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            holder.wait(30)
        if holder.stdout:
            holder.stdout.close()
        sweep(folder)
        holder.wait()
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: str) -> None:
    """Kill whatever has the cluster's own folder in its command line, and their children."""

    mine = []
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != os.getpid() and any(folder in part for part in process.info["cmdline"] or ()):
            with suppress(psutil.Error):
                mine += [process, *process.children(recursive=True)]
    for process in mine:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(mine, 10)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.raylets", description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("folder", help="its own, so that `sweep` finds what belongs to it")
    parser.add_argument("gpus", type=int)
    chosen = parser.parse_args()
    Path(os.environ["RAY_TMPDIR"], "ray").mkdir()
    out = os.dup(1)
    os.dup2(2, 1)  # Ray prints
    from ray.cluster_utils import Cluster

    arguments: dict[str, Any] = {"num_cpus": 1, "object_store_memory": STORE}
    cluster: Any = Cluster(initialize_head=True, head_node_args={**arguments, "include_dashboard": False})
    nodes: list[Any] = [cluster.head_node]
    for number in range(1, chosen.count):
        nodes.append(cluster.add_node(wait=False, **arguments, num_gpus=chosen.gpus if number == 1 else 0))
    cluster.wait_for_nodes()
    pids = [node.all_processes["raylet"][0].process.pid for node in nodes]
    os.write(out, json.dumps({"address": cluster.address, "pids": pids}).encode() + b"\n")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    try:
        sys.stdin.read()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
