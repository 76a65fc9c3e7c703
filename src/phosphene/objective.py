"""Objective: what is maximised. Activations in, one score per image out; sums compose by value.

    Measure   = layer's activations [N, C, H, W] (or [N, C]) -> score of every position [N, H, W]
    Term      = weight * measure of one layer
    Objective = sum of terms

A score is the sum over positions divided by the whole picture's number of positions, so that a
weight means the same at every size and the scores of tiles add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from phosphene import checks
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from phosphene.lens import Lens

Acts = Mapping[str, Tensor]
Measure = Callable[..., Tensor]
Draw = Callable[[tuple[int, ...], dict[Any, Tensor]], Measure]  # numbers to draw by, what terms share
Mosaic = Callable[["Lens"], tuple[list["Objective"], tuple[int, int]]]
Window = tuple[int, int, int, int]  # top, bottom, left, right, in pixels: the part of a crop that counts

MAX_TERMS = 256


class Grid(NamedTuple):
    """A layer's positions for the whole picture, and pixels from one to the next."""

    rows: int
    columns: int
    stride: int  # 0 if the layer has no more positions in a larger picture


Grids = Mapping[str, Grid]


@dataclass(frozen=True)
class Term:
    """`weight` times what `measure` says of `layer`; `text` is the term without its weight."""

    text: str
    layer: str
    measure: Measure
    weight: float = 1.0
    spread: bool = True  # a mean over positions: adds up over tiles. Else: one position, or the whole picture
    place: tuple[int, int] | None = None  # (y, x) of a neuron in the layer's grid for the whole output
    moved: bool = False  # to its place in a smaller picture, where rounding may leave the grid by one
    resolve: Callable[[Term, Lens], Term] | None = None
    draw: Draw | None = None  # the measure of a step, for those that look at something else in each
    group: str = ""  # what is balanced with it; '' = those of its layer
    files: tuple[str, ...] = ()  # pictures and folders of them that it reads when it is bound
    mosaic: Mosaic | None = None  # many pictures instead of one: an objective for each, and rows and columns
    image: int | None = None  # the only one of a batch that it scores; None: all
    together: bool = False  # `measure` also takes the number of images, which it compares: scores [N·K]

    def __post_init__(self) -> None:
        if not 0 < abs(self.weight) < float("inf"):
            raise PhospheneError(
                "E_PARAM", f"a weight is {self.weight}, expected a finite number other than 0"
            )

    def scores(self, acts: Acts, images: int = 0) -> Tensor:
        """The score of every position, `[N, H, W]`, without the weight; of its image alone if it has one.

        Of `images` pictures there may be several crops: picture i's are i, i + `images`, …
        """
        act = acts[self.layer]
        if self.together:
            return self.measure(act, images or act.shape[0])[:, None, None]
        if self.image is not None:
            act = act[self.image :: images or act.shape[0]]
        if self.place is not None:
            y, x = self.place
            if self.moved and act.dim() == 4:
                y, x = min(y, act.shape[2] - 1), min(x, act.shape[3] - 1)
            else:
                self.check_place(tuple(act.shape[2:]))
            act = act[:, :, y : y + 1, x : x + 1]
        return self.measure(act)

    def check_place(self, grid: tuple[int, ...]) -> None:
        """E_PARAM unless the neuron is in a layer of that many rows and columns."""
        if self.place and not (
            len(grid) == 2 and 0 <= self.place[0] < grid[0] and 0 <= self.place[1] < grid[1]
        ):
            raise PhospheneError(
                "E_PARAM",
                f"{self.text}: there is no position {','.join(map(str, self.place))} (y,x) in {self.layer}, "
                f"whose grid is {' × '.join(map(str, grid)) or 'a single value'} for this picture",
            )


