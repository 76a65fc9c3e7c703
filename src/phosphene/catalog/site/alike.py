"""Which units are alike, layer by layer: by the cosine of their activations on the same crops (the kind
`photos`), or of what their pictures look like (`noise`), from which what all have in common is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from phosphene.catalog.record import Plan
from phosphene.catalog.store import Store

MOST = 8  # neighbours of a unit
EVERYWHERE = 20_000  # units of a network: in a larger one, only layers close by are looked through
CLOSE = 1  # layers before and after
BLOCK = 512  # units at once

Signed = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]  # channels; their signatures, a row each


def signatures(store: Store, network: int, layer: str, kind: str = "photos") -> Signed:
    """Those of one layer's units."""
    rows = store.base.execute(
        "select channel, signature from units where network = ? and layer = ? and kind = ? "
        "and current = 1 and signature is not null order by channel",
        (network, layer, kind),
    ).fetchall()
    channels = np.array([row[0] for row in rows], int)
    length = len(rows[0][1]) if rows else 0
    if any(len(row[1]) != length for row in rows):
        return channels[:0], np.zeros((0, 0), np.float32)
    given = np.frombuffer(b"".join(row[1] for row in rows), np.float16)
    return channels, given.reshape(len(rows), -1).astype(np.float32) if rows else np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Among:
    """Units among which neighbours are looked for: those of each of so many layers, and how far away."""

    layers: int
    signed: Callable[[int], Signed]
    reach: int


def among(store: Store, network: int, names: list[str], kind: str) -> Among:
    """The units that a kind of work has signed."""
    (total,) = store.base.execute(
        "select count(*) from units where network = ? and kind = ? and current = 1", (network, kind)
    ).fetchone()
    reach = len(names) if total <= EVERYWHERE else CLOSE
    less = common(store, network, names) if kind == "noise" else np.zeros(0)

    @lru_cache(None if reach > CLOSE else 2 * CLOSE + 1)
    def signed(number: int) -> Signed:
        channels, found = signatures(store, network, names[number], kind)
        if len(less) and len(channels):
            found = (found - less).astype(np.float32)
            found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        return channels, found

    return Among(len(names), signed, reach)


def common(store: Store, network: int, names: list[str]) -> np.ndarray[Any, Any]:
    """The mean of what pictures look like; empty where that isn't known."""
    total, count = np.zeros(0), 0
    for name in names:
        channels, signed = signatures(store, network, name, "noise")
        if len(channels):
            total = signed.sum(0, np.float64) + (total if len(total) else 0.0)
            count += len(channels)
    return total / max(count, 1)


def neighbours(units: Among, number: int) -> dict[int, list[tuple[int, int, float]]]:
    """For each channel of layer `number`: the `MOST` units most like it: layer, channel, cosine."""
    channels, own = units.signed(number)
    if not len(channels):
        return {}
    value = np.full((len(channels), MOST), -2, np.float32)
    place = np.zeros((len(channels), MOST, 2), int)
    for other in range(max(0, number - units.reach), min(units.layers, number + units.reach + 1)):
        theirs, signed = units.signed(other)
        if signed.shape[1:] != own.shape[1:] or not len(theirs):
            continue
        for start in range(0, len(channels), BLOCK):
            here = slice(start, start + BLOCK)
            cosine = own[here] @ signed.T
            if other == number:
                rows = np.arange(len(cosine))
                cosine[rows, rows + start] = -2
            best = _first(cosine, MOST)
            found = np.concatenate([value[here], np.take_along_axis(cosine, best, 1)], 1)
            where = np.stack([np.full_like(best, other), theirs[best]], 2)
            where = np.concatenate([place[here], where], 1)
            keep = _first(found, MOST)
            value[here] = np.take_along_axis(found, keep, 1)
            place[here] = np.take_along_axis(where, keep[..., None], 1)
    return {
        int(channel): [
            (int(layer), int(one), round(float(cosine), 3))
            for (layer, one), cosine in zip(place[row], value[row], strict=True)
            if cosine > 0
        ]
        for row, channel in enumerate(channels)
    }


def changes(store: Store, network: int, layer: str, plans: dict[int, Plan]) -> dict[int, float]:
    """Merged: the cosine of each unit with the first network's, where both saw the same photos."""
    first = min(plans)
    if network == first or not _comparable(plans[first], plans[network]):
        return {}
    before, signed = signatures(store, first, layer)
    after, ours = signatures(store, network, layer)
    both, one, two = np.intersect1d(before, after, return_indices=True)
    if not len(both) or signed.shape[1:] != ours.shape[1:]:
        return {}
    cosine = np.einsum("nd,nd->n", signed[one], ours[two])
    return {int(channel): round(float(value), 3) for channel, value in zip(both, cosine, strict=True)}


def _comparable(one: Plan, two: Plan) -> bool:
    return bool(one.photos) and (one.photos, one.crops) == (two.photos, two.crops)


def _first(values: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """The places of the `count` highest of each row, highest first."""
    count = min(count, values.shape[1])
    some = np.argpartition(-values, count - 1, 1)[:, :count]
    order = np.argsort(-np.take_along_axis(values, some, 1), 1, kind="stable")
    return np.asarray(np.take_along_axis(some, order, 1))
