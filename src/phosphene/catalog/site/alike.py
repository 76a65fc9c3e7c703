"""Which units are alike, layer by layer: by the cosine of their activations on the same crops (the kind
`photos`), or of what their pictures look like (`noise`), from which what all have in common is taken.
"""

from __future__ import annotations

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


def common(store: Store, network: int, names: list[str]) -> np.ndarray[Any, Any]:
    """The mean of what pictures are like; empty where they aren't known."""
    found = [signed for name in names if len(signed := signatures(store, network, name, "noise")[1])]
    if not found or len({signed.shape[1] for signed in found}) > 1:
        return np.zeros(0, np.float32)
    return np.asarray(sum(signed.sum(0) for signed in found) / sum(map(len, found)))


def neighbours(
    store: Store,
    network: int,
    number: int,
    names: list[str],
    less: np.ndarray[Any, Any] | None = None,
) -> dict[int, list[tuple[int, int, float]]]:
    """For each channel of layer `number`: the `MOST` units most like it: layer, channel, cosine.

    By photos, or by the pictures, `less` what they have in common.
    """
    kind = "photos" if less is None else "noise"

    def signed_of(name: str) -> Signed:
        channels, signed = signatures(store, network, name, kind)
        if less is None or signed.shape[1:] != less.shape:
            return channels, signed
        signed = signed - less
        return channels, signed / np.maximum(np.linalg.norm(signed, axis=1, keepdims=True), 1e-9)

    channels, own = signed_of(names[number])
    if not len(channels):
        return {}
    (total,) = store.base.execute(
        "select count(*) from units where network = ? and kind = ? and current = 1", (network, kind)
    ).fetchone()
    near = range(len(names)) if total <= EVERYWHERE else range(max(0, number - CLOSE), number + CLOSE + 1)
    value = np.full((len(channels), MOST), -2, np.float32)
    place = np.zeros((len(channels), MOST, 2), int)
    for other in near:
        if other >= len(names):
            continue
        theirs, signed = signed_of(names[other])
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
