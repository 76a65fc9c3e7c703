"""The state of a run in a file: a safetensors file with the rest as JSON among its metadata.

It appears whole or not at all, and is checked by its hash when it is read. Nothing in it is ever
run: numbers, text and tensors are all that it can hold.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.canvas import Disk
from phosphene.errors import PhospheneError
from phosphene.picture import atomic, shown

VERSION = "1"
VERSIONED, TEXT, HASH = "phosphene_checkpoint", "run", "sha256"
MAX_CHARACTERS = 4_000_000
ROWS = ".rows"  # at the end of the name of a picture that is read in windows
DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16"}
DTYPES |= {torch.int64: "I64", torch.uint8: "U8"}


def save(path: str | Path, state: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Write a frame's `state()` to `path`, with what tells its run from others: JSON values by name.

    An older checkpoint is replaced in one step. Raises E_OUTPUT and E_DISK, and then leaves it as it was.
    """
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor | Disk)}
    rest = {name: value for name, value in state.items() if name not in tensors}
    text = json.dumps({"identity": dict(identity), "state": rest})
    parts = {
        name + (ROWS if isinstance(value, Disk) else ""): value for name, value in sorted(tensors.items())
    }
    header: dict[str, Any] = {"__metadata__": {VERSIONED: VERSION, TEXT: text, HASH: "0" * 64}}
    end = 0
    for name, part in parts.items():
        dtype, shape = _kind(part)
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": DTYPES[dtype], "shape": shape, "data_offsets": [start, end]}
    head = _head(header)
    digest = _begun(text)
    with atomic.write(path, overwrite=True) as file:
        file.write(head)
        for name, part in parts.items():  # not by the library, which would copy them all first
            for block in _blocks(name, part):
                digest.update(block)
                if isinstance(block, memoryview):
                    file.write(block)
        header["__metadata__"][HASH] = digest.hexdigest()
        file.seek(0)
        file.write(_head(header))


def _head(header: Mapping[str, Any]) -> bytes:
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)  # so that the tensors are aligned
    return len(head).to_bytes(8, "little") + head


def load(path: str | Path, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The state in `path`, for `dream(..., resume=)`; E_CHECKPOINT for a damaged file or another run's."""
    run, tensors = _read(path, with_tensors=True)
    differing = differences(run["identity"], identity)
    if differing:
        raise PhospheneError(
            "E_CHECKPOINT",
            f"{shown(path)} is of another run ({'; '.join(differing)}); "
            "go on with what it began with, or delete it to begin anew",
        )
    return {**run["state"], **tensors}


def identity_of(path: str | Path) -> dict[str, Any]:
    """What tells the run in `path` from others, without reading its pictures; E_CHECKPOINT as in `load`."""
    found: dict[str, Any] = _read(path, with_tensors=False)[0]["identity"]
    return found


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is other in two identities: 'steps: then 10, now 20'."""
    return [
        f"{name[:200]}: then {_brief(then.get(name))}, now {_brief(now.get(name))}"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    ]


def _brief(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return f"{text[:60]}…" if len(text) > 80 else text


def _read(path: str | Path, *, with_tensors: bool) -> tuple[dict[str, Any], dict[str, Tensor | Disk]]:
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):  # noqa: PTH113 (Path's raises for names that are too long)
        raise _refusal(path, "is no file")
    tensors: dict[str, Tensor | Disk] = {}
    try:
        with safe_open(path, "pt") as file:
            about = dict(file.metadata() or {})
            for name in sorted(file.keys()) if with_tensors else ():
                if name.endswith(ROWS):  # stays in the file, which lives as long as it is open
                    tensors[name.removesuffix(ROWS)] = _on_disk(path, name)
                else:  # a copy: the file is mapped, and may change once it is closed
                    tensors[name] = file.get_tensor(name).clone()
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, MemoryError) as error:
        raise _refusal(path, f"is damaged, or no checkpoint ({str(error)[:200]})") from None
    if VERSIONED not in about:
        raise _refusal(path, "is no checkpoint of phosphene")
    if about[VERSIONED] != VERSION:
        raise _refusal(path, f"is of format {about[VERSIONED]!r:.40}, expected {VERSION!r}")
    text = about.get(TEXT, "")
    if with_tensors and about.get(HASH) != _sha256(text, tensors):
        raise _refusal(path, "is damaged: its hash isn't the recorded one")
    try:
        run = json.loads(text) if len(text) <= MAX_CHARACTERS else None
    except (ValueError, RecursionError):
        run = None
    if not isinstance(run, dict) or not all(
        isinstance(run.get(part), dict) for part in ("identity", "state")
    ):
        raise _refusal(path, "is damaged: it says nothing about its run")
    return run, tensors


def _refusal(path: str | Path, what: str) -> PhospheneError:
    return PhospheneError("E_CHECKPOINT", f"{shown(path)} {what}; delete it, or name another file")


def _on_disk(path: str | Path, name: str) -> Disk:
    """A picture in a checkpoint, read from there in windows."""
    with Path(path).open("rb", buffering=0) as file:
        length = int.from_bytes(file.read(8), "little")
        about = json.loads(file.read(length))[name]
        count, height, width, channels = about["shape"]
        if about["dtype"] != "F32":
            raise ValueError("a picture of another kind")
        offset = 8 + length + about["data_offsets"][0]
        return Disk(file, (count, channels, height, width), Path(path).parent, offset=offset)


def _kind(part: Tensor | Disk) -> tuple[torch.dtype, list[int]]:
    """Its type and shape in the file: pictures on disk are interleaved."""
    if isinstance(part, Tensor):
        return part.dtype, list(part.shape)
    count, channels, height, width = part.shape
    return torch.float32, [count, height, width, channels]


def _begun(text: str) -> hashlib._Hash:
    return hashlib.sha256(text.encode(errors="surrogatepass"))


def _sha256(text: str, tensors: Mapping[str, Tensor | Disk]) -> str:
    digest = _begun(text)
    for name, part in tensors.items():
        for block in _blocks(name + (ROWS if isinstance(part, Disk) else ""), part):
            digest.update(block)
    return digest.hexdigest()


def _blocks(name: str, part: Tensor | Disk) -> Iterator[bytes | memoryview]:
    """What is hashed of a part: what it is, then, as memory views, its bytes."""
    dtype, shape = _kind(part)
    yield f"{name} {dtype} {shape}".encode()
    if isinstance(part, Disk):
        yield from part.blocks()
    else:
        yield part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
