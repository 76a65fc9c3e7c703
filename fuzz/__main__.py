"""Thousands of damaged files, and what becomes of each.

python -m fuzz [--mutants 1000] [--commands 50] [--only PART] [--write FILE]: exit code 1 where one was
neither read nor refused in one line. A mutant is made of its kind and number, and so can be made again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

from fuzz.corpus import KINDS
from fuzz.worker import serve

PATIENCE = 30.0  # s for one file


class Worker:
    """A process that tries files, begun anew when one of them ends it."""

    def __init__(self) -> None:
        self.peak = 0
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def tried(self, kind: str, number: int, command: bool) -> str:
        try:
            self.line.send((kind, number, command))
            if not self.line.poll(PATIENCE + 60 * command):
                self._end()
                return "HANGS"
            found = str(self.line.recv())
        except (EOFError, OSError):
            self._end()
            return f"CRASHES: {self.process.exitcode}"
        self.peak = max(self.peak, psutil.Process(self.process.pid).memory_info().rss)
        return found

    def _end(self) -> None:
        self.process.kill()
        self.process.join()
        self._begin()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--mutants", type=int, default=1000, help="of each kind, through the decoders")
    parser.add_argument("--commands", type=int, default=50, help="of each kind, through the command line")
    parser.add_argument("--only", default="", help="part of a kind's name")
    parser.add_argument("--write", default="", help="a file for the report")
    chosen = parser.parse_args()
    rows = [
        "| kind | mutants | read | refused | by the command line | wrong | peak |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(rows), flush=True)
    wrong: list[str] = []
    began = time.monotonic()
    for kind in KINDS:
        if chosen.only not in kind:
            continue
        worker, found, typed = Worker(), Counter[str](), Counter[str]()
        for count, kept, command in ((chosen.mutants, found, False), (chosen.commands, typed, True)):
            for number in range(count):
                result = worker.tried(kind, number, command)
                kept[result] += 1
                if not result.startswith(("read", "E_")):
                    wrong.append(f"{kind} {number}{' (command)' * command}: {result}")
                    print(wrong[-1], file=sys.stderr, flush=True)
        worker.process.kill()
        codes = ", ".join(f"{n} {code}" for code, n in sorted(found.items()) if code.startswith("E_"))
        by_command = ", ".join(f"{n} {code}" for code, n in sorted(typed.items()))
        bad = sum(line.startswith(f"{kind} ") for line in wrong)
        cells = (kind, chosen.mutants, found["read"], codes, by_command, bad, f"{worker.peak / 1e6:.0f} MB")
        rows.append(f"| {' | '.join(map(str, cells))} |")
        print(rows[-1], flush=True)
    total = len(rows) - 2
    end = f"\n{total} kinds, {total * chosen.mutants} mutants decoded, "
    end += f"{total * chosen.commands} by the command line, {len(wrong)} wrong, "
    end += f"in {time.monotonic() - began:.0f} s\n"
    print(end)
    if chosen.write:
        Path(chosen.write).write_text("# Fuzz\n\n" + "\n".join(rows) + end, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
