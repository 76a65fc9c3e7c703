"""What does this unit want to see? Pictures from noise or a photo, many units in one pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene import budget, checks, expression, memory
from phosphene.compare import alignment, diversity, interpolation, positions
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.frame import Frame
from phosphene.lens import Lens
from phosphene.noise import GREY, Noise
from phosphene.objective import Objective, batch
from phosphene.presets import VISUALIZE, of_class, visualization

SHARE = 0.6  # of the memory there is, for a batch's gradient
MOST = {"cpu": 8, "cuda": 64}  # pictures: more at once take no less time each
DIFFER = 0.4  # of the unit's own gradient, among variants: they reach some 90 % of its activation
ALIKE = 0.25  # likewise among steps from one to another: either end reaches some 95 %
APART = 0.02  # deviation of the noise by which variants of a photo differ at first
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
    ended: bool = True  # by itself, after its last step


def visualize(
    objectives: Sequence[Objective | str] | Objective | str,
    lens: Lens,
    config: Dream | None = None,
    *,
    size: int | Size = 224,
    photo: Tensor | None = None,
    batch: int = 0,
) -> Iterator[Seen]:
    """The picture of each objective, `size` px (or height and width), in the order in which they are done.

    They grow from noise, which is the same for all, or from `photo` `[3, H, W]`, whose longer side `size`
    then is. `batch` is how many
    are made at once; 0 = as many as memory and the device's speed allow. Every batch has
    `features.settings` of its objectives unless `config` is given. Raises as `dream` does, but a unit that
    nothing excites only has a note.
    """
    given = [objectives] if isinstance(objectives, Objective | str) else list(objectives)
    bound = [read(one).bind(lens) for one in given]
    height_width = shape(size, photo)
    checks.whole("batch", batch)
    for numbers in batches(bound, lens, config or settings(), height_width, batch):
        together = [bound[number] for number in numbers]
        now = config or settings(*together)
        (last,) = deque(frames(together, lens, now, height_width, photo), maxlen=1)
        yield from seen(last, numbers, bound, lens)


def shape(size: int | Size, photo: Tensor | None = None) -> Size:
    """Height and width; one number alone is the longer side of the photo, if there is one."""
    if isinstance(size, Sequence) and len(size) == 2:
        return checks.whole("size", size[0], 1), checks.whole("size", size[1], 1)
    longer = checks.whole("size", size, 1)
    height, width = (1, 1) if photo is None else photo.shape[-2:]
    height, width = (max(1, round(longer * side / max(height, width))) for side in (height, width))
    return height, width


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
    return [objective + _every(diversity, objective.layers, DIFFER)] * count


def between(first: Objective, second: Objective, count: int) -> list[Objective]:
    """From one objective to the other in `count` steps that look alike: one batch."""
    alike = _every(alignment, first.layers | second.layers, ALIKE)
    return [one + alike for one in interpolation(first, second, count).each()]


def _every(word: Callable[[str], Objective], layers: Iterable[str], weight: float) -> Objective:
    """Of each of these layers, but for the picture itself; together of that weight."""
    names = sorted(set(layers) - {"input"}) or sorted(layers)
    return reduce(add, [weight / len(names) * word(name) for name in names])


def read(objective: Objective | str) -> Objective:
    """An objective for one picture."""
    found = objective if isinstance(objective, Objective) else expression.parse(objective)
    if any(term.image is not None for term in found.terms):
        raise PhospheneError(
            "E_PARAM", f"{found.text[:80]!r} is for a batch of images; give each as an objective of its own"
        )
    return found


def batches(
    objectives: Sequence[Objective], lens: Lens, config: Dream, size: Size, most: int = 0
) -> list[list[int]]:
    """Which objectives are done together, by number: those that end at the same layer, classes apart."""
    most = most or room(objectives, lens, config, size)
    kinds = [(sorted(one.layers), of_class(one.text)) for one in objectives]
    found: list[list[int]] = []
    for number in sorted(range(len(objectives)), key=lambda number: kinds[number]):
        if found and kinds[found[-1][0]] == kinds[number] and len(found[-1]) < most:
            found[-1].append(number)
        else:
            found.append([number])
    return found


def room(objectives: Sequence[Objective], lens: Lens, config: Dream, size: Size) -> int:
    """How many pictures at once fit into memory, and are quick."""
    if len(objectives) == 1:
        return 1
    fit = SHARE * _left(config, lens) // _each(objectives, lens, config, size)
    return int(min(MOST.get(lens.device.type, 8), max(1, fit)))


def check_room(objectives: Sequence[Objective], lens: Lens, config: Dream, size: Size) -> None:
    """E_MEMORY unless all of these, which are to be one batch, fit into memory together."""
    count, left = len(objectives), _left(config, lens)
    each = memory.SLACK * _each(objectives, lens, config, size)
    fit = max(0, int(memory.MARGIN * left // each))
    if fit < count:
        raise PhospheneError(
            "E_MEMORY",
            f"{count} pictures of {size[1]}×{size[0]} px at once would take about "
            f"{count * each / 1e9:.2f} GB more; {max(0, left) / 1e9:.2f} GB are left, in which {fit} fit; "
            "give fewer, a smaller --size, --checkpointing, or a larger --max-memory",
        )


def _each(objectives: Sequence[Objective], lens: Lens, config: Dream, size: Size) -> float:
    """Bytes of a picture's gradient: of the objective that looks deepest."""
    place = {layer: number for number, layer in enumerate(lens.layers)}
    deepest = max(objectives, key=lambda one: max(place.get(layer, 0) for layer in one.layers))
    taken = memory.taken([deepest], lens, config.seed or 0, *size, config.checkpointing)
    return max(1.0, taken * size[0] * size[1])


