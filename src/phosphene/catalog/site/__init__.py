"""A catalog's pages: one index.html that opens from a folder, and its data as plain scripts.

`data/index.js` names every layer and unit (what search goes through), `data/<network>-<layer>.js` has a
layer's thumbnails, `data/<network>-<layer>-<chunk>.js` everything about `CHUNK` of its units. A page loads
only what it shows, so 100,000 units open as quickly as ten.
"""

from __future__ import annotations

import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

from phosphene.catalog.record import Plan
from phosphene.catalog.site import alike, rows
from phosphene.catalog.site.atlases import atlases
from phosphene.catalog.store import Store

CHUNK = 64  # units of a file
FACES, WALL = 12, 48  # pictures of a layer on the map; of all at the top
ASSETS = ("style.css", "data.js", "search.js", "parts.js", "views.js", "atlas.js", "main.js", "icon.svg")


def build(store: Store) -> None:
    """Write the site's pages; files that wouldn't change are left alone."""
    known = store.base.execute("select * from networks order by id").fetchall()
    plans = {row["id"]: Plan.from_json(row["plan"]) for row in known}
    wanted: set[str] = set()
    networks = []
    for row in known:
        names = rows.layers(store, row["id"], plans[row["id"]])
        near, like = (alike.among(store, row["id"], names, kind) for kind in ("photos", "noise"))
        layers = [
            _layer(store, row["id"], number, names, near, like, plans, wanted) for number in range(len(names))
        ]
        charted = atlases(store, row["id"], plans[row["id"]])
        for number, atlas in enumerate(charted):
            _script(store, f"atlas-{row['id']}-{number}", atlas, wanted)
        networks.append(
            {
                "id": row["id"],
                "label": row["label"],
                "model": row["model"],
                "layers": layers,
                "atlases": [atlas["layer"] for atlas in charted],
                "crops": _crops(plans[row["id"]]),
            }
        )
    index = {"networks": networks, "wall": _wall(networks)}
    _script(store, "index", index, wanted)
    for name in ASSETS:
        _write(store, f"site/{name}", _asset(name))
    _write(store, "index.html", _asset("index.html"))
    for name in store.files.names("data"):
        if name not in wanted:
            store.files.remove(f"data/{name}")


def _layer(
    store: Store,
    network: int,
    number: int,
    names: list[str],
    near: alike.Among,
    like: alike.Among,
    plans: dict[int, Plan],
    wanted: set[str],
) -> dict[str, Any]:
    """A layer's files; its line in the index."""
    name, plan = names[number], plans[network]
    nearest, likest = alike.neighbours(near, number), alike.neighbours(like, number)
    changed = alike.changes(store, network, name, plans)
    channels: list[int] = []
    percentiles: list[float | None] = []
    scores: list[float | None] = []
    faces: list[str] = []
    sizes: list[int] = []
    chunk: list[dict[str, Any]] = []

    def put() -> None:
        if chunk:
            part = (len(channels) - 1) // CHUNK
            _script(store, f"{network}-{number}-{part}", chunk, wanted)
            chunk.clear()

    for unit in rows.units(store, network, name):
        channel = unit["channel"]
        unit["near"], unit["like"] = nearest.get(channel, []), likest.get(channel, [])
        if channel in changed:
            unit["same"] = changed[channel]
        channels.append(channel)
        figures = unit["figures"]
        percentiles.append(_short(figures.get("percentile")))
        scores.append(_short(figures.get("score")))
        face = rows.face(unit)
        faces.append(face[1] if face else "")
        sizes.append(max(face[2:4]) if face else 0)
        chunk.append(unit)
        if len(chunk) == CHUNK:
            put()
    put()
    _script(store, f"{network}-{number}", {"faces": faces, "sizes": sizes}, wanted)
    shape = next((layer for layer in plan.layers if layer.name == name), None)
    return {
        "name": name,
        "kind": shape.kind if shape else "",
        "channels": shape.channels if shape else len(channels),
        "size": [shape.height, shape.width] if shape and shape.height else [],
        "units": _range(channels),
        "percentile": percentiles if any(one is not None for one in percentiles) else [],
        "same": [changed.get(channel) for channel in channels] if changed else [],
        "score": scores if any(one is not None for one in scores) else [],
        "faces": [[channels[n], faces[n], sizes[n]] for n in _spread(faces, FACES)],
    }


def _crops(plan: Plan) -> str:
    """Which crops units are compared on."""
    if "photos" not in plan.kinds:
        return ""
    return f"{plan.crops:,} crops of " + (Path(plan.folder).name or "scikit-image's photos")


def _spread(faces: list[str], most: int) -> list[int]:
    """Units that have a picture, evenly over the layer: a sample, not the best."""
    found = [number for number, face in enumerate(faces) if face]
    return [found[i * len(found) // most] for i in range(most)] if len(found) > most else found


def _wall(networks: list[dict[str, Any]]) -> list[list[Any]]:
    """Pictures from all layers in turn, the deepest first: [network, layer, channel, picture, px].

    Not the same channel of neighbours: a residual block's is like that of the one before.
    """
    lines = [
        [[network["id"], number, *face] for face in layer["faces"]]
        for network in networks
        for number, layer in enumerate(network["layers"])
    ]
    turns = [
        line[(n + offset) % len(line)]
        for n in range(FACES)
        for offset, line in enumerate(reversed(lines))
        if n < len(line)
    ]
    return turns[:WALL]


def _range(channels: list[int]) -> list[int] | dict[str, int]:
    """`{start, count, step}` where they are evenly spaced."""
    step = channels[1] - channels[0] if len(channels) > 1 else 1
    if channels and channels == list(range(channels[0], channels[0] + step * len(channels), step)):
        return {"start": channels[0], "count": len(channels), "step": step}
    return channels


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def _script(store: Store, name: str, value: Any, wanted: set[str]) -> None:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    wanted.add(f"{name}.js")
    _write(store, f"data/{name}.js", f'phosphene.take("{name}",{text});\n'.encode())


def _write(store: Store, name: str, data: bytes) -> None:
    if store.files.read(name) != data:
        store.files.write(name, data)


def _asset(name: str) -> bytes:
    return resources.files(__package__).joinpath("static", name).read_bytes()
