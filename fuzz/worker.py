"""What tries one damaged file after another, in a process that may crash, hang or eat memory."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import tempfile
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

from fuzz.corpus import KINDS, ending, mutant

FILM = "film"  # told by what is in it
MEMORY = 6 * 2**30  # bytes of address space
QUICK = ("--octaves", "1", "--steps", "1", "--max-size", "48", "--threads", "1", "--objective", "blocks.0.0")


def serve(line: Connection) -> None:
    """(kind, number, whether by the command line) in, what became of it out."""
    os.environ["OMP_NUM_THREADS"] = "1"
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(EOFError):
        os.chdir(folder)
        while True:
            kind, number, command = line.recv()
            line.send(typed(kind, number) if command else decoded(kind, number))


def decoded(kind: str, number: int) -> str:
    """'read', the code of a refusal, or what shouldn't be."""
    from phosphene.errors import PhospheneError
    from phosphene.film.source import look, stills
    from phosphene.picture import open_picture

    data = mutant(kind, number)
    try:
        if KINDS[kind] == "picture":
            picture = open_picture(data, max_pixels=4_000_000)
            return "read" if picture.pixels.ndim == 3 else "BROKEN: no picture"
        Path(FILM).write_bytes(data)
        count = sum(1 for _ in islice(stills(look(FILM)), 12))
        return "read" if count else "BROKEN: a film without stills"
    except PhospheneError as error:
        return error.code if "\n" not in str(error) else f"BROKEN: {error.code} has several lines"
    except BaseException as error:
        return f"BROKEN: {type(error).__name__}: {error}"[:200]
    finally:
        Path(FILM).unlink(missing_ok=True)


def typed(kind: str, number: int) -> str:
    """The same by the command line: exit code 0 or 2, one line, and nothing partial."""
    from phosphene.cli import main

    film = KINDS[kind] == "film"
    source, target = Path(f"source{ending(kind)}"), Path("out.mp4" if film else "out.png")
    source.write_bytes(mutant(kind, number))
    words = ["video", "--end", "0.2"] if film else ["dream"]
    words += [str(source), "-o", str(target), *QUICK]
    errors = io.TextIOWrapper(io.BytesIO(), write_through=True)
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(words)
        except BaseException as error:
            return f"BROKEN: {type(error).__name__}: {error}"[:200]
    errors.seek(0)
    said = errors.read()
    left = [path.name for path in Path().iterdir() if path != source]
    for path in Path().iterdir():
        if path.is_file():
            path.unlink()
    if "Traceback" in said or "E_INTERNAL" in said:
        return f"BROKEN: {said[-300:]}"
    if code == 0:
        return "read" if left == [target.name] else f"BROKEN: exit 0, and {left}"
    found = said.rpartition("phosphene: ")[2].partition(":")[0]
    fine = code == 2 and found.startswith("E_") and target.name not in left
    return found if fine else f"BROKEN: {code} {said[-200:]} {left}"
