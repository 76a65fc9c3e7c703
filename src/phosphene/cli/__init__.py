"""The command line: `phosphene dream photo.jpg -o dream.png`.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from phosphene.cli import interrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, the process's own unless `arguments` are given; the result is the exit code.

    0 all done, 1 some of several photos failed, 2 usage or bad input, 130 Ctrl-C, 143 SIGTERM.
    """
    for name in ("stdout", "stderr"):  # closed by whoever began us
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    with interrupt.handled(for_good=arguments is None):
        from phosphene.cli.app import run

        return run(list(sys.argv[1:] if arguments is None else arguments))
