"""Large pictures: opened by their header, read by libvips in strips from the top, never held as a whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.errors import PhospheneError
from phosphene.picture import png
from phosphene.picture.decode import reported
from phosphene.picture.pillow import bounded, exif_of, open_header
from phosphene.picture.profile import BAD_PROFILE, MAX_PROFILE, profile_kind
from phosphene.picture.raster import upright
from phosphene.picture.sniff import SUFFIXES, sniff
from phosphene.picture.source import opened
from phosphene.picture.tail import check_tail
from phosphene.picture.tiff import check_directory

KINDS = ("png", "jpeg", "tiff")
STRIP = 2**22  # px that are decoded at a time
DENSE = 400  # px per byte of a file that a picture may have: no photo packs as many, bombs have more
SPACES = {"cmyk", "lab", "labs"}


@dataclass(frozen=True)
class Large:
    """A picture in a file, in the words of `Picture`: `size` is upright (height, width)."""

    path: Path
    size: tuple[int, int]
    format: str
    bits: int
    icc: bytes | None
    sha256: str
    orientation: int
    notes: tuple[str, ...]

    def strips(self) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """(top, left, pixels [h, w, 3] in 0..1) of windows that cover it, upright, in the file's order.

        Raises as `open_picture` does; what is damaged shows when it is read.
        """
        with opened(self.path) as (file, name, _), reported(name):
            from phosphene.picture.vips import library, vips_source

            with vips_source(file) as source:
                image = _rgb(_load(source, self.format, name), self.icc)
                region = library().Region.new(image)
                rows = max(1, STRIP // image.width)
                for top in range(0, image.height, rows):
                    count = min(rows, image.height - top)
                    samples = np.frombuffer(region.fetch(0, top, image.width, count), _type(image))
                    pixels = _floats(samples.reshape(count, image.width, image.bands)[..., :3], name)
                    yield self._place(top, image.height, pixels)

    def _place(
        self, top: int, height: int, pixels: NDArray[np.float32]
    ) -> tuple[int, int, NDArray[np.float32]]:
        """Where a strip of the file is once the picture stands upright."""
        if self.orientation in (3, 4, 6, 7):
            top = height - top - len(pixels)
        turned = np.ascontiguousarray(upright(pixels, self.orientation))
        return (0, top, turned) if self.orientation in (5, 6, 7, 8) else (top, 0, turned)


def header_size(source: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width in the header of a PNG, JPEG or TIFF file; (0, 0) of anything else."""
    with suppress(Exception), opened(source) as (file, name, _):
        kind = sniff(file.read(64), name)
        if kind in KINDS:
            with bounded(2**62):
                image = open_header(file, kind)
                return image.height, image.width
    return 0, 0


def open_large(source: str | os.PathLike[str]) -> Large:
    """A PNG, JPEG or TIFF file of any size, by its header.

    Raises E_TOO_LARGE for more pixels than a file of that many bytes can hold in earnest, else as
    `open_picture`.
    """
    with opened(source) as (file, name, suffix), reported(name):
        kind = sniff(file.read(64), name)
        check_tail(file, kind, name)
        bytes_ = file.seek(0, os.SEEK_END)
        with bounded(2**62):
            header = open_header(file, kind)
            orientation, gps = exif_of(header)
        pixels = header.width * header.height
        if pixels > DENSE * bytes_:
            raise PhospheneError(
                "E_TOO_LARGE",
                f"{name} is {header.width}×{header.height} pixels in {bytes_} bytes, far more than a photo "
                "has; make it smaller first",
            )
        file.seek(0)
        notes = []
        if kind == "png" and not png.inspect(file, MAX_PROFILE)[1]:
            raise PhospheneError("E_DECODE", f"{name} has a damaged colour profile; save it without one")
        if kind == "tiff":
            check_directory(file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        if suffix and suffix not in SUFFIXES[kind]:
            notes.append(f"named {suffix} but a {kind.upper()} file: read as what it is")
        from phosphene.picture.vips import vips_source

        file.seek(0)
        with vips_source(file) as vips:
            image = _load(vips, kind, name)
            fields = set(image.get_fields())
            icc = image.get("icc-profile-data") if "icc-profile-data" in fields else None
            if icc and not profile_kind(icc):
                notes.append(BAD_PROFILE)
                icc = None
            if image.hasalpha():
                notes.append("its transparency is left out, as it is too large for memory")
            if image.interpretation in SPACES:
                notes.append(f"{image.interpretation.upper()} converted to sRGB")
            if "n-pages" in fields and image.get("n-pages") > 1:
                notes.append(f"it has {image.get('n-pages')} pages; the first is used")
            bits = 8 if image.format == "uchar" else 16
            size = image.height, image.width
        if gps:
            notes.append("its GPS position will not be copied")
        return Large(
            Path(source),
            size[::-1] if orientation in (5, 6, 7, 8) else size,
            kind,
            bits,
            icc if icc and profile_kind(icc) == "rgb" else None,
            digest,
            orientation,
            tuple(notes),
        )


def _load(source: Any, kind: str, name: str) -> Any:
    from phosphene.picture.vips import library, open_vips

    if kind == "jpeg":
        return library().Image.jpegload_source(source, access="sequential", fail_on="warning")
    return open_vips(source, kind, name)


def _rgb(image: Any, icc: bytes | None) -> Any:
    """The image with three channels, or four of which the last is alpha."""
    if image.interpretation in SPACES or (not icc and "icc-profile-data" in image.get_fields()):
        depth = 8 if image.format == "uchar" else 16
        has_profile = "icc-profile-data" in image.get_fields()
        if image.interpretation == "cmyk" or (has_profile and image.interpretation in ("b-w", "grey16")):
            return image.icc_transform("srgb", embedded=has_profile, intent="relative", depth=depth)
        if image.interpretation in SPACES:
            return image.colourspace("rgb16" if depth == 16 else "srgb")
    if image.bands < 3:
        return image.extract_band(0).bandjoin([image.extract_band(0)] * 2)
    return image


def _type(image: Any) -> Any:
    kinds = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
    if image.format not in kinds:
        raise PhospheneError(
            "E_FORMAT", f"got {image.format} samples, expected 8 or 16 bits per channel or 32-bit floats"
        )
    return kinds[image.format]


def _floats(samples: NDArray[Any], name: str) -> NDArray[np.float32]:
    pixels: NDArray[np.float32]
    if samples.dtype.kind == "u":
        pixels = np.divide(samples, np.float32(np.iinfo(samples.dtype).max), dtype=np.float32)
        return pixels
    if not np.isfinite(samples).all():
        raise PhospheneError(
            "E_NONFINITE", f"{name} has pixels that are NaN or infinite, expected 0..1; mend them first"
        )
    pixels = samples.clip(0, 1)
    return pixels
