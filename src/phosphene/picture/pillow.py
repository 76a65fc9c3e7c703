"""Pillow: everything with 8 bits per sample, and the metadata around it."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile

from phosphene.errors import PhospheneError
from phosphene.picture.raster import Raster, check_size

PLUGINS = {
    "png": "PNG",
    "jpeg": "JPEG",
    "webp": "WEBP",
    "avif": "AVIF",
    "tiff": "TIFF",
    "gif": "GIF",
    "bmp": "BMP",
}
"""The only plugins that may touch a file; JPEG also opens the MPO files of phones."""

PHOTOMETRIC, YCBCR = 262, 6
ORIENTATION, GPS = 0x0112, 0x8825

PLAIN = {
    "1": "L",
    "P": "RGB",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
    "PA": "RGBA",
}
"""What a mode is converted to so that its samples are grey, RGB, CMYK or Lab."""

lock = threading.RLock()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else its errors reach stderr


@contextmanager
def bounded(max_pixels: int) -> Iterator[None]:
    """Pillow with our pixel budget, without warnings, and strict about truncated files.

    These are globals of Pillow's, so one thread at a time is inside, and they are put back.
    """
    with lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2  # Pillow refuses from twice this number on
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def open_header(file: IO[bytes], kind: str) -> Image.Image:
    """The file's header and metadata; no pixel is decoded before `.load()`."""
    file.seek(0)
    if kind == "heic":
        return heif_plugin()(file)  # type: ignore[no-any-return]
    return Image.open(file, formats=(PLUGINS[kind],))


def heif_plugin() -> Any:
    """pillow-heif's image class; E_FORMAT says how to get it where it isn't installed."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise PhospheneError(
            "E_FORMAT", "HEIC pictures need one more package; get it with: pip install 'phosphene[heic]'"
        ) from None
    return HeifImageFile


def pillow_only(header: Image.Image) -> bool:
    """Whether an opened TIFF is of a kind that our libvips can't read: 8-bit Lab, YCbCr, zstd, LZMA."""
    tags = getattr(header, "tag_v2", {})
    return (
        header.mode == "LAB"
        or tags.get(PHOTOMETRIC) == YCBCR
        or header.info.get("compression") in ("zstd", "lzma")
    )


def is_covered(image: Image.Image) -> bool:
    """Whether the strips or tiles of an opened picture, of which a TIFF may lack some, fill all of it."""
    boxes = (tile[1] for tile in getattr(image, "tile", ()))
    filled: int = sum((right - left) * (low - top) for left, top, right, low in boxes)
    return filled >= image.width * image.height


def read_pillow(image: Image.Image, kind: str, name: str, max_pixels: int) -> Raster:
    """The first frame of an opened picture, decoded."""
    check_size(image.width, image.height, name, max_pixels)
    notes = []
    if getattr(image, "is_animated", False):
        many = {"tiff": "several pages", "jpeg": "several pictures", "heic": "several pictures"}
        notes.append(
            f"it has {many[kind]}; the first is used" if kind in many else "it moves; its first frame is used"
        )
    depth = channel_bits(image, kind)
    if depth > 8:
        notes.append(f"its {depth} bits per channel are read as 8")
    image.load()
    orientation, gps = exif_of(image)
    icc = image.info.get("icc_profile")
    mode = PLAIN.get(image.mode, image.mode)
    if image.has_transparency_data:
        mode = "LA" if mode in ("L", "LA") else "RGBA"
    spaces = {"L": "grey", "LA": "grey", "RGB": "rgb", "RGBA": "rgb", "CMYK": "cmyk", "LAB": "lab"}
    if mode not in spaces:
        raise PhospheneError(
            "E_FORMAT", f"{name} has samples of the kind {mode}, expected 8 or 16 bits per channel"
        )
    if mode != image.mode:
        image = image.convert(mode)
    samples = np.asarray(image)
    if samples.ndim == 2:
        samples = samples[..., None]
    alpha = samples[..., -1] if mode in ("LA", "RGBA") else None
    if alpha is not None:
        samples = samples[..., :-1]
    if mode == "LAB":
        light, color = samples[..., :1], samples[..., 1:].view(np.int8)
        samples = np.concatenate((light * np.float32(100 / 255), color.astype(np.float32)), axis=-1)
    return Raster(
        samples, alpha, spaces[mode], 8, icc if isinstance(icc, bytes) else None, orientation, gps, notes
    )


def exif_of(image: Image.Image) -> tuple[int, bool]:
    """The orientation (1 to 8) in a picture's EXIF, and if it has a GPS position; damage counts as none."""
    with suppress(Exception):
        exif = image.getexif()
        orientation = exif.get(ORIENTATION, 1)
        return orientation if orientation in range(1, 9) else 1, bool(exif.get_ifd(GPS))
    return 1, False


def channel_bits(image: Image.Image, kind: str) -> int:
    """Bits per channel in a HEIC or AVIF file, of which 8 are read; 8 for every other file."""
    if kind == "heic":
        return int(image.info.get("bit_depth", 8))
    if kind == "avif" and (file := getattr(image, "fp", None)):
        file.seek(0)
        flags = file.read(16384).partition(b"av1C")[2][2:3]  # high_bitdepth is 0x40, twelve_bit 0x20
        return 8 if not flags or not flags[0] & 0x40 else 12 if flags[0] & 0x20 else 10
    return 8
