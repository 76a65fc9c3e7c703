"""A contact sheet: pictures side by side, each with its name beneath."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from phosphene.picture.picture import Floats

GAP, TEXT, MARGIN = 8, 11, 16  # px; TEXT is the letters' size
PAPER, INK = (18, 18, 20), (214, 214, 220)
SHAPE = 1.5  # of the sheet: about so much wider than high


def contact_sheet(pictures: Sequence[tuple[str, Floats]], title: str = "", columns: int = 0) -> Floats:
    """These pictures `[h, w, 3]` in 0..1, none larger than the first, on one `[H, W, 3]` in 0..1.

    Names that are too long for their picture lose their middle.
    """
    height = max(pixels.shape[0] for _, pixels in pictures)
    width = max(pixels.shape[1] for _, pixels in pictures)
    cell = (width + GAP, height + GAP + TEXT + 5)
    columns = min(columns or _columns(len(pictures), cell), len(pictures))
    rows = -(-len(pictures) // columns)
    top = MARGIN + (2 * TEXT + GAP if title else 0)
    page = Image.new(
        "RGB", (2 * MARGIN + columns * cell[0] - GAP, top + rows * cell[1] - GAP + MARGIN), PAPER
    )
    draw = ImageDraw.Draw(page)
    if title:
        draw.text((MARGIN, MARGIN), title, INK, ImageFont.load_default(TEXT + 5))
    font = ImageFont.load_default(TEXT)
    for index, (name, pixels) in enumerate(pictures):
        left, upper = MARGIN + index % columns * cell[0], top + index // columns * cell[1]
        levels = np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)
        page.paste(Image.fromarray(levels), (left, upper))
        draw.text((left, upper + height + 2), fitted(name, width, font), INK, font)
    return np.asarray(page, dtype=np.float32) / np.float32(255)


def _columns(count: int, cell: tuple[int, int]) -> int:
    """So many that the sheet has about its shape, and few cells stay empty."""

    def fault(columns: int) -> float:
        rows = -(-count // columns)
        shape = columns * cell[0] / (rows * cell[1])
        return abs(math.log(shape / SHAPE)) + (rows * columns - count) / columns

    return min(range(1, count + 1), key=fault)


def fitted(name: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """`name`, or as much of its beginning and its end as there is room for."""
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    shown, keep = name, len(name)
    while keep > 2 and font.getlength(shown) > width:
        keep -= 1
        shown = f"{name[: keep // 3]}…{name[len(name) - (keep - keep // 3) :]}"
    return shown
