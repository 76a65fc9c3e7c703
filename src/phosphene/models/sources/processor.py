"""What a folder of transformers' says of a network's input: its image processor, read as data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phosphene.errors import PhospheneError

MAX_JSON = 1_000_000  # bytes
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Preparation:
    """A lens's terms; `mean` and `std` are () where nothing says them, `size` 0."""

    mean: Numbers = ()
    std: Numbers = ()
    scale: float = 1.0
    channel_order: str = "rgb"
    size: int = 0


def read(folder: Path, library: Any) -> Preparation:
    """The preparation that the processor in `folder` makes; an empty one if there is none."""
    said = _json(folder / "preprocessor_config.json") or _json(folder / "processor_config.json").get(
        "image_processor"
    )
    if not isinstance(said, Mapping) or not said:
        return Preparation()
    if not {"image_mean", "image_std"} <= said.keys():  # older files leave to the class what it always does
        said = {**_defaults(folder, library), **said}
    scale = 255 * float(_number(said.get("rescale_factor", 1 / 255)))
    if said.get("do_rescale", True) is False:
        scale = 255.0
    mean, std = _row(said.get("image_mean")), _row(said.get("image_std"))
    if said.get("do_normalize", True) is False:
        mean, std = (0.0,), (1.0,)
    if said.get("rescale_offset"):
        mean = tuple(value + 1 for value in mean)
    if any(value <= 0 for value in std) or scale <= 0:
        raise PhospheneError(
            "E_MODEL", f"{str(folder)[:300]!r}: the image processor has a scale that isn't above 0"
        )
    order = "bgr" if said.get("do_flip_channel_order") else "rgb"
    crops = said.get("do_center_crop") and said.get("crop_size")
    return Preparation(mean, std, round(scale, 12), order, _side(crops or said.get("size")))


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8")) if path.stat().st_size < MAX_JSON else None
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise PhospheneError(
            "E_MODEL", f"{str(path)[:300]!r} is no JSON object, expected an image processor's"
        )
    return found


def _defaults(folder: Path, library: Any) -> dict[str, Any]:
    try:
        made = library.AutoImageProcessor.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
        return {key: value for key, value in made.to_dict().items() if value is not None}
    except Exception:  # then the user has to say it
        return {}


def _row(values: Any) -> Numbers:
    values = values if isinstance(values, (list, tuple)) else [] if values is None else [values]
    return tuple(_number(value) for value in values)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise PhospheneError("E_MODEL", f"the image processor says {str(value)[:80]!r}, expected a number")
    return float(value)


def _side(size: Any) -> int:
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    return size if isinstance(size, int) and not isinstance(size, bool) else 0
