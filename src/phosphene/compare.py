"""Words that compare activations: with a photo's, or among the images of a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.address import quoted
from phosphene.errors import PhospheneError
from phosphene.folder import pictures
from phosphene.objective import Objective, Term, batch, written
from phosphene.words import direction, unbound

if TYPE_CHECKING:
    from phosphene.lens import Lens

Photo = str | Path | Tensor
LEAST = 0.1  # of a cosine, so that its power keeps a gradient (lucid)
TINY = 1e-6
REACH, DECAY = 4, 2.0  # alignment: neighbours that count, and by what each further one counts less


def caricature(photo: Photo, layer: str, power: float = 1.0) -> Objective:
    """What the layer sees in the photo, more of it: dot(a, t) · max(0.1, cos(a, t))^power, per position.

    t are the photo's own activations, resized to the picture's grid. After lucid's caricatures, which
    compare the whole layer: this one does.
    """

    def measure(target: Tensor, act: Tensor) -> Tensor:
        dot = (act * target).flatten(1).sum(1)
        size = torch.linalg.vector_norm
        cosine = dot / (size(act.flatten(1), dim=1) * size(target.flatten(1), dim=1) + TINY)
        score: Tensor = dot * cosine.clamp_min(LEAST).pow(power) / (act.shape[-2] * act.shape[-1])
        return score

    extra = [] if power == 1 else [f"power={written(power)}"]
    return _like(photo, layer, "caricature", extra, measure)


def inversion(photo: Photo, layer: str) -> Objective:
    """A picture with the photo's activations: −‖a − t‖² / ‖t‖² (Mahendran & Vedaldi 2015)."""

    def measure(target: Tensor, act: Tensor) -> Tensor:
        away = (act - target).flatten(1).square().sum(1)
        return -away / target.flatten(1).square().sum(1).clamp_min(TINY)

    return _like(photo, layer, "inversion", [], measure)


def diversity(layer: str) -> Objective:
    """Images of a batch that differ: −Σ_j cos(G_i, G_j) over the others, G the layer's Gram matrices.

    The mean over the batch is lucid's `diversity`, which is subtracted there, with its sign turned.
    """

    def measure(act: Tensor, images: int) -> Tensor:
        flat = act.flatten(2) if act.dim() > 2 else act[..., None]
        grams = F.normalize((flat @ flat.transpose(1, 2)).flatten(1), dim=1, eps=1e-10)
        each = grams.view(-1, images, grams.shape[1])
        alike = each @ each.transpose(1, 2)
        others = alike.sum(2) - alike.diagonal(dim1=1, dim2=2)
        return -others.reshape(-1)

    return _together(f"diversity({quoted(layer)})", layer, measure)


def alignment(layer: str) -> Objective:
    """Neighbours of a batch that look alike: −Σ_d ½^d · mean (a_i − a_{i±d})², d = 1 … 4.

    The sum over the batch is lucid's `alignment`: each pair's half counts for either image.
    """

    def measure(act: Tensor, images: int) -> Tensor:
        each = act.flatten(1).view(-1, images, act[0].numel())
        score = each.new_zeros(each.shape[:2])
        for d in range(1, min(REACH, images - 1) + 1):
            away = (each[:, d:] - each[:, :-d]).square().mean(2) / (2 * DECAY**d)
            score = score - F.pad(away, (d, 0)) - F.pad(away, (0, d))
        return score.reshape(-1)

    return _together(f"alignment({quoted(layer)})", layer, measure)


def interpolation(first: Objective, second: Objective, count: int) -> Objective:
    """`count` images from the one objective to the other, in equal steps (lucid's `channel_interpolate`)."""
    shares = [i / (count - 1) for i in range(count)] if count > 1 else [0.0]
    return batch(
        [
            second if share == 1 else first if share == 0 else (1 - share) * first + share * second
            for share in shares
        ]
    )


def contrast(these: Sequence[Photo], those: Sequence[Photo], layer: str, lens: Lens) -> Objective:
    """The direction from the mean activation of `those` photos to that of `these`, of length 1."""
    means = []
    for photos in (these, those):
        if not photos:
            raise PhospheneError("E_PARAM", "a contrast has an empty set of photos; give some of each")
        means.append(torch.stack([features(photo, layer, lens).flatten(2).mean((0, 2)) for photo in photos]))
    way = means[0].mean(0) - means[1].mean(0)
    if not bool(way.any()):
        raise PhospheneError("E_PARAM", f"both sets of photos look the same to {layer}; choose other ones")
    return direction(layer, way / torch.linalg.vector_norm(way))


