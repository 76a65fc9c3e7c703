"""Colour: whatever space a file is in becomes RGB, and an RGB profile is kept for the output.

RGB values are left alone, as the dream should come out in the photo's own colour space; grey,
CMYK and Lab become sRGB.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.picture.raster import Raster

MAX_PROFILE = 4 * 2**20  # bytes; profiles of printers have 2 MB, of cameras and screens a few kB

BAD_PROFILE = "its colour profile is damaged or too large: sRGB is assumed"

KINDS = {b"RGB ": "rgb", b"GRAY": "grey", b"CMYK": "cmyk", b"Lab ": "lab"}
NAMES = {"rgb": "RGB", "grey": "grey", "cmyk": "CMYK", "lab": "Lab"}


def profile_kind(icc: bytes) -> str:
    """The space an ICC profile is for: rgb, grey, cmyk or lab; "" where it is too large or damaged."""
    if not 132 <= len(icc) <= MAX_PROFILE or icc[36:40] != b"acsp":
        return ""
    kind = KINDS.get(icc[16:20], "")
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if kind == "rgb":  # kept, never used here: see that others will be able to use it
            ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return ""
    return kind


def to_rgb(raster: Raster) -> bytes | None:
    """Bring `raster` to RGB or grey samples in place; returns their RGB profile, None for sRGB.

    Says in `raster.notes` what was converted or had to be ignored.
    """
    icc = raster.icc
    kind = profile_kind(icc) if icc else ""
    if icc and not kind:
        raster.notes.append(BAD_PROFILE)
    elif icc and kind not in (raster.space, "rgb" if raster.space == "grey" else raster.space):
        raster.notes.append(
            f"its colour profile is for {NAMES[kind]}, not {NAMES[raster.space]}, and is ignored"
        )
        kind = ""
    if raster.space == "lab":
        from phosphene.picture.vips import lab_to_srgb

        raster.samples = lab_to_srgb(raster.samples)
        raster.notes.append("Lab converted to sRGB")
    elif raster.space == "cmyk" or kind == "grey":
        convert(raster, icc if kind == raster.space else None)
    raster.space = "rgb"
    return icc if kind == "rgb" else None


def convert(raster: Raster, icc: bytes | None) -> None:
    """Grey or CMYK samples to sRGB by their profile; by the plain formula where there is none that works."""
    name = NAMES[raster.space]
    if icc and raster.samples.dtype.kind == "u":
        from phosphene.picture.vips import library, profile_to_srgb

        try:
            raster.samples = profile_to_srgb(raster.samples, raster.space, icc)
            raster.notes.append(f"{name} converted to sRGB by its colour profile")
            return
        except library().Error:
            raster.notes.append("its colour profile is damaged and ignored")
    if raster.space == "cmyk":
        raster.samples = plain_rgb(raster.samples)
        raster.notes.append("CMYK without a colour profile converted to sRGB by the plain formula")
    elif icc and raster.samples.dtype.kind == "f":
        raster.notes.append("its grey colour profile is ignored")


def plain_rgb(cmyk: NDArray[Any]) -> NDArray[np.float32]:
    """CMYK [H, W, 4] of uint8, uint16 or floats as RGB [H, W, 3] floats in 0..1: (1 - ink)(1 - black)."""
    top = np.iinfo(cmyk.dtype).max if cmyk.dtype.kind == "u" else 1
    ink = np.divide(cmyk, np.float32(top), dtype=np.float32)
    rgb: NDArray[np.float32] = (1 - ink[..., :3]) * (1 - ink[..., 3:])
    return rgb
