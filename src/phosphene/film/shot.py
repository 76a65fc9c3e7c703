"""What a film that is being made consists of, whether it is a zoom or another film's dream."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from phosphene import recipe
from phosphene.config import Dream
from phosphene.film.flow import Array
from phosphene.frame import Frame
from phosphene.lens import Lens
from phosphene.objective import Objective

Watch = Callable[[Frame], None]  # called after every step; what it raises ends the film


class Setup(Protocol):
    """What is dreamed with: the network, the objective bound to it, the mask, and SHA-256 by file."""

    @property
    def dream(self) -> Dream: ...
    @property
    def lens(self) -> Lens: ...
    @property
    def objective(self) -> Objective: ...
    @property
    def mask(self) -> Tensor | None: ...
    @property
    def files(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class Shot:
    """A still as a `Reel` takes it, and the figures of all stills so far."""

    number: int
    pixels: Array  # `[H, W, 3]` float32, 0..1
    pts: int
    duration: int
    state: dict[str, Any]  # what the film goes on from
    flicker: float
    gradient_evaluations: int
    notes: tuple[str, ...] = ()


def even(size: tuple[int, int], before: tuple[int, int]) -> tuple[int, int]:
    """A size that isn't the film's own, in even numbers, which every codec takes."""
    if size == before:
        return size
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)


def identity(first: Mapping[str, Any], dream: Dream, setup: Setup) -> dict[str, Any]:
    """All that makes another film: JSON values by name."""
    values = dream.model_dump(mode="json")
    return {
        **first,
        **{name: value for name, value in values.items() if name != "max_memory"},
        "objective": setup.objective.text,
        "weights' SHA-256": setup.lens.weights_sha256,
        **{f"{name}'s SHA-256": sha256 for name, sha256 in setup.files.items()},
        **recipe.software(dream).model_dump(),
    }


def as_recipe(kind: str, identity: Mapping[str, Any]) -> str:
    """How the film was made, for its comment: JSON."""
    return json.dumps({"command": kind, **identity}, ensure_ascii=True)