def contrast_of(these: str | Path, those: str | Path, layer: str) -> Objective:
    """The same of two photos, or folders of photos, which are read when it is bound."""
    text = f"contrast({_name(these)}, {_name(those)}, {quoted(layer)})"

    def read(term: Term, lens: Lens) -> Term:
        found = contrast(pictures(these), pictures(those), lens.check(layer), lens)
        return replace(term, measure=found.terms[0].measure)

    files = (str(these), str(those))
    return Objective((Term(text, layer, unbound(text), resolve=read, files=files),))


def activation_grid(
    photo: Photo, layer: str, lens: Lens, cells: int = 0
) -> tuple[Objective, tuple[int, int]]:
    """What each position of a layer saw in a photo: a batch of directions, row by row, and the grid's size.

    The semantic dictionary of Olah et al. 2018. With `cells`, positions are averaged to so many along
    the longer side.
    """
    ways, size = positions(photo, layer, lens, cells)
    return batch(ways), size


def positions(
    photo: Photo, layer: str, lens: Lens, cells: int = 0
) -> tuple[list[Objective], tuple[int, int]]:
    """The same, as an objective for each position: there may be more than one batch holds."""
    acts = features(photo, layer, lens)
    rows, columns = acts.shape[-2:]
    if cells and cells < max(rows, columns):
        rows, columns = (max(1, round(side * cells / max(rows, columns))) for side in (rows, columns))
        acts = F.adaptive_avg_pool2d(acts, (rows, columns))
    vectors = acts[0].flatten(1).T
    ways = [direction(layer, one if bool(one.any()) else torch.ones_like(one)) for one in vectors]
    return ways, (rows, columns)


def grid(photo: str | Path, layer: str, cells: int = 0) -> Objective:
    """What each position of a layer saw in a photo, as a mosaic: `features.visualize_grid` makes it."""
    if cells < 0:
        raise PhospheneError("E_PARAM", f"a grid has {cells} cells, expected 1 or more, or 0 for all")
    text = f"grid({', '.join([_name(photo), quoted(layer), *([f'cells={cells}'] if cells else [])])})"

    def mosaic(lens: Lens) -> tuple[list[Objective], tuple[int, int]]:
        ways, (rows, columns) = positions(photo, lens.check(layer), lens, cells)
        named = [
            Objective((replace(way.terms[0], text=f"{text} row {n // columns}, column {n % columns}"),))
            for n, way in enumerate(ways)
        ]
        return named, (rows, columns)

    def refuse(term: Term, _lens: Lens) -> Term:
        raise PhospheneError(
            "E_PARAM", f"{term.text} is a mosaic of pictures; give it alone, to `phosphene visualize`"
        )

    files = (str(photo),)
    return Objective((Term(text, layer, unbound(text), resolve=refuse, files=files, mosaic=mosaic),))


def features(photo: Photo, layer: str, lens: Lens) -> Tensor:
    """The layer's activations on a photo at its own size: `[1, C, H, W]`."""
    if isinstance(photo, Tensor):
        image = photo.reshape(-1, *photo.shape[-3:])
    else:
        from phosphene.picture import open_picture

        image = open_picture(photo).tensor()
    with torch.inference_mode(False), torch.no_grad(), lens.watching([layer]) as look:
        act = look(image.to(lens.device))[layer]
    return act.clone() if act.dim() == 4 else act[:, :, None, None].clone()


def _like(
    photo: Photo, layer: str, word: str, extra: Sequence[str], measure: Callable[[Tensor, Tensor], Tensor]
) -> Objective:
    """An objective of the whole layer beside a photo's activations, which are read when it is bound."""
    text = f"{word}({', '.join([_name(photo), quoted(layer), *extra])})"

    def read(term: Term, lens: Lens) -> Term:
        target = features(photo, lens.check(layer), lens)

        def score(act: Tensor) -> Tensor:
            act = act if act.dim() == 4 else act[:, :, None, None]
            there = F.interpolate(target, act.shape[-2:], mode="bilinear", align_corners=False)
            return measure(there if act.shape[-2:] != target.shape[-2:] else target, act)[:, None, None]

        return replace(term, measure=score)

    files = () if isinstance(photo, Tensor) else (str(photo),)
    return Objective((Term(text, layer, unbound(text), spread=False, resolve=read, files=files),))


def _name(photo: Photo) -> str:
    return json.dumps("<tensor>" if isinstance(photo, Tensor) else str(photo), ensure_ascii=False)


def _together(text: str, layer: str, measure: Callable[[Tensor, int], Tensor]) -> Objective:
    """A group of its own, so that its weight is one beside the unit's, whatever a layer's sizes."""
    return Objective((Term(text, layer, measure, spread=False, together=True, group=text),))
