"""Pictures that are too large for memory, written row by row: TIFF pyramids, Deep Zoom, PNG, JPEG, WebP.

libvips maps raw files, and what is mapped counts as memory. So it is fed a PNG file that is made up
as it is read: nothing is compressed in it, and nothing of it is kept.
"""

from __future__ import annotations

import os
import secrets
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from phosphene.errors import PhospheneError
from phosphene.picture import atomic, metadata
from phosphene.picture.source import shown

Rows = Callable[[int, int], NDArray[np.float32]]
"""Top and bottom row -> [bottom - top, W, 3], 0..1."""

STREAMED = ("tiff", "dzi", "png", "jpeg", "webp")
STRIP = 2**21  # px that are asked for at a time
MAX_XMP = 60_000  # bytes of a packet that fits into one segment of a JPEG file


def save_rows(
    target: str | os.PathLike[str] | IO[bytes],
    rows: Rows,
    size: tuple[int, int],
    kind: str,
    *,
    bits: int = 8,
    icc: bytes | None = None,
    recipe: str = "",
    quality: int = 95,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write a picture of `size` (height, width) as `kind` of file, asking for its `rows` from the top down.

    TIFF becomes a tiled pyramid (BigTIFF), `dzi` a Deep Zoom file with the folder `NAME_files` beside
    it. The file appears whole or not at all. The result says what could not be kept. Errors as
    `save_picture`'s; E_FORMAT for formats that are only written from memory.
    """
    if kind not in STREAMED:
        raise PhospheneError(
            "E_FORMAT", f"{kind.upper()} can't be written of a picture on disk; write a .tif or a .dzi"
        )
    metadata.check_recipe(recipe)
    depth = bits if kind in ("tiff", "png") else 8
    notes = [f"{kind.upper()} has 8 bits per channel; PNG and TIFF keep {bits}"] if bits > depth else []
    packet = metadata.xmp_packet(metadata.recipe_meta(recipe)) if recipe else b""
    if kind in ("jpeg", "webp") and len(packet) > MAX_XMP:
        notes.append("the recipe is too long for the picture's metadata")
        packet = b""
    stream = _Stream(rows, size, depth)

    def save(save_image: Callable[[Any], None]) -> None:
        from phosphene.picture.vips import attach, library, printable

        source = library().SourceCustom()
        source.on_read(stream.read)
        try:
            image = library().Image.pngload_source(source, access="sequential", fail_on="error")
            image = printable(attach(image, icc, b"" if kind == "png" else packet))
            if recipe and kind == "png":
                image.set_type(library().GValue.gstr_type, f"png-comment-0-{metadata.KEYWORD}", recipe)
            save_image(image)
        except library().Error as error:
            if stream.error:
                raise stream.error from None
            if "space" in str(error).lower():
                raise PhospheneError("E_DISK", "the disk is full; make room and try again") from None
            raise PhospheneError(
                "E_OUTPUT", f"the {kind.upper()} file can't be made: {str(error)[:200]}"
            ) from None

    if kind == "dzi":
        _save_deep_zoom(Path(os.fspath(target)), save, recipe, quality, overwrite)  # type: ignore[arg-type]
    elif isinstance(target, str | os.PathLike):
        with atomic.write(target, overwrite) as file:
            save(lambda image: _encode(image, file, kind, quality))
    else:
        file = target
        save(lambda image: _encode(image, file, kind, quality))
    return tuple(notes)


def _encode(image: Any, file: IO[bytes], kind: str, quality: int) -> None:
    from phosphene.picture.vips import library

    file.flush()
    out = library().Target.new_to_descriptor(file.fileno())
    if kind == "tiff":
        image.tiffsave_target(
            out,
            tile=True,
            tile_width=256,
            tile_height=256,
            pyramid=True,
            bigtiff=True,
            compression="deflate",
            predictor="horizontal",
            keep="icc:xmp",
        )
    elif kind == "png":
        image.pngsave_target(out, compression=6, filter="paeth", keep="icc:other")
    else:
        save = image.jpegsave_target if kind == "jpeg" else image.webpsave_target
        options = {"subsample_mode": "off" if quality >= 90 else "on"} if kind == "jpeg" else {}
        save(out, Q=quality, keep="icc:xmp", **options)


def tiles_of(target: str | os.PathLike[str]) -> Path:
    """The folder of a Deep Zoom file's tiles."""
    path = Path(target)
    return path.with_name(f"{path.stem}_files")


def check_tiles(target: str | os.PathLike[str], overwrite: bool) -> None:
    """E_EXISTS where the folder of tiles exists and may not be replaced; can be asked before any work."""
    if not overwrite and os.path.lexists(tiles_of(target)):
        raise PhospheneError("E_EXISTS", f"{shown(tiles_of(target))} exists; use --overwrite to replace it")


def _save_deep_zoom(
    target: Path, save: Callable[[Callable[[Any], None]], None], recipe: str, quality: int, overwrite: bool
) -> None:
    """The tiles first, then, in one step, the file that leads to them."""
    final = atomic.check(target, overwrite)
    check_tiles(final, overwrite)
    part = final.with_name(f".{final.name[:40]}.{secrets.token_hex(4)}.part")
    old = part.with_suffix(".old")
    with atomic.reported(target):
        try:
            part.mkdir()
            base = part / "tiles"
            save(lambda image: image.dzsave(str(base), suffix=f".jpg[Q={quality}]", keep="icc"))
            text = base.with_suffix(".dzi").read_text()
            if recipe:
                text = text.replace("</Image>", f"{metadata.recipe_meta(recipe)}\n</Image>")
            with suppress(FileNotFoundError):
                tiles_of(final).rename(old)
            tiles_of(base).rename(tiles_of(final))
            with atomic.write(final, overwrite) as file:
                file.write(text.encode())
        finally:
            shutil.rmtree(part, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


class _Stream:
    """A PNG file, made up as it is read; an error on the way is kept in `error`."""

    def __init__(self, rows: Rows, size: tuple[int, int], bits: int) -> None:
        self.rest = memoryview(b"")
        self.error: BaseException | None = None
        self._parts = self._made(rows, size, bits)

    def read(self, count: int) -> bytes:
        """The next bytes, at most `count`; none at the end. libvips calls this from threads of its own."""
        try:
            while not len(self.rest):
                self.rest = memoryview(next(self._parts))
        except StopIteration:
            return b""
        except BaseException as error:
            self.error = error
            return b""
        data, self.rest = bytes(self.rest[:count]), self.rest[count:]
        return data

    def _made(self, rows: Rows, size: tuple[int, int], bits: int) -> Iterator[bytes]:
        height, width = size
        header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
        yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
        packer = zlib.compressobj(0)
        step = max(1, STRIP // width)
        for top in range(0, height, step):
            levels = _levels(rows(top, min(top + step, height)), bits)
            lines = np.zeros((len(levels), 1 + width * 3 * bits // 8), np.uint8)  # a 0 before each: no filter
            lines[:, 1:] = levels.reshape(len(levels), -1).view(np.uint8)
            yield _chunk(b"IDAT", packer.compress(lines.data))
        yield _chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b"")


def _levels(pixels: NDArray[np.float32], bits: int) -> NDArray[Any]:
    """0..1 as numbers of 8 or 16 bits, rounded to nearest, as PNG has them."""
    if not np.isfinite(pixels).all():
        raise PhospheneError("E_NONFINITE", "the picture has pixels that are NaN or infinite, expected 0..1")
    levels = np.rint(pixels.clip(0, 1) * np.float32(2**bits - 1))
    return np.ascontiguousarray(levels.astype(">u2" if bits == 16 else np.uint8))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
