"""Pictures that a name stands for: one file, or all in a folder."""

from __future__ import annotations

from pathlib import Path

from phosphene.errors import PhospheneError

KINDS = "png jpg jpeg jfif webp avif tif tiff heic heif gif bmp"
SUFFIXES = frozenset(f".{kind}" for kind in KINDS.split())
MOST = 10_000
CATALOG = "manifest.sqlite"  # lies in a catalog's folder


def pictures(name: str | Path) -> list[Path]:
    """The file itself, or the pictures that lie in a folder, by name, without those in its folders.

    E_INPUT where there are none, or more than 10,000.
    """
    place = Path(name)
    try:
        if not place.is_dir():
            return [place]
        found = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhospheneError("E_INPUT", f"{name}: {reason}; give a folder that can be read") from None
    if not 0 < len(found) <= MOST:
        raise PhospheneError("E_INPUT", f"{name} has {len(found)} pictures in it, expected 1 to {MOST}")
    return found
