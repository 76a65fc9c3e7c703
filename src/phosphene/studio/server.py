"""The studio's HTTP interface, and its page."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path as File
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from phosphene import models
from phosphene.errors import PhospheneError
from phosphene.studio import forms, recipes
from phosphene.studio.bodies import read_json, received, shown
from phosphene.studio.decode import PIXELS, Decoder
from phosphene.studio.live import Live
from phosphene.studio.manager import MAX_JOBS, MAX_MINE, Manager
from phosphene.studio.safety import Guard
from phosphene.studio.store import OVER, Store, identifier
from phosphene.studio.visitors import Studio

UPLOAD = 64_000_000  # bytes
PAGE = File(__file__).parent / "static"
STATUS = {"E_MISSING": 404, "E_EXISTS": 409, "E_STATE": 409, "E_TOO_LARGE": 413, "E_FULL": 429}
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


def application(folder: File, *, hosts: tuple[str, ...], token: str = "") -> Any:
    """The studio in `folder`, for requests to these hosts."""
    store = Store(folder)
    manager = Manager(store, folder)
    decoder, deciding = Decoder(), asyncio.Lock()
    studio = Studio(store, manager)
    live = Live(manager, studio.told)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        live.begin()
        yield
        manager.close()
        decoder.close()
        store.close()

    app = FastAPI(
        title="phosphene studio",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )

    @app.exception_handler(PhospheneError)
    async def told(_request: Request, error: PhospheneError) -> JSONResponse:
        return JSONResponse({"code": error.code, "message": str(error)}, STATUS.get(error.code, 400))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"code": "E_PARAM", "message": f"{place}: {first['msg']}"}, 400)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "E_MISSING", 405: "E_METHOD"}.get(error.status_code, "E_REQUEST")
        return JSONResponse({"code": code, "message": str(error.detail)}, error.status_code, error.headers)

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        """The networks, the looks, the settings, the limits."""
        limits = {"upload_bytes": UPLOAD, "pixels": PIXELS, "queue": MAX_JOBS, "mine": MAX_MINE}
        return forms.about(manager.device, limits)

    @app.post("/api/uploads", status_code=201)
    async def upload(request: Request, name: Annotated[str, Query(max_length=200)] = "") -> dict[str, Any]:
        """A picture, as the request's body."""
        key = identifier()
        path = store.file(key, "upload")
        try:
            await received(request, path, UPLOAD)
            async with deciding:
                found = await asyncio.to_thread(decoder.look, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        store.file(key, "jpg").write_bytes(found["jpeg"])
        size = found["height"], found["width"]
        store.add_upload(key, request.state.visitor, name, size, found["recipe"])
        recipe = json.loads(found["recipe"]) if found["recipe"] else None
        return {"id": key, "name": name, "width": size[1], "height": size[0], "recipe": recipe}

    @app.get("/api/uploads/{key}/picture")
    def upload_picture(
        request: Request, key: Id, size: Annotated[int, Query(ge=16, le=4096)] = 512
    ) -> Response:
        """A small JPEG of an upload."""
        if store.upload(key, request.state.visitor) is None:
            raise PhospheneError("E_MISSING", "there is no such upload")
        return shown(store.file(key, "jpg"), "jpeg", size)

    @app.post("/api/jobs", status_code=201)
    async def create(request: Request) -> dict[str, Any]:
        """Ask for a dream."""
        body = await read_json(request)
        return await asyncio.to_thread(studio.create, request.state.visitor, body)

    @app.get("/api/jobs")
    def jobs(
        request: Request,
        before: Annotated[float | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> list[dict[str, Any]]:
        """Mine, the newest first."""
        return [studio.seen(job) for job in store.jobs(request.state.visitor, before, limit)]

    @app.get("/api/jobs/{key}")
    def job(request: Request, key: Id) -> dict[str, Any]:
        """How far it is."""
        return studio.seen(studio.mine(key, request.state.visitor))

    @app.post("/api/jobs/{key}/{action}")
    def act(request: Request, key: Id, action: Literal["pause", "resume", "cancel"]) -> dict[str, Any]:
        """Pause, go on, or end with what there is."""
        if not manager.ask(studio.mine(key, request.state.visitor), action):
            raise PhospheneError("E_STATE", f"the job can't {action} now")
        return studio.seen(studio.mine(key, request.state.visitor))

    @app.delete("/api/jobs/{key}", status_code=204)
    def remove(request: Request, key: Id) -> Response:
        """Remove a job that is over, and its picture."""
        if studio.mine(key, request.state.visitor)["state"] not in OVER:
            raise PhospheneError("E_STATE", "the job isn't over; cancel it first")
        store.remove(key)
        manager.frames.pop(key, None)
        return Response(status_code=204)

    @app.get("/api/jobs/{key}/picture")
    def picture(
        request: Request,
        key: Id,
        kind: Annotated[Literal["png", "jpeg", "webp", "tiff"], Query(alias="format")] = "png",
        size: Annotated[int, Query(ge=0, le=8192)] = 0,
    ) -> Response:
        """The picture, or the newest frame of one that isn't finished."""
        studio.mine(key, request.state.visitor)
        path, frame = store.file(key, "png"), manager.frames.get(key)
        if path.exists():
            return shown(path, kind, size)
        if frame is None:
            raise PhospheneError("E_MISSING", "there is no picture yet")
        return Response(frame[2], media_type="image/jpeg", headers={"cache-control": "no-store"})

    @app.get("/api/jobs/{key}/recipe")
    def recipe(request: Request, key: Id) -> Any:
        """All that is needed to make the picture again."""
        from phosphene.picture import read_recipe

        studio.mine(key, request.state.visitor)
        path = store.file(key, "png")
        text = read_recipe(path) if path.exists() else None
        if text is None:
            raise PhospheneError("E_MISSING", "there is no recipe yet; wait until the dream is done")
        return json.loads(text)

    @app.get("/api/jobs/{key}/command")
    def command(request: Request, key: Id) -> dict[str, str]:
        """The same on the command line, and in Python."""
        job = studio.mine(key, request.state.visitor)
        asked = job["asked"]
        what = job["kind"], asked["settings"], asked.get("name") or "", asked.get("size") or 512
        return {"command": recipes.command(*what), "python": recipes.python(*what)}

    @app.get("/api/compare")
    def compare(
        request: Request,
        a: Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")],
        b: Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")],
    ) -> dict[str, Any]:
        """Two jobs' settings: what is the same, what differs."""
        one, other = (studio.mine(key, request.state.visitor) for key in (a, b))
        settings = ({**job["asked"]["settings"], "photo": job["asked"].get("name")} for job in (one, other))
        return recipes.compared(*settings)

    @app.get("/api/models/{name:path}/layers")
    def layers(name: Annotated[str, Path(max_length=200)]) -> list[dict[str, Any]]:
        """The layers that a network's card names, each with what it dreams."""
        models.refuse_code(name, "the request")
        found = models.find(name)
        return [
            {
                "name": layer,
                "kind": "layer",
                "channels": None,
                "depth": depth,
                "picture": f"/api/models/{name}/layers/{layer}/picture",
            }
            for depth, layer in enumerate(found.layers or (found.objective,))
        ]

    @app.get("/api/models/{name:path}/layers/{layer:path}/picture")
    def layer_picture(
        request: Request,
        name: Annotated[str, Path(max_length=200)],
        layer: Annotated[str, Path(max_length=200, pattern=r"^[\w./]+$")],
        photo: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "",
    ) -> Response:
        """What a layer dreams, or does to a photo; made once, when nobody else is dreaming."""
        models.refuse_code(name, "the request")
        models.find(name)
        if photo and store.upload(photo, request.state.visitor) is None:
            raise PhospheneError("E_MISSING", "there is no such upload")
        key = hashlib.sha256(repr((name, layer, photo, 1)).encode()).hexdigest()[:32]
        if not manager.thumbnail(key, name, layer, photo, 2.0):
            headers = {"retry-after": "5"}
            return JSONResponse({"code": "E_WAIT", "message": "it is being made"}, 202, headers)
        return FileResponse(store.cache / f"{key}.webp", headers={"cache-control": "private, max-age=86400"})

    @app.websocket("/api/live")
    async def watch(socket: WebSocket) -> None:
        await live.serve(socket, socket.state.visitor)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    app.mount("/static", StaticFiles(directory=PAGE))
    return Guard(app, hosts=hosts, token=token)
