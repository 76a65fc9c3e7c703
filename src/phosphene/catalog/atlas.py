"""The activation atlas: what a layer makes of many photos, laid out so that what is alike lies together.

One position of each crop is taken, its activations are reduced to two dimensions by UMAP, and a grid is laid
over them, at several scales. Each cell's picture is that of its mean direction (Carter et al., Activation
Atlas, 2019).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState

from phosphene import evidence
from phosphene.catalog.record import ATLAS, Atlas
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

SCALES, COARSE = (4, 2, 1), 4  # cells on a side, as parts of the finest; at least
NEIGHBOURS, DISTANCE = 15, 0.05  # UMAP's
LEAST = 2  # activations of a cell
POWER = 1.0  # of the cosine, in a cell's objective
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Chart:
    """The cells of a layer's atlas: the mean direction `vectors` `[cells, C]` float32 of each, how many
    activations `count`, and where it is: of a grid of `side` on a side, `column` from the left, `row` from
    the top.
    """

    vectors: Array
    count: Array
    side: Array
    column: Array
    row: Array

    def to_bytes(self) -> bytes:
        """A NumPy archive, the same for the same chart."""
        file = io.BytesIO()
        for name in ("vectors", "count", "side", "column", "row"):
            np.save(file, getattr(self, name), allow_pickle=False)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Chart:
        file = io.BytesIO(data)
        return cls(*(np.load(file, allow_pickle=False) for _ in range(5)))


def name_of(sha256: str) -> str:
    """Where a chart lies in a site."""
    return f"atlas/{sha256}.npy"


def charts(
    lens: Lens, layers: Sequence[str], folder: str, crops: int, cells: int
) -> list[tuple[Atlas, bytes]]:
    """For a plan, each with its file."""
    found = []
    for layer in layers:
        data = chart(activations(lens, layer, folder, crops), cells).to_bytes()
        chart_of = Chart.from_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        found.append((Atlas(layer=layer, cells=len(chart_of.count), sha256=sha256), data))
    return found


def activations(lens: Lens, layer: str, folder: str, crops: int) -> Array:
    """`[crops, C]`: those at a position of each crop, drawn with a fixed seed."""
    given = evidence.photos(folder, crops)
    random, drawn = RandomState(0), np.empty(0, int)
    found: Array = np.empty(0, np.float32)
    with torch.inference_mode(False), torch.no_grad(), lens.watching([layer]) as look:
        for numbers, images in evidence.crops(given, evidence.windows(given, crops)):
            act = look(images.to(lens.device))[layer].float().cpu()
            flat = (act.flatten(2) if act.dim() > 2 else act[..., None]).numpy()
            if not len(found):
                drawn, found = (
                    random.randint(0, flat.shape[2], crops),
                    np.empty((crops, flat.shape[1]), np.float32),
                )
            found[numbers] = flat[np.arange(len(flat)), :, drawn[numbers]]
    return found


def chart(values: Array, cells: int) -> Chart:
    """The cells of activations `[N, C]`, `cells` on a side of the finest grid."""
    points = layout(values)
    centred = values - values.mean(0)
    parts: list[tuple[Array, int, int, int, int]] = []
    for side in sorted({max(min(COARSE, cells), cells // scale) for scale in SCALES}):
        places = np.minimum((points * side).astype(int), side - 1)
        numbers = places[:, 1] * side + places[:, 0]
        for number in np.unique(numbers):
            inside = numbers == number
            mean = centred[inside].mean(0)
            if inside.sum() >= LEAST and np.abs(mean).max() > 0:
                row, column = divmod(int(number), side)
                parts.append((mean, int(inside.sum()), side, column, row))
    if not parts:
        raise PhospheneError("E_PARAM", f"{len(values)} activations are too few for an atlas; more --crops")
    vectors, count, side_, column_, row_ = zip(*parts, strict=True)
    numbers_ = (np.asarray(one, np.int32) for one in (count, side_, column_, row_))
    return Chart(np.stack(vectors).astype(np.float32), *numbers_)


def layout(values: Array) -> Array:
    """Where each activation lies, `[N, 2]`, 0..1, by UMAP; the same for the same on one machine."""
    try:
        from umap import UMAP  # type: ignore[import-untyped]
    except ImportError:
        raise PhospheneError("E_FORMAT", "an atlas needs UMAP; pip install 'phosphene[catalog]'") from None
    near = min(NEIGHBOURS, len(values) - 1)
    reducer = UMAP(n_neighbors=near, min_dist=DISTANCE, metric="cosine", random_state=0, n_jobs=1)
    points = np.asarray(reducer.fit_transform(values), np.float64)
    low, high = np.percentile(points, 0.5, axis=0), np.percentile(points, 99.5, axis=0)
    found: Array = np.clip((points - low) / np.maximum(high - low, 1e-9), 0, 1)
    return found


def layer_of(name: str) -> str:
    """The network's layer of an atlas's items."""
    return name.removeprefix(ATLAS)
