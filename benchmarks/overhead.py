"""What frames, events and progress take of a step: the whole loop beside its bare gradients, in turns."""

from __future__ import annotations

import argparse
import statistics

import torch
from numpy.random import RandomState

from benchmarks import results, ways
from benchmarks.cases import CASES, lens
from phosphene import engine, expression, tile
from phosphene.canvas import Held
from phosphene.cli.report import Report
from phosphene.config import Dream


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Quartiles of many pairs, as the difference is less than what the machine itself varies."""
    clock = ways.CLOCKS["cpu" if options.cpu else "wall"]
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = []
    for name in options.networks:
        for size in options.sizes:
            whole, bare = pair(name, size, options.steps, options.turns, clock)
            extra = [100 * (a / b - 1) for a, b in zip(whole, bare, strict=True)]
            middle = f"{statistics.median(extra):.1f}%"
            best = f"{100 * (min(whole) / min(bare) - 1):.1f}%"
            title = f"{name} `{CASES[name]}`"
            rows.append([title, str(size), f"{min(bare):.4f}", f"{min(whole):.4f}", best, middle])
            print(rows[-1], flush=True)
    heads = ["network", "px", "bare gradient, s", "step with all, s", "at best", "median"]
    words = f"{options.turns} turns of {options.steps} steps.\n\n"
    return words + results.table(heads, rows), {}


def pair(name: str, size: int, steps: int, turns: int, clock: ways.Clock) -> tuple[list[float], list[float]]:
    """Seconds of a step in the loop with its report, and of a bare gradient of the same objective."""
    seer = lens(name)
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    objective = expression.parse(CASES[name]).bind(seer)
    config = Dream(octaves=1, steps=steps + 1, smooth=0, seed=0)
    report = Report(quiet=True)
    whole, bare = [], []
    for _ in range(turns):
        times = []
        for frame in engine.dream(image, objective, seer, config):
            report.frame(frame)
            times.append(clock())
        whole.append(ways.between(times))
        random, times = RandomState(0), []
        with seer.watching(objective.layers) as look:
            for _ in range(steps + 1):
                roll = int(random.randint(-32, 33)), int(random.randint(-32, 33))
                tile.gradients([objective], look, Held(image), tile.Plan(), (0, 0), None, roll)
                times.append(clock())
        bare.append(ways.between(times))
    return whole, bare
