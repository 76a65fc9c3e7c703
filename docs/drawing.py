"""The rooms of the code and their imports, drawn from the syntax trees as an SVG."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "phosphene"
WIDTH, ROW, BOX, GAP, LETTER = 1080, 58, 24, 12, 7.4  # px

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1d1830; text-anchor: middle; }
  rect { fill: #efeafb; stroke: #7c5cd6; stroke-width: 1; }
  path { fill: none; stroke: #7c5cd6; stroke-width: 1; opacity: .38; }
  @media (prefers-color-scheme: dark) {
    text { fill: #ece8fb; } rect { fill: #2a2342; stroke: #a78bfa; } path { stroke: #a78bfa; }
  }
"""


@cache
def rooms() -> dict[str, set[str]]:
    """Each room, a module or a package, and the rooms that it imports when it is itself imported or run."""
    files: dict[str, list[Path]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).parts
        name = parts[0] if len(parts) > 1 else path.stem
        if not name.startswith("__"):
            files.setdefault(name, []).append(path)
    found = {name: set().union(*(_imports(path) for path in paths)) for name, paths in files.items()}
    return {name: {other for other in others if other in files} - {name} for name, others in found.items()}


def _imports(path: Path) -> set[str]:
    names: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return  # what is imported late may stand above
        if isinstance(node, ast.ImportFrom) and node.module == "phosphene":
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("phosphene."):
            names.add((node.module or "").split(".")[1])
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse(path.read_text(encoding="utf-8")))
    return names


def level(name: str) -> int:
    """How many rooms a room stands above, at most: one that imports nothing is at 0."""
    return 1 + max((level(other) for other in rooms()[name]), default=-1)


def below(name: str) -> set[str]:
    """All rooms that a room leans on, at last."""
    return set().union(*({other} | below(other) for other in rooms()[name]))


def needed(name: str) -> list[str]:
    """The rooms that it imports and doesn't reach through another one anyway."""
    direct = rooms()[name]
    return sorted(other for other in direct if not any(other in below(between) for between in direct))


def drawing() -> str:
    """The picture: imports run downward, and only those are drawn that say something new."""
    levels: dict[int, list[str]] = {}
    for name in sorted(rooms()):
        levels.setdefault(level(name), []).append(name)
    top = max(levels)
    places: dict[str, tuple[float, float]] = {}
    for number, names in levels.items():
        widths = [LETTER * len(name) + 20 for name in names]
        x = (WIDTH - sum(widths) - GAP * (len(names) - 1)) / 2
        for name, width in zip(names, widths, strict=True):
            places[name] = x + width / 2, ROW * (top - number) + ROW / 2
            x += width + GAP
    lines = [
        f'<path d="M{x:.0f} {y + BOX / 2:.0f}'
        f'C{x:.0f} {y + 30:.0f} {u:.0f} {v - 30:.0f} {u:.0f} {v - BOX / 2:.0f}"/>'
        for name, (x, y) in places.items()
        for u, v in [places[other] for other in needed(name)]
    ]
    for name, (x, y) in places.items():
        width = LETTER * len(name) + 20
        lines.append(
            f'<rect x="{x - width / 2:.0f}" y="{y - BOX / 2:.0f}" width="{width:.0f}" height="{BOX}" rx="7"/>'
            f'<text x="{x:.0f}" y="{y + 4:.0f}">{name}</text>'
        )
    height = ROW * (top + 1)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return "\n".join(
        [head, f"<title>The rooms and their imports</title><style>{STYLE}</style>", *lines, "</svg>\n"]
    )
