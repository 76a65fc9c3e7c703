"""Seconds of a step and peak memory, phosphene beside the others, which take turns in one run."""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import peers, results, ways
from benchmarks.cases import CASES, operations
from benchmarks.worker import Worker


@dataclass(frozen=True)
class Case:
    """What came out for one network and size: of each way that could do it seconds and bytes."""

    name: str
    size: int
    seconds: dict[str, float]
    peaks: dict[str, int]
    errors: dict[str, str]
    share: float  # of the speed of matrix products

    @property
    def title(self) -> str:
        return f"{self.name} `{CASES[self.name]}` {self.size} px"


def measured(name: str, size: int, names: list[str], options: argparse.Namespace) -> Case:
    """One network at one size; every way takes a turn, then every way takes the next."""
    how = {"threads": options.threads, "clock": "cpu" if options.cpu else "wall"}
    times: dict[str, list[float]] = {way: [] for way in [*names, "gemm"]}
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(way, name, size, size, **how)) for way in times]
        for _ in range(options.turns):
            for worker in workers:
                taken = worker.steps(options.steps)
                if taken is not None:
                    times[worker.way].append(taken)
    gemm = min(times.pop("gemm"))
    seconds = {way: statistics.median(found) for way, found in times.items() if found}
    return Case(
        name,
        size,
        seconds,
        {worker.way: worker.peak for worker in workers if worker.way in seconds},
        {worker.way: worker.error for worker in workers if worker.error},
        operations(name, size, size) * gemm / seconds["phosphene"],
    )


def text(cases: list[Case], names: list[str], notes: str) -> str:
    """The tables, and where phosphene is behind."""
    parts = [notes]
    heads = ["network", "px", *names, *(f"÷ {way}" for way in names[1:]), "of GEMM"]
    rows = []
    for case in cases:
        ours = case.seconds["phosphene"]
        cells = [f"{case.seconds[way]:.3f}" if way in case.seconds else "-" for way in names]
        ratios = [f"{case.seconds[way] / ours:.2f}×" if way in case.seconds else "-" for way in names[1:]]
        rows.append(
            [f"{case.name} `{CASES[case.name]}`", str(case.size), *cells, *ratios, f"{case.share:.0%}"]
        )
    parts.append("## Seconds of a step\n\n" + results.table(heads, rows))
    parts.append(results.behind([(case.title, case.seconds) for case in cases], "s"))
    rows = [
        [
            f"{case.name} `{CASES[case.name]}`",
            str(case.size),
            *(f"{case.peaks[way] / 1e6:.0f}" if way in case.peaks else "-" for way in names),
        ]
        for case in cases
    ]
    parts.append("## Peak memory of the process, MB\n\n" + results.table(["network", "px", *names], rows))
    parts.append(
        results.behind(
            [(case.title, {way: peak / 1e6 for way, peak in case.peaks.items()}) for case in cases], "MB"
        )
    )
    failed = [f"- {case.title}, {way}: {error}\n" for case in cases for way, error in case.errors.items()]
    if failed:
        parts.append("## What couldn't be run\n\n" + "".join(failed))
    return "\n".join(part for part in parts if part)


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Measure what was asked for."""
    names, notes = list(ways.OURS), ""
    if options.peers:
        why = peers.install()
        names += [] if why else ways.PEERS
        notes += f"torch-dreams and dreamlens can't be installed: {why}\n" if why else ""
    from phosphene.models import device

    if device.native("bfloat16", "cpu"):
        names.append("bfloat16")
    else:
        notes += "This processor has no bfloat16 of its own: phosphene says so and stays in float32.\n"
    cases = []
    for size in options.sizes:
        for name in options.networks:
            cases.append(measured(name, size, names, options))
            ours = cases[-1].seconds
            others = ", ".join(f"{way} {seconds / ours['phosphene']:.2f}×" for way, seconds in ours.items())
            print(
                f"{cases[-1].title}: {ours['phosphene']:.3f} s ({cases[-1].share:.0%}); {others}", flush=True
            )
    clock = "processor" if options.cpu else "wall-clock"
    notes += (
        f"Medians of {options.turns} turns of {options.steps} steps, {clock} time, "
        f"{options.threads or results.cores()} threads, float32. A step is forward, gradient and ascent. "
        "`÷` is how many times longer than phosphene; *of GEMM* is the share of the speed of the "
        "machine's matrix products that the convolutions reach.\n"
    )
    return text(cases, names, notes), {}
