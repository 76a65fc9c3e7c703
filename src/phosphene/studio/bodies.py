"""Bodies of requests, read no further than they may be long, and pictures as answers."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Any

from fastapi import Request, Response
from fastapi.responses import FileResponse

from phosphene.errors import PhospheneError
from phosphene.studio import room

BODY = 200_000  # of JSON
CHECKED = 8_000_000  # bytes of an upload after which the disk is looked at again
TURN = threading.Lock()  # pictures are as large as posters: one is turned into another format at a time
LARGEST = 2_000_000_000  # pixels of a picture of ours
PATIENCE, UPLOADING = 20.0, 600.0  # s between two blocks of a body, and for the whole of an upload
FORMATS = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "mp4": "video/mp4",
}


def pictures(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """An answer of these formats, for the OpenAPI description."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "a picture", "content": {FORMATS[kind]: binary for kind in kinds}}}


async def _blocks(request: Request, seconds: float) -> AsyncIterator[bytes]:
    """The body as it arrives; E_REQUEST where it isn't there within so many seconds, or nothing comes."""
    stream, end = request.stream(), time.monotonic() + seconds
    while True:
        try:
            yield await asyncio.wait_for(anext(stream), min(PATIENCE, end - time.monotonic()))
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise PhospheneError("E_REQUEST", "the request's body comes too slowly; send it again") from None


async def received(request: Request, path: File, most: int) -> None:
    """The body in a file; E_TOO_LARGE as soon as it is too long, E_DISK as soon as it takes too much."""
    size, checked = 0, -CHECKED
    with path.open("wb") as file:
        async for block in _blocks(request, UPLOADING):
            size += len(block)
            if size > most:
                raise PhospheneError("E_TOO_LARGE", f"the upload is more than {most // 1_000_000} MB")
            if size - checked >= CHECKED:
                room.check(path.parent)
                checked = size
            file.write(block)
    if not size:
        raise PhospheneError("E_INPUT", "the upload is empty; send a picture")


async def read_json(request: Request) -> Any:
    """The body as JSON, if it isn't too long."""
    body = b""
    async for block in _blocks(request, PATIENCE):
        body += block
        if len(body) > BODY:
            raise PhospheneError("E_TOO_LARGE", f"the request is more than {BODY} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise PhospheneError("E_PARAM", "the request's body is no JSON") from None


def shown(path: File, kind: str, size: int) -> Response:
    """A picture of ours in another format, or smaller."""
    headers = {"cache-control": "private, max-age=3600"}
    if kind == "png" and not size:
        return FileResponse(path, media_type="image/png", headers=headers)
    with TURN:
        content = _small(path, kind, size) if size else _as(path, kind)
    return Response(content, media_type=FORMATS[kind], headers=headers)


def _small(path: File, kind: str, size: int) -> bytes:
    from PIL import Image

    from phosphene.picture.pillow import bounded

    file = io.BytesIO()
    with bounded(LARGEST), Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((size, size), Image.Resampling.LANCZOS)
        small.save(file, {"jpeg": "JPEG", "webp": "WEBP", "tiff": "TIFF"}.get(kind, "PNG"))
    return file.getvalue()


def _as(path: File, kind: str) -> bytes:
    from phosphene.picture import open_picture, read_recipe, save_picture

    file = io.BytesIO()
    save_picture(file, open_picture(path, max_pixels=LARGEST), format=kind, recipe=read_recipe(path) or "")
    return file.getvalue()