@dataclass(frozen=True)
class Objective:
    """A weighted sum of terms; `+`, `-` and `*` make new ones and change nothing.

    Called with activations it gives the score of each image, `[N]`; always maximised.
    """

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.terms) <= MAX_TERMS:
            raise PhospheneError(
                "E_PARAM", f"an objective has {len(self.terms)} terms, expected 1 to {MAX_TERMS}"
            )

    @property
    def layers(self) -> frozenset[str]:
        """The layers to watch. A class's is known once the objective is bound to a lens."""
        return frozenset(term.layer for term in self.terms if term.layer)

    @property
    def spread(self) -> bool:
        """True if the score adds up over positions, so that its gradient can be taken in tiles."""
        return all(term.spread for term in self.terms)

    @property
    def files(self) -> list[str]:
        """The pictures, and folders of them, that it reads when it is bound, as they were named."""
        return list(dict.fromkeys(name for term in self.terms for name in term.files))

    @property
    def text(self) -> str:
        """The objective as `phosphene.expression.parse` reads it; `|` stands between images of a batch."""
        if any(term.image is not None for term in self.terms):
            return " | ".join(one.text for one in self.each())
        text = ""
        for term in self.terms:
            sign = "-" if term.weight < 0 else "+"
            size = abs(term.weight)
            factor = "" if size == 1 else f"{written(size)}*"
            if text:
                text += f" {sign} {factor}{term.text}"
            else:
                text = f"{'-' if sign == '-' else ''}{factor}{term.text}"
        return text

    def __str__(self) -> str:
        return self.text

    def __call__(self, acts: Acts) -> Tensor:
        """The score of each image, `[N]`."""
        return self.score(acts)

    def score(
        self, acts: Acts, whole: Grids | None = None, window: Window | None = None, images: int = 0
    ) -> Tensor:
        """The score `[N]` of the positions in `window`; `whole` is given where `acts` are of a part only.

        With `images`, `acts` are of so many pictures, of some crops each, and a score is their mean.
        """
        images = images or next(iter(acts.values())).shape[0]
        total: Tensor | None = None
        for term in self.terms:
            scores = term.scores(acts, images)
            count = scores[0].numel()
            if term.spread and whole:
                grid, (height, width) = whole[term.layer], acts["input"].shape[-2:]
                count = grid.rows * grid.columns
                if window:
                    rows = _between(*window[:2], height, grid.stride)
                    scores = scores[:, rows, _between(*window[2:], width, grid.stride)]
            part = term.weight * scores.sum((1, 2)) / count
            if term.image is not None:
                alone = part.new_zeros(images)
                alone[term.image] = (part.view(-1, images)[:, term.image] if term.together else part).mean()
                part = alone
            elif len(part) > images:
                part = part.view(-1, images).mean(0)
            total = part if total is None else total + part
        assert total is not None
        return total

    def of(self, image: int) -> Objective:
        """The same for one image of a batch only."""
        return Objective(tuple(replace(term, image=image) for term in self.terms))

    def each(self) -> list[Objective]:
        """The objectives of a batch's images, or this one alone."""
        count = 1 + max((term.image for term in self.terms if term.image is not None), default=0)
        return [
            Objective(tuple(replace(term, image=None) for term in self.terms if term.image in (None, number)))
            for number in range(count)
        ]

    def single(self) -> Objective:
        """Without what compares the images of a batch, if that leaves anything."""
        return Objective(tuple(term for term in self.terms if not term.together) or self.terms)

    def alone(self) -> Objective:
        """What a batch of one picture would have: the first image's terms, and those of all."""
        first = min((term.image for term in self.terms if term.image is not None), default=0)
        terms = (term for term in self.terms if term.image in (None, first))
        return Objective(tuple(replace(term, image=None) for term in terms))

    def by_layer(self) -> list[tuple[float | tuple[float, ...], Objective]]:
        """The parts that watch the same layer, each with its largest weight: what is balanced.

        In a batch with objectives of their own every image has a weight, else there is one for all.
        """
        groups: dict[str, list[Term]] = {}
        for term in self.terms:
            groups.setdefault(term.group or term.layer, []).append(term)
        watched = [(term.image, term.group or term.layer) for term in self.terms]
        if None not in dict(watched) and len(set(watched)) == len(dict(watched)):
            return [(1.0, self)]  # no image of the batch has anything to balance
        own = any(term.image is not None for term in self.terms)
        images = range(len(self.each()) if own else 1)
        found: list[tuple[float | tuple[float, ...], Objective]] = []
        for terms in groups.values():
            sizes = [
                max((abs(term.weight) for term in terms if term.image in (None, image)), default=0.0)
                for image in images
            ]
            found.append((tuple(sizes) if own else sizes[0], Objective(tuple(terms))))
        return found

    def bind(self, lens: Lens) -> Objective:
        """The same objective with its names resolved in `lens`.

        Layer names are checked, class names become numbers, guide files features. Raises E_LAYER
        with the nearest names, E_PARAM with the range.
        """
        bound = (term.resolve(term, lens) if term.resolve else term for term in self.terms)
        terms = tuple(replace(term, layer=lens.check(term.layer), resolve=None) for term in bound)
        if lens.patch:  # attention: every position sees the whole picture
            terms = tuple(replace(term, spread=term.spread and term.layer == "input") for term in terms)
        return Objective(terms)

    def drawn(self, *numbers: int) -> Objective:
        """The objective of one step: what it looks at by chance is drawn by these `numbers`."""
        if not any(term.draw for term in self.terms):
            return self
        shared: dict[Any, Tensor] = {}
        return Objective(
            tuple(
                replace(term, measure=term.draw(numbers, shared)) if term.draw else term
                for term in self.terms
            )
        )

    def at(self, vertical: float, horizontal: float) -> Objective:
        """The objective for a picture of another size: neurons move with what they look at."""
        return Objective(
            tuple(
                replace(
                    term, place=(int(term.place[0] * vertical), int(term.place[1] * horizontal)), moved=True
                )
                if term.place and (vertical, horizontal) != (1, 1)
                else term
                for term in self.terms
            )
        )

    def __add__(self, other: Objective) -> Objective:
        if not isinstance(other, Objective):
            return NotImplemented
        return Objective(self.terms + other.terms)

    def __mul__(self, factor: float) -> Objective:
        if not isinstance(factor, (int, float)):
            return NotImplemented
        number = checks.finite("an objective's factor", factor)
        return Objective(tuple(replace(term, weight=term.weight * number) for term in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Objective:
        return self * (1 / divisor if divisor != 0 else math.inf)

    def __neg__(self) -> Objective:
        return self * -1

    def __sub__(self, other: Objective) -> Objective:
        return self + -other


def written(number: float) -> str:
    """A number as the grammar reads it, to the last digit."""
    return repr(float(number)).removesuffix(".0").replace("e+", "e")


def _between(start: int, end: int, pixels: int, stride: int) -> slice:
    """The positions between two pixels of a side of `pixels`; at its end, all that are left."""
    return slice(start // stride, None if end >= pixels else end // stride)


def batch(objectives: Sequence[Objective]) -> Objective:
    """An objective for each image of a batch."""
    return Objective(tuple(term for i, one in enumerate(objectives) for term in one.of(i).terms))
