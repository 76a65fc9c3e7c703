"""A folder in transformers' format: where it is, and the weights in it, read by `weights.read` alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from phosphene.errors import PhospheneError
from phosphene.models import weights
from phosphene.models.sources import Given, hub

FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
MAX_JSON = 50_000_000  # bytes


def find(rest: str) -> Path:
    """The folder `rest`, or that of a network of this name in the hub's cache on this machine."""
    path = Path(rest).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise PhospheneError(
                "E_MODEL", f"{rest[:300]!r} has no config.json, expected a folder of transformers' format"
            )
        return path
    if not hub.NAME.fullmatch(rest):
        raise PhospheneError("E_MODEL", f"hf:{rest[:300]}: there is no such folder")
    found = hub.snapshot(rest)
    if found is None or not (found / "config.json").is_file():
        raise PhospheneError(
            "E_WEIGHTS",
            f"hf:{rest[:200]} is neither a folder nor in this machine's cache of the hub; download it "
            f"yourself, as by `hf download {rest[:200]}`, or give the folder that has it, hf:/path",
        )
    return found


def state_of(folder: Path, file: str, given: Given, rest: str) -> tuple[dict[str, Tensor] | None, str, str]:
    """Weights by name, their digest and where they are from; None for random ones."""
    if file:
        return *weights.read(file), file
    for name in FILES:
        if not (folder / name).is_file():
            continue
        if not name.endswith(".json"):
            return *weights.read(folder / name), str(folder / name)
        state: dict[str, Tensor] = {}
        digest = hashlib.sha256()
        shards = json_of(folder / name).get("weight_map", {})
        for shard in sorted({str(part) for part in shards.values()} if isinstance(shards, dict) else ()):
            if Path(shard).name != shard:
                raise PhospheneError(
                    "E_WEIGHTS",
                    f"{str(folder / name)[:300]!r} names {shard[:80]!r}, expected files beside it",
                )
            part, sha256 = weights.read(folder / shard)
            state |= part
            digest.update(sha256.encode())
        return state, digest.hexdigest(), str(folder / name)
    if given.untrained:
        return None, "", ""
    raise PhospheneError(
        "E_WEIGHTS", f"hf:{rest[:200]} has no model.safetensors; give the file that you have: --weights FILE"
    )


def json_of(path: Path) -> dict[str, Any]:
    """The object in a JSON file that may come from anywhere; E_MODEL if there is none."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > MAX_JSON:
            raise ValueError("it is too large")
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PhospheneError("E_MODEL", f"{str(path)[:300]!r} is no JSON ({line(error)})") from None
    if not isinstance(found, dict):
        raise PhospheneError("E_MODEL", f"{str(path)[:300]!r} is no JSON object")
    return found


def line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:200]
