"""The studio's HTTP interface, and its page."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path as File
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Match

from phosphene import __version__
from phosphene.errors import PhospheneError
from phosphene.studio import answers, forms, manual, networks, recipes, scripts
from phosphene.studio.bodies import FORMATS, pictures, read_json, received, shown
from phosphene.studio.decode import PIXELS, Decoder
from phosphene.studio.live import Live
from phosphene.studio.manager import MAX_JOBS, MAX_MINE, Manager
from phosphene.studio.safety import Guard
from phosphene.studio.store import OVER, Store, identifier
from phosphene.studio.visitors import FILMS, FRAMES, Asked, Studio

UPLOAD = 256_000_000  # bytes
PAGE = File(__file__).parent / "static"
STATUS = {"E_MISSING": 404, "E_EXISTS": 409, "E_STATE": 409, "E_TOO_LARGE": 413, "E_FULL": 429, "E_DISK": 507}
RAW = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
ASKED = {"requestBody": {"required": True, "content": {"application/json": {"schema": Asked.described()}}}}
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


def application(folder: File, *, hosts: tuple[str, ...], token: str = "") -> Any:
    """The studio in `folder`, for requests to these hosts."""
    store = Store(folder)
    if store.note:
        print(f"note: {store.note}", file=sys.stderr, flush=True)
    else:
        store.sweep()
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
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        version=__version__,
        responses={
            "4XX": {"model": answers.Error, "description": "what is wrong"},
            507: {"model": answers.Error, "description": "the disk is full"},
        },
        generate_unique_id_function=lambda route: route.name,
    )

    @app.exception_handler(PhospheneError)
    async def told(_request: Request, error: PhospheneError) -> JSONResponse:
        return JSONResponse({"code": error.code, "message": str(error)}, STATUS.get(error.code, 400))

    @app.exception_handler(OSError)
    @app.exception_handler(sqlite3.Error)
    async def full(_request: Request, error: Exception) -> JSONResponse:
        """The disk, most likely: nothing else of ours fails so."""
        return JSONResponse({"code": "E_DISK", "message": f"it can't be kept: {error}"[:300]}, 507)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"code": "E_PARAM", "message": f"{place}: {first['msg']}"}, 400)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "E_MISSING", 405: "E_METHOD"}.get(error.status_code, "E_REQUEST")
        headers = {"allow": allowed(request) or "GET, HEAD"} if error.status_code == 405 else error.headers
        return JSONResponse({"code": code, "message": str(error.detail)}, error.status_code, headers)

    def allowed(request: Request) -> str:
        """Every method of an address, which may be several functions'."""
        here = (route for route in app.routes if route.matches(request.scope)[0] is not Match.NONE)
        return ", ".join(sorted({method for route in here for method in getattr(route, "methods", ())}))

    @app.get("/api/about", response_model=answers.About)
    def about() -> dict[str, Any]:
        """The networks, the looks, the settings, the limits."""
        limits = {"upload_bytes": UPLOAD, "pixels": PIXELS, "queue": MAX_JOBS, "mine": MAX_MINE}
        limits["film_frames"] = FRAMES
        return forms.about(manager.device, limits)

    @app.post("/api/uploads", status_code=201, response_model=answers.Upload, openapi_extra=RAW)
    async def upload(request: Request, name: Annotated[str, Query(max_length=200)] = "") -> dict[str, Any]:
        """A picture or a film, as the request's body."""
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
        film = found["film"]
        store.add_upload(key, request.state.visitor, name, size, found["recipe"], film)
        store.forget()
        recipe = json.loads(found["recipe"]) if found["recipe"] else None
        told = {"id": key, "name": name, "width": size[1], "height": size[0], "recipe": recipe}
        return {**told, "kind": "film" if film else "picture", **(film or {})}

    @app.get("/api/uploads/{key}/picture", response_class=Response, responses=pictures("jpeg"))
    def upload_picture(
        request: Request, key: Id, size: Annotated[int, Query(ge=16, le=4096)] = 512
    ) -> Response:
        """A small JPEG of an upload."""
        if store.upload(key, request.state.visitor) is None:
            raise PhospheneError("E_MISSING", "there is no such upload")
        return shown(store.file(key, "jpg"), "jpeg", size)

    @app.post("/api/jobs", status_code=201, response_model=answers.Job, openapi_extra=ASKED)
    async def create(request: Request) -> dict[str, Any]:
        """Ask for a dream."""
        body = await read_json(request)
        return await asyncio.to_thread(studio.create, request.state.visitor, body)

    @app.get("/api/jobs", response_model=list[answers.Job])
    def jobs(
        request: Request,
        before: Annotated[float | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> list[dict[str, Any]]:
        """Mine, the newest first."""
        return [studio.seen(job) for job in store.jobs(request.state.visitor, before, limit)]

    @app.get("/api/jobs/{key}", response_model=answers.Job)
    def job(request: Request, key: Id) -> dict[str, Any]:
        """How far it is."""
        return studio.seen(studio.mine(key, request.state.visitor))

    @app.post("/api/jobs/{key}/pause", response_model=answers.Job)
    def pause(request: Request, key: Id) -> dict[str, Any]:
        """Keep its state, and give the device to the next."""
        return studio.act(key, request.state.visitor, "pause")

    @app.post("/api/jobs/{key}/resume", response_model=answers.Job)
    def resume(request: Request, key: Id) -> dict[str, Any]:
        """Go on."""
        return studio.act(key, request.state.visitor, "resume")

    @app.post("/api/jobs/{key}/cancel", response_model=answers.Job)
    def cancel(request: Request, key: Id) -> dict[str, Any]:
        """End it with what there is."""
        return studio.act(key, request.state.visitor, "cancel")

    @app.delete("/api/jobs/{key}", status_code=204)
    def remove(request: Request, key: Id) -> Response:
        """Remove a job that is over, and its picture."""
        if studio.mine(key, request.state.visitor)["state"] not in OVER:
            raise PhospheneError("E_STATE", "the job isn't over; cancel it first")
        store.remove(key)
        manager.frames.pop(key, None)
        manager.scores.pop(key, None)
        return Response(status_code=204)

    @app.get("/api/jobs/{key}/picture", response_class=Response, responses=pictures(*FORMATS))
    def picture(
        request: Request,
        key: Id,
        kind: Annotated[Literal["png", "jpeg", "webp", "tiff", "mp4"], Query(alias="format")] = "png",
        size: Annotated[int, Query(ge=0, le=8192)] = 0,
    ) -> Response:
        """The picture, or the newest frame of one that isn't finished; a finished film as mp4."""
        job = studio.mine(key, request.state.visitor)
        if kind == "mp4":
            film = store.file(key, "mp4")
            if not film.exists():
                raise PhospheneError("E_MISSING", "there is no film yet")
            return FileResponse(film, media_type="video/mp4", headers={"cache-control": "private"})
        path, frame = store.file(key, "png"), manager.frames.get(key)
        growing = job["kind"] in FILMS and job["state"] not in OVER and frame is not None
        if path.exists() and not growing:
            return shown(path, kind, size)
        if frame is None:
            raise PhospheneError("E_MISSING", "there is no picture yet")
        return Response(frame[2], media_type="image/jpeg", headers={"cache-control": "no-store"})

    @app.get("/api/jobs/{key}/recipe")
    def recipe(request: Request, key: Id) -> dict[str, Any]:
        """All that is needed to make the picture again."""
        from phosphene.picture import read_recipe

        job = studio.mine(key, request.state.visitor)
        path = store.file(key, "recipe" if job["kind"] in FILMS else "png")
        text = None
        if path.exists():
            text = path.read_text("utf-8") if job["kind"] in FILMS else read_recipe(path)
        if text is None:
            raise PhospheneError("E_MISSING", "there is no recipe yet; wait until the dream is done")
        found: dict[str, Any] = json.loads(text)
        return found

    @app.get("/api/jobs/{key}/command", response_model=answers.Command)
    def command(request: Request, key: Id) -> dict[str, str]:
        """The same on the command line, and in Python."""
        job = studio.mine(key, request.state.visitor)
        asked = job["asked"]
        return {"command": recipes.command(job["kind"], asked), "python": scripts.python(job["kind"], asked)}

    @app.get("/api/compare", response_model=answers.Compared)
    def compare(
        request: Request,
        a: Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")],
        b: Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")],
    ) -> dict[str, Any]:
        """Two jobs' settings: what is the same, what differs."""
        one, other = (studio.mine(key, request.state.visitor) for key in (a, b))
        settings = (recipes.described(job["kind"], job["asked"]) for job in (one, other))
        return recipes.compared(*settings)

    app.include_router(networks.routes(store, manager))

    @app.websocket("/api/live")
    async def watch(socket: WebSocket) -> None:
        await live.serve(socket, socket.state.visitor)

    @app.get("/api/docs", include_in_schema=False)
    def described() -> HTMLResponse:
        return HTMLResponse(manual.page(app.openapi()))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    app.mount("/static", GZipMiddleware(StaticFiles(directory=PAGE), minimum_size=1000))
    return Guard(app, hosts=hosts, token=token)
