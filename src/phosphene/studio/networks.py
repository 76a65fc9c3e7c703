"""A network's layers, channels and classes, each with a picture that is made when nobody else dreams."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from phosphene import models
from phosphene.errors import PhospheneError
from phosphene.studio import answers
from phosphene.studio.bodies import pictures
from phosphene.studio.manager import Manager
from phosphene.studio.sketches import Sketch
from phosphene.studio.store import Store

WAIT = 0.3  # s that a picture is waited for
PICTURE: dict[int | str, dict[str, Any]] = {
    **pictures("webp"),
    202: {"model": answers.Error, "description": "it is being made"},
}
CLASSES = 50  # found at most
Model = Annotated[str, Path(max_length=200)]
Layer = Annotated[str, Path(max_length=200, pattern=r"^[A-Za-z0-9_./#:-]+$")]
Photo = Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$", description="an upload: what is done to it")]


def routes(store: Store, manager: Manager) -> APIRouter:
    """The part of the interface that the map is drawn from."""
    router = APIRouter(prefix="/api/models", tags=["networks"])

    @router.get("/{name:path}/layers", response_model=answers.Layers)
    def layers(name: Model) -> dict[str, Any]:
        """The layers; while the network is being read, only those that its card names."""
        known = _known(name)
        rows = known["layers"] if known else _of_card(name)
        listed = [{**row, "picture": _address(name, row["name"])} for row in rows]
        return {"complete": known is not None or _hopeless(name), "layers": listed}

    @router.get("/{name:path}/layers/{layer:path}/channels", response_model=answers.Channels)
    def channels(
        name: Model,
        layer: Layer,
        start: Annotated[int, Query(alias="from", ge=0, le=1_000_000)] = 0,
        count: Annotated[int, Query(ge=1, le=500)] = 48,
    ) -> dict[str, Any]:
        """So many of a layer's channels."""
        row = _row(name, layer)
        total = row["channels"] if row else 0
        numbers = range(start, min(total, start + count))
        found = [{"channel": one, "picture": _address(name, layer, one)} for one in numbers]
        return {"channels": found, "total": total, "complete": row is not None}

    @router.get(
        "/{name:path}/layers/{layer:path}/channels/{channel}/picture",
        response_class=Response,
        responses=PICTURE,
    )
    def channel_picture(
        request: Request,
        name: Model,
        layer: Layer,
        channel: Annotated[int, Path(ge=0, le=1_000_000)],
        photo: Photo = "",
    ) -> Response:
        """What a channel dreams, or does to a photo; 202 while it is being made."""
        row = _row(name, layer)
        if row and channel >= row["channels"]:
            raise PhospheneError("E_MISSING", f"{layer} has {row['channels']} channels")
        return _shown(request, Sketch(name, layer, channel, photo))

    @router.get("/{name:path}/layers/{layer:path}/picture", response_class=Response, responses=PICTURE)
    def layer_picture(request: Request, name: Model, layer: Layer, photo: Photo = "") -> Response:
        """What a layer dreams, or does to a photo; 202 while it is being made."""
        _row(name, layer)
        return _shown(request, Sketch(name, layer, None, photo))

    @router.get("/{name:path}/classes", response_model=answers.Classes)
    def classes(name: Model, search: Annotated[str, Query(max_length=100)] = "") -> dict[str, Any]:
        """The classes whose name or number has this text in it, those first that begin with it."""
        known = _known(name)
        names: list[str] = known["classes"] if known else []
        wanted = search.lower().replace("_", " ").strip()
        found = [one for one in enumerate(names) if wanted in one[1].lower() or wanted == str(one[0])]
        found.sort(key=lambda one: not any(part.startswith(wanted) for part in one[1].lower().split(", ")))
        listed = [{"number": number, "name": text} for number, text in found[:CLASSES]]
        return {"classes": listed, "total": len(names), "complete": known is not None or _hopeless(name)}

    def _known(name: str) -> dict[str, Any] | None:
        """All about a network, if it was read already; else it will be."""
        try:
            models.refuse_files(name, "the request")
            models.find(name)
        except PhospheneError as error:
            raise PhospheneError("E_MISSING", str(error)) from None
        sketch = Sketch(name)
        if not manager.sketch(sketch):
            return None
        found: dict[str, Any] = json.loads(manager.sketches.path(sketch).read_bytes())
        return found

    def _hopeless(name: str) -> bool:
        return bool(manager.sketches.failed(Sketch(name)))

    def _row(name: str, layer: str) -> dict[str, Any] | None:
        """The layer; None while that isn't known."""
        known = _known(name)
        if known is None:
            return None
        rows: list[dict[str, Any]] = known["layers"]
        row = next((one for one in rows if one["name"] == layer), None)
        if row is None:
            raise PhospheneError("E_MISSING", f"{name} has no such layer")
        return row

    def _shown(request: Request, sketch: Sketch) -> Response:
        if sketch.photo and store.upload(sketch.photo, request.state.visitor) is None:
            raise PhospheneError("E_MISSING", "there is no such upload")
        if manager.sketch(sketch, WAIT):
            headers = {"cache-control": "private, max-age=86400"}
            return FileResponse(manager.sketches.path(sketch), headers=headers)
        if why := manager.sketches.failed(sketch):
            raise PhospheneError("E_MISSING", f"that picture can't be made: {why}")
        return JSONResponse({"code": "E_WAIT", "message": "it is being made"}, 202, {"retry-after": "5"})

    return router


def _of_card(name: str) -> list[dict[str, Any]]:
    card = models.find(name)
    unknown = {"kind": "layer", "channels": None, "depth": 0, "height": None, "width": None, "card": True}
    return [{"name": layer, **unknown} for layer in card.layers or (card.objective,) if layer]


def _address(name: str, layer: str, channel: int | None = None) -> str:
    place = f"/api/models/{quote(name, safe='')}/layers/{quote(layer, safe='')}"
    return f"{place}/picture" if channel is None else f"{place}/channels/{channel}/picture"
