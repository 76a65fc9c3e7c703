"""Time and memory of a step against the picture's pixels, with the tiles that the plan chooses."""

from __future__ import annotations

import argparse
import math

from benchmarks import plot, results
from benchmarks.cases import CASES
from benchmarks.worker import Worker


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """For each network: every size once more in every turn, each in a process of its own."""
    how = {"threads": options.threads, "clock": "cpu" if options.cpu else "wall"}
    how["max_memory"] = options.max_memory
    found: dict[tuple[str, float], tuple[list[float], list[int], str]] = {}
    for _ in range(options.turns):
        for name in options.networks:
            for megapixels in options.megapixels:
                side = 32 * max(2, round(math.sqrt(megapixels * 1e6) / 32))
                times, peaks, _ = found.setdefault((name, megapixels), ([], [], ""))
                with Worker("phosphene", name, side, side, **how) as worker:
                    seconds = worker.steps(options.steps)
                if seconds is None:
                    found[name, megapixels] = times, peaks, worker.error
                    continue
                times.append(seconds / (side * side / 1e6))
                peaks.append(worker.peak)
                print(f"{name} {side}²: {times[-1]:.3f} s/MP, {peaks[-1] / 1e6:.0f} MB", flush=True)
    return text(found, options.max_memory)


def text(
    found: dict[tuple[str, float], tuple[list[float], list[int], str]], budget: str
) -> tuple[str, dict[str, str]]:
    """The table and the two plots."""
    rows: list[list[str]] = []
    times: dict[str, list[tuple[float, float]]] = {}
    peaks: dict[str, list[tuple[float, float]]] = {}
    for (name, megapixels), (seconds, most, error) in found.items():
        title = f"{name} `{CASES[name]}`"
        if not seconds:
            rows.append([title, f"{megapixels:g}", error or "-", "-", "-"])
            continue
        quickest = min(seconds)
        times.setdefault(name, []).append((megapixels, quickest))
        peaks.setdefault(name, []).append((megapixels, max(most) / 1e9))
        first = times[name][0][1]
        cells = f"{megapixels:g}", f"{quickest:.3f}", f"{quickest / first:.2f}×", f"{max(most) / 1e6:.0f}"
        rows.append([title, *cells])
    heads = ["network", "megapixels", "s per step and MP", "of the smallest's", "peak, MB"]
    words = f"Budget: {budget}.\n\n" if budget else "Budget: what is free.\n\n"
    plots = {
        "time": plot.lines(times, "megapixels", "seconds per step and megapixel"),
        "memory": plot.lines(peaks, "megapixels", "peak memory, GB"),
    }
    return words + results.table(heads, rows), plots if times else {}
