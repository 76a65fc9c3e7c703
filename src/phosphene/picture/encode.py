"""Write a `Picture` as a PNG, JPEG, WebP, AVIF, TIFF or Deep Zoom file, whole or not at all."""

from __future__ import annotations

import io
import math
import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from phosphene import checks
from phosphene.errors import PhospheneError
from phosphene.picture import atomic, metadata, png
from phosphene.picture.picture import Picture, pixels_of
from phosphene.picture.source import shown

if TYPE_CHECKING:
    from torch import Tensor

ENDINGS = {
    "png": ("png",),
    "jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "webp": ("webp",),
    "avif": ("avif",),
    "tiff": ("tif", "tiff"),
    "dzi": ("dzi",),
}
"""The formats that are written, and the file endings that choose them."""

DEEP = {"png", "tiff"}
OPAQUE = {"jpeg"}
LONGEST = {
    "png": 2**31 - 1,
    "tiff": 2**31 - 1,
    "jpeg": 65_500,
    "webp": 16_383,
    "avif": 32_768,
    "dzi": 2**31 - 1,
}
"""Pixels that a side may have; of AVIF, what libavif opens again."""

MOST = {"avif": 2**28}
"""Pixels that a whole picture may have, where a format says so."""


def output_format(path_or_name: str | os.PathLike[str], format: str = "") -> str:  # noqa: A002
    """The format a file will be written in: `format` where given, else by the ending of its name.

    Also takes a format's own name, and `-` (standard output), which is PNG. Raises E_FORMAT with
    the known endings for any other; meant to be asked before any work is done.
    """
    text = os.fspath(path_or_name)
    ending = (checks.text("format", format) or PurePath(text).suffix or text).lower().removeprefix(".")
    if ending == "-":
        return "png"
    for known, endings in ENDINGS.items():
        if ending == known or ending in endings:
            return known
    known_endings = ", ".join(f".{ending}" for endings in ENDINGS.values() for ending in endings[:2])
    got = f"the format {format!r}" if format else f"the file name {shown(text)}"
    raise PhospheneError("E_FORMAT", f"got {got}, expected one that ends in {known_endings}")


def check_output_size(kind: str, height: int, width: int) -> None:
    """Raise E_FORMAT where `kind` has no room for a picture of this size; can be asked before any work."""
    side, area = LONGEST[kind], MOST.get(kind, math.inf)
    if max(height, width) > side or height * width > area:
        most = f"{side} on a side" + ("" if area == math.inf else f" and {area / 1e6:.0f} megapixels in all")
        raise PhospheneError(
            "E_FORMAT",
            f"the picture is {width}×{height} pixels, {kind.upper()} holds at most {most}; write a .png",
        )


