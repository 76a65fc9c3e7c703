"""Results as files: `benchmarks/results/<what>_<hardware>_<date>.md`."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
KNOWN = r"epyc|xeon|ryzen|threadripper|core|neoverse|graviton|apple m\d|m\d"


def hardware() -> str:
    """The processor's family and how many cores may be used: epyc-2cores."""
    words = platform.processor() or platform.machine()
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        words = found.group(1) if found else words
    except OSError:
        pass
    family = re.search(rf"\b({KNOWN})\b", words.lower())
    name = family.group(1).replace(" ", "-") if family else re.sub(r"\W+", "-", platform.machine().lower())
    return f"{name}-{cores()}cores"


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown: the first column to the left, the others to the right."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def behind(rows: Sequence[tuple[str, dict[str, float]]], unit: str, ours: str = "phosphene") -> str:
    """In words where anybody is ahead of us: `rows` are a case and each way's figure, less being better."""
    found = [
        f"- {case}: behind {way}, {figures[ours]:.3g} {unit} against {figure:.3g} "
        f"({figures[ours] / figure:.2f}×)\n"
        for case, figures in rows
        for way, figure in figures.items()
        if ours in figures and way != ours and figure < figures[ours]
    ]
    return "".join(found) or "Behind nobody.\n"


def write(what: str, text: str, plots: dict[str, str] | None = None, folder: Path = FOLDER) -> Path:
    """Keep `text` under its name, and the `plots` (name -> SVG) beside it."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    today = datetime.date.today().isoformat()
    stem = f"{what}_{hardware()}_{today}"
    head = f"# {what}, {hardware()}, {today}\n\n"
    head += f"PyTorch {torch.__version__}, Python {platform.python_version()}.\n\n"
    for name, svg in (plots or {}).items():
        (folder / f"{stem}_{name}.svg").write_text(svg, encoding="utf-8")
        text += f"\n![{name}]({stem}_{name}.svg)\n"
    path = folder / f"{stem}.md"
    path.write_text(head + text, encoding="utf-8")
    return path
