"""What does this unit want to see? Pictures from noise or a photo, many units in one pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene import budget, expression, memory
from phosphene.compare import alignment, diversity, interpolation, positions
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.frame import Frame
from phosphene.lens import Lens
from phosphene.noise import GREY, Noise
from phosphene.objective import Objective, batch
from phosphene.presets import FOR_PARAM, VISUALIZE

SHARE = 0.6  # of the memory there is, for a batch's gradient
MOST = {"cpu": 8, "cuda": 64}  # pictures: more at once take no less time each
DIFFER = 0.5  # of the unit's own gradient, among variants
ALIKE = 1.0
Size = tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """One unit's picture: `image` `[3, H, W]`, 0..1, and the objective's `score` on it, seen plainly."""

    number: int  # of the objective, as they were given
    objective: str
    image: Tensor
    score: float  # where one sees through it, over grey
    opacity: Tensor | None = None  # `[H, W]`, 0..1
    notes: tuple[str, ...] = ()


def visualize(
    objectives: Sequence[Objective | str] | Objective | str,
    lens: Lens,
    config: Dream = Dream(**VISUALIZE),  # noqa: B008
    *,
    size: int | Size = 224,
    photo: Tensor | None = None,
    batch: int = 0,
) -> Iterator[Seen]:
    """The picture of each objective, `size` px (or height and width), in the order in which they are done.

    They grow from noise, which is the same for all, or from `photo` `[3, H, W]`. `batch` is how many
    are made at once; 0 = as many as memory and the device's speed allow. Raises as `dream` does, but a
    unit that nothing excites only has a note.
    """
    given = [objectives] if isinstance(objectives, Objective | str) else list(objectives)
    bound = [read(one).bind(lens) for one in given]
    height_width = (size, size) if isinstance(size, int) else size
    for numbers in batches(bound, lens, config, height_width, batch):
        together = [bound[number] for number in numbers]
        (last,) = deque(frames(together, lens, config, height_width, photo), maxlen=1)
        yield from seen(last, numbers, bound, lens)


def visualize_grid(
    photo: str | Path | Tensor,
    layer: str,
    lens: Lens,
    config: Dream = Dream(**VISUALIZE),  # noqa: B008
    *,
    cells: int = 0,
    size: int = 64,
    batch: int = 0,
) -> Tensor:
    """What each position of a layer saw in a photo: a mosaic `[3, rows · size, columns · size]`, 0..1.

    With `cells`, positions are averaged to so many along the longer side. Raises as `visualize` does.
    """
    ways, (rows, columns) = positions(photo, layer, lens, cells)
    found = {one.number: one.image for one in visualize(ways, lens, config, size=size, batch=batch)}
    return mosaic([found[number] for number in range(rows * columns)], columns)


def mosaic(images: Sequence[Tensor], columns: int) -> Tensor:
    """Pictures `[3, H, W]` in rows of so many, without gaps."""
    lines = [torch.cat(list(images[n : n + columns]), 2) for n in range(0, len(images), columns)]
    return torch.cat(lines, 1)


def variants(objective: Objective, count: int) -> list[Objective]:
    """`count` times the same, and as different as may be: one batch."""
    layer = next(iter(sorted(objective.layers)))
    return [objective + DIFFER * diversity(layer)] * count


def between(first: Objective, second: Objective, count: int) -> list[Objective]:
    """From one objective to the other in `count` steps that look alike: one batch."""
    layer = next(iter(sorted(first.layers)))
    return [one + ALIKE * alignment(layer) for one in interpolation(first, second, count).each()]


def read(objective: Objective | str) -> Objective:
    """An objective for one picture."""
    found = expression.parse(objective) if isinstance(objective, str) else objective
    if any(term.image is not None for term in found.terms):
        raise PhospheneError(
            "E_PARAM", f"{found.text[:80]!r} is for a batch of images; give each as an objective of its own"
        )
    return found


def batches(
    objectives: Sequence[Objective], lens: Lens, config: Dream, size: Size, most: int = 0
) -> list[list[int]]:
    """Which objectives are done together, by number: those that end at the same layer."""
    most = most or room(objectives, lens, config, size)
    order = sorted(range(len(objectives)), key=lambda number: sorted(objectives[number].layers))
    found: list[list[int]] = []
    for number in order:
        alike = found and objectives[found[-1][0]].layers == objectives[number].layers
        if alike and len(found[-1]) < most:
            found[-1].append(number)
        else:
            found.append([number])
    return found


def room(objectives: Sequence[Objective], lens: Lens, config: Dream, size: Size) -> int:
    """How many pictures at once fit into memory, and are quick."""
    most = MOST.get(lens.device.type, 8)
    if len(objectives) == 1:
        return 1
    place = {layer: number for number, layer in enumerate(lens.layers)}
    deepest = max(objectives, key=lambda one: max(place.get(layer, 0) for layer in one.layers))
    pixels = size[0] * size[1]
    each = memory.taken([deepest], lens, config.seed or 0, *size, config.checkpointing) * pixels
    limit = budget.limit(config.max_memory, lens.device) - budget.held(lens.device)
    return int(min(most, max(1, SHARE * limit // max(1, each))))


def frames(
    objectives: Sequence[Objective], lens: Lens, config: Dream, size: Size, photo: Tensor | None = None
) -> Iterator[Frame]:
    """The frames of one batch, an image for each objective."""
    count = len(objectives)
    joined = batch(objectives) if count > 1 else objectives[0]
    differ = any(term.text.startswith("diversity(") for term in joined.terms)
    start: Noise | Tensor = Noise(count, *size, numbers=tuple(range(count)) if differ else (0,) * count)
    if photo is not None:
        image = photo.reshape(1, *photo.shape[-3:])
        start = torch.nn.functional.interpolate(image, size=size, mode="area").expand(count, -1, -1, -1)
    return dream(start, joined, lens, config)


def seen(frame: Frame, numbers: Sequence[int], objectives: Sequence[Objective], lens: Lens) -> Iterator[Seen]:
    """The pictures in a batch's last frame, each with what the network makes of it without transforms."""
    images = frame.full()
    for index, number in enumerate(numbers):
        objective, image = objectives[number], images[index]
        opacity = None if frame.opacity is None else frame.opacity[index, 0].cpu()
        score = plain_score(objective.single(), over_grey(image, opacity)[None], lens)
        yield Seen(number, objective.text, image, score, opacity, frame.notes)


