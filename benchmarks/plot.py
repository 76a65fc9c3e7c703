"""Lines over logarithmic axes, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BELOW = 640, 400, 70, 50
COLORS = ("#4361ee", "#e85d04", "#2a9d8f", "#9d4edd")
Points = Sequence[tuple[float, float]]


def lines(series: Mapping[str, Points], x_name: str, y_name: str) -> str:
    """A picture of `series` (name -> points, all above zero)."""
    points = [point for line in series.values() for point in line]
    (left, right), (low, high) = (
        [edge(axis, min, -1), edge(axis, max, 1)] for axis in zip(*points, strict=True)
    )

    def place(x: float, y: float) -> tuple[float, float]:
        along = math.log(x / left) / math.log(right / left)
        up = math.log(y / low) / math.log(high / low)
        return LEFT + along * (WIDTH - LEFT - 20), 20 + (1 - up) * (HEIGHT - BELOW - 20)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    ]
    for x in ticks(left, right):
        across, _ = place(x, low)
        parts.append(f'<path d="M{across:.1f} 20V{HEIGHT - BELOW}" stroke="#ddd"/>')
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - BELOW + 16}" text-anchor="middle">{x:g}</text>')
    for y in ticks(low, high):
        _, down = place(left, y)
        parts.append(f'<path d="M{LEFT} {down:.1f}H{WIDTH - 20}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{down + 4:.1f}" text-anchor="end">{y:g}</text>')
    for number, (name, line) in enumerate(series.items()):
        color = COLORS[number % len(COLORS)]
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts.append(f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="3" fill="{color}"/>'
            for p in places.split()
        ]
        parts.append(f'<text x="{LEFT + 12}" y="{36 + 16 * number}" fill="{color}">{escape(name)}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_name)}</text>')
    parts.append(
        f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_name)}</text>"
    )
    return "".join([*parts, "</svg>\n"])


def edge(values: Sequence[float], choose: object, way: int) -> float:
    """A power of two beyond the least or largest value."""
    assert callable(choose)
    whole = math.floor if way < 0 else math.ceil
    return float(2.0 ** (whole(math.log2(choose(values)) + 0.01 * way)))


def ticks(low: float, high: float) -> list[float]:
    """Powers of two from `low` to `high`, at most nine."""
    first, last = round(math.log2(low)), round(math.log2(high))
    return [2.0**power for power in range(first, last + 1, max(1, -(-(last - first) // 8)))]
