"""A catalog by one worker and by two, beside the bare loop in one process, and what `--dry-run` said.

`python -m benchmarks catalog --steps 6`: pictures from noise of EfficientNet-Lite0, single-threaded.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from phosphene import models
from phosphene.catalog import estimate
from phosphene.catalog import plan as planning
from phosphene.catalog.executor import Executor
from phosphene.catalog.local import Pool
from phosphene.catalog.record import Plan, items
from phosphene.catalog.run import begin, drive
from phosphene.catalog.store import Store
from phosphene.catalog.work import Work
from phosphene.config import Dream
from phosphene.presets import VISUALIZE

CHANNELS, SIZE = 96, 96


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """The report; no plots."""
    noise = Dream(
        **VISUALIZE | {"steps": options.steps * 4}, seed=0, model="efficientnet_lite0", device="cpu"
    )
    lens = models.of(noise)
    which = (0, CHANNELS, 1)
    plan = planning.make(
        lens, noise, Dream(), pattern="blocks.1.0.conv_pw", which=which, wanted=["noise"], size=SIZE
    )
    bare = _bare(plan)
    rows = [_row("the bare loop, one process", bare, bare)]
    for workers in (1, 2):
        rows.append(_row(f"{workers} worker(s)", _pool(plan, workers), bare))

        def hire(task: Any, more: dict[str, Any], workers: int = workers) -> Executor:
            return Pool(task, more, workers=workers)

        began = time.monotonic()
        found = estimate.estimate(plan, lens, hire)
        said = found.seconds - found.started
        rows.append(
            f"| `--dry-run`, {workers} worker(s), in {time.monotonic() - began:.0f} s | {said:.1f} s | "
            f"{found.bytes / 1e6:.1f} MB |"
        )
        print(rows[-1], flush=True)
    head = f"{CHANNELS} units, {SIZE} px, {options.steps * 4} steps, from when workers are ready; "
    head += f"load average {os.getloadavg()[0]:.1f}\n\n| | time | against the bare loop |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n", {}


def _row(name: str, seconds: float, bare: float) -> str:
    row = f"| {name} | {seconds:.1f} s | {seconds / bare:.3f} × |"
    print(row, flush=True)
    return row


def _bare(plan: Plan) -> float:
    with tempfile.TemporaryDirectory() as folder:
        work = Work(plan.to_json(), folder, threads=1)
        given = list(items(plan))
        work.made(given[0])
        began = time.monotonic()
        for item in given:
            work.do(item)
        return time.monotonic() - began


def _pool(plan: Plan, workers: int) -> float:
    """Until all is in the manifest, from when the first worker was ready."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(str(Path(folder) / "site"), make=True)
        made: list[Pool] = []

        def hire() -> Pool:
            made.append(Pool(Work, {"plan": plan.to_json(), "site": store.place}, workers=workers))
            while not made[0].all_ready:
                list(made[0].wait())
            return made[0]

        drive(plan, store, hire, begin(plan, store))
        seconds = time.monotonic() - made[0].ready
        store.close()
        return seconds