def _left(config: Dream, lens: Lens) -> int:
    """Bytes that may still be taken."""
    return budget.limit(config.max_memory, lens.device) - budget.held(lens.device)


def frames(
    objectives: Sequence[Objective], lens: Lens, config: Dream, size: Size, photo: Tensor | None = None
) -> Iterator[Frame]:
    """The frames of one batch, an image for each objective."""
    count = len(objectives)
    joined = batch(objectives) if count > 1 else objectives[0]
    differ = any(term.text.startswith("diversity(") for term in joined.terms)
    noise = Noise(count, *size, numbers=tuple(range(count)) if differ else (0,) * count)
    start: Noise | Tensor = noise
    if photo is not None:
        image = photo.reshape(1, *photo.shape[-3:])
        start = torch.nn.functional.interpolate(image, size=size, mode="area").expand(count, -1, -1, -1)
        if differ:  # else what makes them differ would be the same for all of them
            start = (start + noise.image(APART, config.seed or 0)).clamp(0, 1)
    return dream(start, joined, lens, config)


def seen(frame: Frame, numbers: Sequence[int], objectives: Sequence[Objective], lens: Lens) -> Iterator[Seen]:
    """The pictures in a batch's last frame, each with what the network makes of it without transforms."""
    images = frame.full()
    for index, number in enumerate(numbers):
        objective, image = objectives[number], images[index]
        opacity = None if frame.opacity is None else frame.opacity[index, 0].cpu()
        score = plain_score(objective.single(), over_grey(image, opacity)[None], lens)
        yield Seen(number, objective.text, image, score, opacity, frame.notes, frame.done)


def over_grey(image: Tensor, opacity: Tensor | None) -> Tensor:
    """A picture `[3, H, W]` as it looks before grey, where one sees through it."""
    return image if opacity is None else GREY + (image - GREY) * opacity.to(image)


def plain_score(objective: Objective, image: Tensor, lens: Lens) -> float:
    """The objective's score on a picture `[1, 3, H, W]`."""
    with torch.no_grad(), lens.watching(objective.layers) as look:
        return float(objective(look(image.to(lens.device)))[0])


def units(text: str, lens: Lens) -> list[str]:
    """What a text of the command line stands for: `LAYER:*`, `LAYER:0-15` and `class:0-15` are many."""
    layer, _, numbers = text.rpartition(":")
    first, dash, last = numbers.partition("-")
    many = numbers == "*" or (dash and first.isdigit() and last.isdigit())
    name = lens.head if layer == "class" else layer.strip('"')
    if not name or not many:
        return [text]
    count = lens.channels(lens.check(name))
    low, high = (0, count - 1) if numbers == "*" else (int(first), int(last))
    if not 0 <= low <= high < count:
        raise PhospheneError("E_PARAM", f"{text}: channels {low} to {high}, expected 0 to {count - 1}")
    return [f"{layer}:{number}" for number in range(low, high + 1)]


def settings(*objectives: Objective | str, **changes: Any) -> Dream:
    """The settings of `visualize` for these objectives, those of the param among them, with changes."""
    texts = [one if isinstance(one, str) else one.text for one in objectives]
    return Dream(**visualization(changes.get("param", ""), texts)).but(**changes)