def over_grey(image: Tensor, opacity: Tensor | None) -> Tensor:
    """A picture `[3, H, W]` as it looks before grey, where one sees through it."""
    return image if opacity is None else GREY + (image - GREY) * opacity.to(image)


def plain_score(objective: Objective, image: Tensor, lens: Lens) -> float:
    """The objective's score on a picture `[1, 3, H, W]`."""
    with torch.no_grad(), lens.watching(objective.layers) as look:
        return float(objective(look(image.to(lens.device)))[0])


def units(text: str, lens: Lens) -> list[str]:
    """The objectives that a text of the command line stands for: `LAYER:*` and `LAYER:0-15` are channels."""
    layer, _, numbers = text.rpartition(":")
    first, dash, last = numbers.partition("-")
    if not layer or not (numbers == "*" or (dash and first.isdigit() and last.isdigit())):
        return [text]
    count = lens.channels(lens.check(layer.strip('"')))
    low, high = (0, count - 1) if numbers == "*" else (int(first), int(last))
    if not 0 <= low <= high < count:
        raise PhospheneError("E_PARAM", f"{text}: channels {low} to {high}, expected 0 to {count - 1}")
    return [f"{layer}:{number}" for number in range(low, high + 1)]


def settings(**changes: Any) -> Dream:
    """The settings of `visualize`, those of the param among them, with changes."""
    return Dream(**VISUALIZE).but(**(FOR_PARAM.get(changes.get("param", ""), {}) | changes))
