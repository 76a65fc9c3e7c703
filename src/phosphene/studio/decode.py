"""Uploads are looked at in a process of their own, which is ended when it takes too long."""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from phosphene.errors import PhospheneError

SECONDS = 30.0
PIXELS = 100_000_000
SMALL = 1024


def looked_at(path: str) -> dict[str, Any]:
    """Size, recipe and a small JPEG of an upload; a PhospheneError as (code, message)."""
    from PIL import Image

    from phosphene.picture import open_picture, read_recipe

    try:
        picture = open_picture(Path(path), max_pixels=PIXELS)
        try:
            recipe = read_recipe(Path(path))
        except PhospheneError:
            recipe = None
    except PhospheneError as error:
        film = _film(path) if error.code in ("E_FORMAT", "E_DECODE") else None
        return film or {"error": (error.code, str(error).replace(path, "the upload"))}
    image = Image.fromarray((picture.pixels * 255).round().astype("uint8"))
    height, width = picture.size
    return {"width": width, "height": height, "recipe": recipe, "jpeg": _small(image), "film": None}


def _film(path: str) -> dict[str, Any] | None:
    """The same of a film, by its first still; None where it is none, has no second one, or is too large."""
    from PIL import Image

    try:
        from phosphene.film.source import look, stills

        facts = look(path)
        if facts.width * facts.height > PIXELS:
            return None
        coming = stills(facts)
        first, _ = next(coming), next(coming)
        frames = facts.frames or _counted(path)
    except (PhospheneError, StopIteration):
        return None
    pixels = first.pixels if first.pixels.dtype == "uint8" else (first.pixels >> 8).astype("uint8")
    rate = float(facts.rate or 25)
    film = {"frames": frames, "seconds": round(facts.seconds or frames / rate, 3), "fps": round(rate, 3)}
    jpeg = _small(Image.fromarray(pixels))
    return {"width": facts.width, "height": facts.height, "recipe": None, "jpeg": jpeg, "film": film}


def _counted(path: str) -> int:
    """How many stills there are in a film that doesn't say so, as browsers record them."""
    from phosphene.film.source import opened, picture

    with opened(path) as film:
        return sum(packet.size > 0 for packet in film.demux(picture(film, path)))


def _small(image: Any) -> bytes:
    from PIL import Image

    image.thumbnail((SMALL, SMALL), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()


def _end_with_parent() -> None:
    """A pool's process waits for ever where the server was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Decoder:
    """One process, started anew when it was ended."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def look(self, path: Path) -> dict[str, Any]:
        """What `looked_at` finds, within a time. Raises its PhospheneError, and E_DECODE for a slow one."""
        context = multiprocessing.get_context("spawn")
        pool = self._pool = self._pool or ProcessPoolExecutor(1, context, _end_with_parent)
        future: Future[dict[str, Any]] = pool.submit(looked_at, str(path))
        try:
            found = future.result(SECONDS)
        except TimeoutError:
            self.close()
            raise PhospheneError(
                "E_DECODE", f"the upload takes more than {SECONDS:.0f} s to decode"
            ) from None
        except BrokenProcessPool:
            self.close()
            raise PhospheneError("E_DECODE", "the upload can't be decoded; it ends the decoder") from None
        if "error" in found:
            raise PhospheneError(*found["error"])
        return found

    def close(self) -> None:
        """End the process, whatever it does."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)
