"""Open a picture file of any kind, friendly or hostile, as a `Picture`.

What can go wrong does so as a `PhospheneError` in one line, before memory is spent: the kind is
told by content, the size checked in the header, and files that are cut short or whose checksums
don't fit are refused rather than half shown.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from phosphene.errors import PhospheneError
from phosphene.picture import png
from phosphene.picture.picture import Picture
from phosphene.picture.pillow import bounded, exif_of, is_covered, open_header, pillow_only, read_pillow
from phosphene.picture.profile import BAD_PROFILE, MAX_PROFILE, to_rgb
from phosphene.picture.raster import MAX_PIXELS, Raster, floats, upright
from phosphene.picture.sniff import SUFFIXES, sniff
from phosphene.picture.source import Source, opened, shown
from phosphene.picture.tail import check_tail
from phosphene.picture.tiff import check_directory


def open_picture(source: Source, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture: PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, or HEIC with `phosphene[heic]`.

    `source` is a path, the file's bytes, or a binary stream (read from where it stands). The
    result is upright, RGB, float32; `.notes` says what was converted or left out: a wrong file
    ending, further frames or pages, a colour space, a colour profile that can't be used.

    Raises E_INPUT (no such file, a folder, a pipe, no permission), E_FORMAT (no picture, of a kind
    that isn't read, or with another file behind it), E_DECODE (damaged, cut short), E_TOO_LARGE (more than
    `max_pixels`, by the header), E_NONFINITE (a float picture with NaN or infinity) and E_MEMORY.
    """
    with opened(source) as (file, name, suffix), reported(name, max_pixels):
        kind = sniff(file.read(64), name)
        check_tail(file, kind, name)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        raster = read_raster(file, kind, name, max_pixels)
        if suffix and suffix not in SUFFIXES[kind]:
            raster.notes.insert(0, f"named {suffix} but a {kind.upper()} file: read as what it is")
        return finish(raster, name, kind, digest)


def read_raster(file: IO[bytes], kind: str, name: str, max_pixels: int) -> Raster:
    """The first picture's samples as the file stores them."""
    if kind == "png":
        return read_png(file, name, max_pixels)
    if kind == "tiff":
        return read_tiff(file, name, max_pixels)
    with bounded(max_pixels):
        return read_pillow(open_header(file, kind), kind, name, max_pixels)


def read_png(file: IO[bytes], name: str, max_pixels: int) -> Raster:
    """8 bits by Pillow, 16 by libvips, as Pillow would cut RGB to 8."""
    bits, profile_fits = png.inspect(file, MAX_PROFILE)
    if not profile_fits:  # Pillow refuses the whole file for it
        file = io.BytesIO(png.without(file, b"iCCP"))
    if bits == 16:
        from phosphene.picture.vips import read_vips

        raster = read_vips(file, "png", name, max_pixels)
    else:
        with bounded(max_pixels):
            raster = read_pillow(open_header(file, "png"), "png", name, max_pixels)
    if not profile_fits:
        raster.notes.append(BAD_PROFILE)
    return raster


def read_tiff(file: IO[bytes], name: str, max_pixels: int) -> Raster:
    """By libvips, which is strict and reads every depth; by Pillow where that can't."""
    from phosphene.picture.vips import read_vips

    check_directory(file)
    with bounded(max_pixels):
        header = None
        with suppress(Exception):  # Pillow doesn't know every kind of TIFF
            header = open_header(file, "tiff")
        if header is not None and pillow_only(header):
            if not is_covered(header):
                raise PhospheneError("E_DECODE", f"{name} can't be decoded: a part of the picture is missing")
            return read_pillow(header, "tiff", name, max_pixels)
        gps = header is not None and exif_of(header)[1]
    raster = read_vips(file, "tiff", name, max_pixels)
    raster.gps = gps
    if header is not None and not header.has_transparency_data:
        raster.alpha = None  # a fourth channel that the file doesn't call alpha
    return raster


def finish(raster: Raster, name: str, kind: str, digest: str) -> Picture:
    """RGB, upright, float32 in 0..1."""
    if raster.samples.dtype.kind == "f" and raster.space != "lab":
        unit_range(raster, name)
    icc = to_rgb(raster)
    samples = upright(raster.samples, raster.orientation)
    alpha = None if raster.alpha is None else upright(raster.alpha, raster.orientation)
    if raster.gps:
        raster.notes.append("its GPS position will not be copied")
    height, width = samples.shape[:2]
    return Picture(
        pixels=floats(samples, (height, width, 3)),
        alpha=None if alpha is None else floats(alpha, (height, width)),
        bits=raster.bits,
        icc=icc,
        format=kind,
        sha256=digest,
        notes=tuple(raster.notes),
    )


def unit_range(raster: Raster, name: str) -> None:
    """Clip float samples to 0..1 and say so; E_NONFINITE where there is a NaN or an infinity."""
    planes = [raster.samples] if raster.alpha is None else [raster.samples, raster.alpha]
    low = min(float(plane.min()) for plane in planes)
    high = max(float(plane.max()) for plane in planes)
    if not all(np.isfinite([low, high])):
        raise PhospheneError(
            "E_NONFINITE", f"{name} has pixels that are NaN or infinite, expected 0..1; mend them first"
        )
    if low < 0 or high > 1:
        raster.notes.append(f"its values from {low:.3g} to {high:.3g} are clipped to 0..1")
        raster.samples = raster.samples.clip(0, 1)
        raster.alpha = None if raster.alpha is None else raster.alpha.clip(0, 1)


@contextmanager
def reported(name: str, max_pixels: int = MAX_PIXELS) -> Iterator[None]:
    """Whatever a decoder raises inside becomes a `PhospheneError` that names the file."""
    try:
        yield
    except PhospheneError as error:
        text = str(error)
        raise PhospheneError(error.code, text if name in text else f"{name}: {text}") from None
    except Image.DecompressionBombError:
        most = f"{max_pixels / 1e6:g} megapixels"
        raise PhospheneError("E_TOO_LARGE", f"{name} has more than {most}; make it smaller first") from None
    except MemoryError:
        raise PhospheneError("E_MEMORY", f"too little memory to open {name}; make it smaller first") from None
    except Exception as error:  # OSError, SyntaxError, ValueError, struct.error, zlib.error, pyvips.Error …
        raise PhospheneError(
            "E_DECODE", f"{name} can't be decoded, it is damaged or cut short ({reason_of(error)})"
        ) from None


def reason_of(error: Exception) -> str:
    """What a decoder says, in one line: libvips names its own function first and the fault after that."""
    if isinstance(error, UnidentifiedImageError):
        return "its header makes no sense"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shown((lines[1:] or lines or [type(error).__name__])[0])
