"""The commands, and what becomes of their errors."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from itertools import pairwise
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from phosphene.cli.commands import COMMANDS
from phosphene.cli.dash import DASH, marked
from phosphene.cli.faults import explained
from phosphene.cli.interrupt import stop
from phosphene.cli.report import Report
from phosphene.errors import PhospheneError

EXAMPLES = """\
Examples:
  phosphene dream photo.jpg -o dream.png
  phosphene dream holiday/*.jpg -o dreams/ --preset animals
  phosphene dream photo.jpg --objective blocks.4.1:12 --steps 20 --seed 7
  phosphene show dream.png
  phosphene replay dream.png -o again.png
"""


def _versions() -> str:
    from phosphene.cli.version import versions

    return versions()


app = App(
    name="phosphene",
    help="Pictures that come out of a network's own activations: DeepDream.",
    help_prologue=EXAMPLES,
    help_format="plaintext",
    version=_versions,
    version_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for order, command in enumerate(COMMANDS):
    looks = {} if command.beneath else command.looks
    app.command(command.place, name=command.name, help=command.help, sort_key=order, **looks)


@app.command(name="--install-completion", sort_key=len(COMMANDS))
def install_completion(
    *,
    shell: Annotated[Literal["bash", "zsh", "fish", "powershell"] | None, Parameter(help="the shell")] = None,
) -> None:
    """Let the shell complete phosphene's commands and flags."""
    from cyclopts.completion import ShellDetectionError

    try:
        path = app.install_completion(shell=shell)
    except ShellDetectionError:
        raise PhospheneError(
            "E_PARAM", "the shell can't be told from here; give --shell bash, zsh, fish or powershell"
        ) from None
    print(f"{path}; open a new shell to use it")


def run(tokens: list[str]) -> int:
    """Run the command line `tokens`; errors become one line on stderr and an exit code."""
    options = tokens[: tokens.index("--")] if "--" in tokens else tokens
    debug = "--debug" in options
    report = Report(events="--json" in options, bytes_on_stdout=_to_stdout(options))
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name is printed as it is, whatever its bytes
        sys.stdout.reconfigure(errors="surrogateescape" if sys.stdout.encoding == "utf-8" else "replace")
    with warnings.catch_warnings():
        if not debug and not sys.warnoptions:
            warnings.simplefilter("ignore")
        try:
            code = int(app(marked(tokens), exit_on_error=False, print_error=False) or 0)
            sys.stdout.flush()
            return code
        except BrokenPipeError:  # whoever read our output has gone: end as quietly as SIGPIPE would
            _drop_stdout()
            return 141
        except KeyboardInterrupt:
            return stop.code if stop.signal else 130
        except CycloptsError as error:
            return _failed(report, PhospheneError("E_PARAM", str(error).replace(DASH, "-")))
        except Exception as error:
            if debug:
                traceback.print_exc()
            return _failed(report, explained(error))


def _to_stdout(options: list[str]) -> bool:
    joined = {"-o-", "-o=-", "--output=-"}
    return bool(joined & set(options)) or any(
        a in ("-o", "--output") and b == "-" for a, b in pairwise(options)
    )


def _failed(report: Report, error: PhospheneError) -> int:
    try:
        report.error(error)
        sys.stdout.flush()
    except OSError:
        _drop_stdout()
    return 2


def _drop_stdout() -> None:
    """Send what is still to be written nowhere, so that Python's own last flush can't fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
