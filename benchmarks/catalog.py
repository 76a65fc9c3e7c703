"""A catalog by one worker and by two, in turns with the bare loop in one process, and what `--dry-run` said.

`python -m benchmarks catalog --steps 6`: pictures from noise of EfficientNet-Lite0, single-threaded.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
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
from phosphene.lens import Lens
from phosphene.presets import VISUALIZE

BARE = "the bare loop, one process"
TURNS = 3
LAYERS, SIZE = "blocks.1.0.conv_pw,blocks.2.0.conv_pw", 96


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """The report; no plots."""
    noise = Dream(
        **VISUALIZE | {"steps": options.steps * 4}, seed=0, model="efficientnet_lite0", device="cpu"
    )
    lens = models.of(noise)
    plan = planning.make(lens, noise, Dream(), pattern=LAYERS, wanted=["noise"], size=SIZE)
    taken: dict[str, list[float]] = {}
    for turn in range(TURNS):
        seconds = {BARE: _bare(plan), "1 worker": _pool(plan, 1), "2 workers": _pool(plan, 2)}
        for name, one in seconds.items():
            taken.setdefault(name, []).append(one)
        print(
            f"turn {turn + 1}:", ", ".join(f"{name} {one:.1f} s" for name, one in seconds.items()), flush=True
        )
    middle = {name: statistics.median(several) for name, several in taken.items()}
    said = {"1 worker": _said(plan, lens, 1), "2 workers": _said(plan, lens, 2)}
    lines = [
        f"| {name} | {' '.join(f'{one:.1f}' for one in taken[name])} | {seconds:.1f} s "
        f"| {seconds / middle[BARE]:.3f} × | {f'{said[name]:.1f} s' if name in said else ''} |"
        for name, seconds in middle.items()
    ]
    head = f"{plan.units} units, {SIZE} px, {options.steps * 4} steps, from when workers are ready; "
    head += f"load average {os.getloadavg()[0]:.1f}\n\n"
    head += "| | turns | median | against the bare loop | `--dry-run` said |\n|---|---|---|---|---|\n"
    faster = middle["1 worker"] / middle["2 workers"]
    return head + "\n".join(lines) + f"\n\nTwo workers do {faster:.2f} × the work of one.\n", {}


def _said(plan: Plan, lens: Lens, workers: int) -> float:
    def hire(task: Any, more: dict[str, Any]) -> Executor:
        return Pool(task, more, workers=workers)

    found = estimate.estimate(plan, lens, hire)
    return found.seconds - found.started


def _bare(plan: Plan) -> float:
    """In a process of its own, from when it has loaded, as the workers are measured."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_loop, plan.to_json()).result()


def _loop(plan: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        work = Work(plan, folder, threads=1)
        began = time.monotonic()
        for item in items(work.plan):
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
