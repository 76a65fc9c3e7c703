"""libvips: 16-bit and float pictures, colour conversions, and fast PNG and TIFF files.

pyvips is imported when it is first needed. Arrays are [H, W, C] of uint8, uint16 or float32.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from phosphene.errors import PhospheneError
from phosphene.picture.raster import Raster, check_size

SPACES = {
    "b-w": "grey",
    "grey16": "grey",
    "srgb": "rgb",
    "rgb": "rgb",
    "rgb16": "rgb",
    "scrgb": "rgb",
    "cmyk": "cmyk",
    "labs": "lab",
    "lab": "lab",
}
DEPTHS = "8 or 16 bits per channel or 32-bit floats"
CHANNELS = {"grey": 1, "rgb": 3, "cmyk": 4, "lab": 3}
MAX_BANDS = 8  # CMYK, alpha and a few extra channels; far from what a hostile header can ask for
MAX_TILES = 4096  # side by side; libvips takes time that grows with the square of it


@cache
def library() -> Any:
    """pyvips, quiet and without a cache, as that would keep whole pictures alive."""
    logging.getLogger("pyvips").addHandler(logging.NullHandler())  # else its warnings reach stderr
    import pyvips

    pyvips.cache_set_max(0)
    return pyvips


@contextmanager
def vips_source(file: IO[bytes]) -> Iterator[Any]:
    """A libvips source on an open file; the bytes of a stream in memory stay alive as long as it."""
    if isinstance(file, io.BytesIO):
        with file.getbuffer() as data:  # libvips borrows them
            yield library().Source.new_from_memory(data)
    else:
        yield library().Source.new_from_descriptor(file.fileno())


def read_vips(file: IO[bytes], loader: str, name: str, max_pixels: int) -> Raster:
    """The first picture in a PNG or TIFF file; `loader` is "png" or "tiff".

    Raises E_FORMAT for sample types that aren't read, E_TOO_LARGE from the header alone.
    """
    with vips_source(file) as source:
        image = open_vips(source, loader, name)
        check_size(image.width, image.height, name, max_pixels)
        space = SPACES.get(image.interpretation) or {1: "grey", 2: "grey", 3: "rgb", 4: "rgb"}.get(
            image.bands
        )
        if space is None or not CHANNELS[space] <= image.bands <= MAX_BANDS:
            what = f"{image.bands} channels, expected grey, RGB, CMYK or Lab"
            raise PhospheneError("E_FORMAT", f"{name} has {what}")
        if space == "lab":
            image = image.colourspace("lab")
        elif image.format not in ("uchar", "ushort", "float"):
            raise PhospheneError("E_FORMAT", f"{name} has {image.format} samples, expected {DEPTHS}")
        fields = set(image.get_fields())
        samples = image.numpy().reshape(image.height, image.width, image.bands)
    colors = CHANNELS[space]
    notes = []
    if "n-pages" in fields and image.get("n-pages") > 1:
        notes.append(f"it has {image.get('n-pages')} pages; the first is used")
    return Raster(
        samples=samples[..., :colors],
        alpha=samples[..., colors] if image.bands > colors else None,
        space=space,
        bits=8 if samples.dtype == np.uint8 else 16,
        icc=image.get("icc-profile-data") if "icc-profile-data" in fields else None,
        orientation=image.get("orientation") if "orientation" in fields else 1,
        gps=any("GPS" in field for field in fields),
        notes=notes,
    )


def open_vips(source: Any, loader: str, name: str) -> Any:
    """The header of a PNG or TIFF file; the pixels follow when they are asked for, damage being an error."""
    load = getattr(library().Image, f"{loader}load_source")
    try:
        image = load(source, fail_on="error", access="sequential")
    except library().Error as error:
        if "out of range" not in str(error):
            raise
        raise PhospheneError("E_FORMAT", f"{name} has 64-bit or complex samples, expected {DEPTHS}") from None
    if "tile-width" not in image.get_fields():
        return image
    if image.width > MAX_TILES * image.get("tile-width"):
        raise PhospheneError("E_FORMAT", f"{name} is stored in far too many small tiles; save it in strips")
    return load(source, fail_on="warning", access="sequential")  # in tiles damage is only a warning


def image_of(array: NDArray[Any], space: str) -> Any:
    """`array` [H, W, C] of uint8, uint16 or float32 as a libvips image, whose pixels it lends."""
    deep = {"grey": "grey16", "rgb": "rgb16"}.get(space, space) if array.dtype == np.uint16 else None
    plain = {"grey": "b-w", "rgb": "srgb"}.get(space, space)
    return library().Image.new_from_array(np.ascontiguousarray(array), interpretation=deep or plain)


def profile_to_srgb(samples: NDArray[Any], space: str, icc: bytes) -> NDArray[Any]:
    """Grey or CMYK samples [H, W, 1 or 4] of uint8 or uint16 as sRGB [H, W, 3], by their profile."""
    image = attach(image_of(samples, space), icc)
    depth = 8 * samples.dtype.itemsize
    converted = image.icc_transform(
        "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=depth
    )
    return np.asarray(converted.numpy())


def lab_to_srgb(lab: NDArray[np.float32]) -> NDArray[np.uint16]:
    """CIELAB [H, W, 3] (L in 0..100, white point D50) as sRGB [H, W, 3] of uint16."""
    image = library().Image.new_from_array(np.ascontiguousarray(lab), interpretation="lab")
    return np.asarray(image.icc_export(output_profile="srgb", intent="relative", depth=16).numpy())


def attach(image: Any, icc: bytes | None = None, xmp: bytes = b"") -> Any:
    """A copy of a libvips image that carries a profile and an XMP packet."""
    copied = image.copy()
    for field, data in (("icc-profile-data", icc), ("xmp-data", xmp)):
        if data:
            copied.set_type(library().GValue.blob_type, field, data)
    return copied


def printable(image: Any) -> Any:
    """The image at 72 pixels per inch, instead of libvips' 25."""
    return image.copy(xres=72 / 25.4, yres=72 / 25.4)


def png_file(levels: NDArray[Any], icc: bytes | None) -> bytes:
    """`levels` [H, W, 3 or 4] of uint8 or uint16 as a PNG file, with the profile and no other metadata."""
    image = printable(attach(image_of(levels, "rgb"), icc))
    data: bytes = image.pngsave_buffer(compression=6, filter="paeth", keep="icc")
    return data


def tiff_file(levels: NDArray[Any], icc: bytes | None, xmp: bytes) -> bytes:
    """`levels` [H, W, 3 or 4] of uint8 or uint16 as a TIFF file, with the profile and the XMP packet."""
    image = printable(attach(image_of(levels, "rgb"), icc, xmp))
    big = levels.nbytes > 2**32 - 2**26
    data: bytes = image.tiffsave_buffer(
        compression="deflate", predictor="horizontal", bigtiff=big, keep="icc:xmp"
    )
    return data