def save_picture(
    target: str | os.PathLike[str] | BinaryIO,
    picture: Picture,
    *,
    format: str = "",  # noqa: A002
    recipe: str = "",
    quality: int = 95,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write `picture`, with `recipe` in its metadata, and say in words what the format could not keep.

    `target` is a path, written atomically (see `atomic.write`), or a binary stream, which gets
    `format` (PNG unless given). `quality` 1 to 100 is for JPEG, WebP and AVIF. Values are rounded
    to the nearest level, of 16 bits where the picture has them and the format can. The colour
    profile is embedded; EXIF, and so the GPS position, is not written.

    Raises E_FORMAT, E_PARAM, E_NONFINITE and E_RECIPE before anything is written; E_EXISTS,
    E_OUTPUT and E_DISK for what the target says.
    """
    if isinstance(target, str | os.PathLike):
        known = output_format(target, format)
        atomic.check(target, overwrite)
        if known == "dzi":
            from phosphene.picture.rows import save_rows

            more: dict[str, Any] = {
                "icc": picture.icc,
                "recipe": recipe,
                "quality": quality,
                "overwrite": overwrite,
            }
            return save_rows(target, lambda top, end: picture.pixels[top:end], picture.size, known, **more)
        data, notes = encode(picture, known, recipe=recipe, quality=quality)
        with atomic.write(target, overwrite) as file:
            file.write(data)
        return notes
    data, notes = encode(picture, output_format("-", format), recipe=recipe, quality=quality)
    with atomic.reported("standard output"):
        target.write(data)
        target.flush()
    return notes


def encode(
    picture: Picture, kind: str, *, recipe: str = "", quality: int = 95
) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of a file in `kind`, a key of `ENDINGS`, and notes on what it could not keep."""
    checks.whole("quality", quality, 1, 100)
    metadata.check_recipe(recipe)
    check_output_size(kind, *picture.size)
    notes = []
    bits = picture.bits if kind in DEEP else 8
    if picture.bits > bits:
        notes.append(f"{kind.upper()} has 8 bits per channel; PNG and TIFF keep {picture.bits}")
    flat = picture.alpha is not None and kind in OPAQUE
    if flat and picture.alpha is not None and float(picture.alpha.min()) < 1:
        notes.append(f"{kind.upper()} has no transparency; it is laid on white")
    pixels = levels(picture, bits, flat)
    packet = (
        metadata.xmp_packet(metadata.recipe_meta(recipe)) if recipe and kind not in ("png", "jpeg") else b""
    )
    try:
        data = file_of(pixels, kind, picture.icc, packet, quality)
    except MemoryError:
        raise PhospheneError(
            "E_MEMORY", "there is too little memory to write the picture; make it smaller"
        ) from None
    except Exception as error:  # encoders raise OSError, ValueError, pyvips.Error …
        raise PhospheneError(
            "E_OUTPUT", f"the {kind.upper()} file can't be made: {str(error)[:200]}"
        ) from None
    if recipe and kind == "png":
        data = png.with_text(data, metadata.KEYWORD, recipe)
    if recipe and kind == "jpeg":
        data = metadata.with_recipe(data, recipe)
    return data, tuple(notes)


def file_of(pixels: NDArray[Any], kind: str, icc: bytes | None, packet: bytes, quality: int) -> bytes:
    """uint8 or uint16 `pixels` [H, W, 3 or 4] as a file; the XMP packet goes in except in PNG and JPEG."""
    if kind in DEEP:
        from phosphene.picture import vips

        return vips.png_file(pixels, icc) if kind == "png" else vips.tiff_file(pixels, icc, packet)
    options: dict[str, Any] = {"quality": quality, "icc_profile": icc or b""}
    if packet:
        options["xmp"] = packet
    if kind in ("jpeg", "avif"):
        options["subsampling"] = "4:4:4" if quality >= 90 else "4:2:0"
    if kind == "webp":
        options["exact"] = True  # colours under full transparency, too
    if kind == "avif":
        options["speed"] = 8  # at high quality a third of the default's time for 1% more bytes
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind.upper(), **options)
    return file.getvalue()


def levels(picture: Picture, bits: int = 8, flat: bool = False) -> NDArray[Any]:
    """The picture as uint8 or uint16 [H, W, 3 or 4], rounded to nearest; `flat` lays it on white.

    Works through it in strips, so that it needs little more than the result. NaN is E_NONFINITE.
    """
    height, width = picture.size
    with_alpha = picture.alpha is not None and not flat
    out = np.empty((height, width, 4 if with_alpha else 3), np.uint16 if bits == 16 else np.uint8)
    top = np.float32(2**bits - 1)
    rows = max(1, 2**20 // width)
    for start in range(0, height, rows):
        strip = slice(start, start + rows)
        part = picture.pixels[strip]
        if not np.isfinite(part).all():
            raise PhospheneError(
                "E_NONFINITE", "the picture has pixels that are NaN or infinite, expected 0..1"
            )
        if picture.alpha is not None:
            alpha = picture.alpha[strip, :, None].clip(0, 1)
            if with_alpha:
                out[strip, :, 3:] = np.rint(alpha * top)
            else:
                part = part.clip(0, 1) * alpha + (1 - alpha)
        out[strip, :, :3] = np.rint(part.clip(0, 1) * top)
    return out


def png_bytes(image: Tensor) -> bytes:
    """`image` [3, H, W] or [1, 3, H, W] in 0..1 as the bytes of an 8-bit PNG file, for notebooks."""
    return encode(Picture(pixels_of(image)), "png")[0]
