"""What the libraries for pictures can do on this machine."""

from __future__ import annotations

from phosphene.errors import PhospheneError
from phosphene.picture.pillow import heif_plugin
from phosphene.picture.vips import library

FEATURES = ("avif", "webp", "libjpeg_turbo", "littlecms2")


def abilities() -> dict[str, str]:
    """By name, in words."""
    from PIL import features

    vips = library()
    try:
        heif_plugin()
        heic = "is read"
    except PhospheneError as error:
        heic = str(error)
    return {
        "Pillow with": ", ".join(name for name in FEATURES if features.check(name)),
        "libvips": ".".join(str(vips.version(part)) for part in range(3)),
        "HEIC": heic,
    }
