"""The words of objectives: layer, channel, neuron, unit, class, direction, guide.

Each gives an `Objective` of one term. Positions are (y, x), row first, in the layer's own grid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from phosphene import checks
from phosphene.address import quoted
from phosphene.errors import PhospheneError
from phosphene.intake import pixels
from phosphene.objective import Objective, Term, written

if TYPE_CHECKING:
    from phosphene.lens import Lens

GUIDE_CHUNK = 2**24  # products of features that are held at once while the nearest are looked for


def _grid(act: Tensor) -> Tensor:
    """`[N, C]` as `[N, C, 1, 1]`; maps as they are."""
    return act if act.dim() == 4 else act[:, :, None, None]


def layer(name: str) -> Objective:
    """½·Σa² of a layer: the 2015 notebook's objective, whose gradient is the activations."""
    return Objective((Term(quoted(name), name, lambda act: _grid(act).square().sum(1) / 2),))


def channel(name: str, number: int) -> Objective:
    """The mean of one channel over all positions (lucid's `channel`)."""
    return _numbered(f"{quoted(name)}:{number}", name, number)


def unit(name: str, number: int) -> Objective:
    """One unit of a layer that gives a vector."""
    return channel(name, number)


def neuron(name: str, number: int, y: int, x: int) -> Objective:
    """One channel at row `y` and column `x` of the layer's grid for the whole output."""
    return _numbered(f"{quoted(name)}:{number}@{y},{x}", name, number, (y, x))


def _numbered(text: str, name: str, number: int, place: tuple[int, int] | None = None) -> Objective:
    number = checks.whole(f"{text[:200]}: channel", number, -(2**31))
    if place:
        place = checks.whole(f"{text[:200]}: y", place[0], -(2**31)), checks.whole("x", place[1], -(2**31))

    def in_range(term: Term, lens: Lens) -> Term:
        _check_range(text, number, lens, name)
        return term

    def measure(act: Tensor) -> Tensor:
        return _grid(act)[:, number]

    return Objective((Term(text, name, measure, spread=place is None, place=place, resolve=in_range),))


def _check_range(text: str, number: int, lens: Lens, name: str) -> None:
    channels = lens.channels(lens.check(name))
    if not 0 <= number < channels:
        raise PhospheneError(
            "E_PARAM", f"{text}: channel is {number}, expected 0 to {channels - 1} in {name}"
        )


def logit(name: str | int) -> Objective:
    """The logit of a class, by number or by ImageNet name: `class:tabby`."""
    if not isinstance(name, str):
        checks.whole("a class", name)
    text = f"class:{quoted(str(name))}"

    def find(term: Term, lens: Lens) -> Term:
        from phosphene.models.imagenet import class_number

        if not lens.head:
            raise PhospheneError("E_PARAM", f"{text}: {lens.name} has no class logits; watch a layer instead")
        number = class_number(str(name), lens.classes)
        if not lens.classes:
            _check_range(text, number, lens, lens.head)
        return replace(term, layer=lens.head, measure=lambda act: _grid(act)[:, number])

    return Objective((Term(text, "", unbound(text), spread=False, resolve=find),))


def direction(name: str, vector: Sequence[float] | Tensor, power: float = 0.0) -> Objective:
    """dot(a, v) · max(0.1, cos(a, v))^power, averaged over positions (lucid's `direction`)."""
    checks.finite("power", power)
    try:
        with torch.inference_mode(False):
            v = torch.as_tensor(vector, dtype=torch.float32).detach().flatten().clone()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise PhospheneError(
            "E_PARAM", f"the direction in {name} is a {type(vector).__name__}, expected numbers"
        ) from None
    if not bool(torch.isfinite(v).all()) or not bool(v.any()):
        raise PhospheneError("E_PARAM", f"the direction in {name} must be finite numbers, not all 0")
    words = [quoted(name), *(f"{value:.9g}".replace("e+", "e") for value in v.tolist())]
    words += [f"power={written(power)}"] if power else []
    text = f"direction({', '.join(words)})"

    def fits(term: Term, lens: Lens) -> Term:
        channels = lens.channels(lens.check(name))
        if channels != len(v):
            raise PhospheneError(
                "E_PARAM",
                f"the direction has {len(v)} numbers, expected {channels}, one per channel of {name}",
            )
        return term

    def measure(act: Tensor) -> Tensor:
        act = _grid(act)
        along = v.to(act.device).view(1, -1, 1, 1)
        dot = (act * along).sum(1)
        if not power:
            return dot
        size = torch.linalg.vector_norm
        cosine: Tensor = dot / (size(act, dim=1) * size(along) + 1e-6)
        return dot * cosine.clamp_min(0.1).pow(power)

    return Objective((Term(text, name, measure, resolve=fits),))


def guide(picture: str | Path | Tensor, name: str) -> Objective:
    """Draw every position to the guide's feature that it is most like: Σ_i max_j x_i·y_j.

    The notebook's guided dream: x are the picture's features at the layer, y the guide's at the
    guide's own size. `picture` is a file or an image `[1, 3, H, W]`, 0..1.
    """
    if not isinstance(picture, str | Path | Tensor):
        raise PhospheneError(
            "E_PARAM", f"a guide is a {type(picture).__name__}, expected a file or a tensor [1, 3, H, W]"
        )
    file = "" if isinstance(picture, Tensor) else str(picture)
    text = f"guide({json.dumps(file or '<tensor>', ensure_ascii=False)}, {quoted(name)})"

    def features(term: Term, lens: Lens) -> Term:
        image = pixels("guide", picture, (3,), 0, 1, lens) if isinstance(picture, Tensor) else _read(picture)
        with torch.no_grad(), lens.watching([name]) as look:
            y = look(image.to(lens.device).reshape(-1, *image.shape[-3:]))[name]
        return replace(term, measure=_nearest_feature(_grid(y).flatten(2)[0]))

    return Objective((Term(text, name, unbound(text), resolve=features, files=(file,) if file else ()),))


def _read(path: str | Path) -> Tensor:
    from phosphene.picture import open_picture

    return open_picture(path).tensor()


def _nearest_feature(y: Tensor) -> Callable[[Tensor], Tensor]:
    """max_j x_i·y_j for every position i, where y is `[C, J]`; its gradient is the nearest y_j."""

    def measure(act: Tensor) -> Tensor:
        act = _grid(act)
        x = act.flatten(2)
        with torch.no_grad():
            chunks = torch.split(x, max(1, GUIDE_CHUNK // y.shape[1]), dim=2)
            nearest = torch.cat([(chunk.transpose(1, 2) @ y).argmax(2) for chunk in chunks], 1)
            pull = y[:, nearest].transpose(0, 1)
        return (x * pull).sum(1).view(act.shape[0], *act.shape[2:])

    return measure


def unbound(text: str) -> Callable[[Tensor], Tensor]:
    def measure(_act: Tensor) -> Tensor:
        raise PhospheneError(
            "E_PARAM", f"{text} isn't bound to a network yet; call objective.bind(lens) first"
        )

    return measure
