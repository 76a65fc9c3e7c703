"""The state of a run in a file: a safetensors file with the rest as JSON among its metadata.

It appears whole or not at all, and is checked by its hash when it is read. Nothing in it is ever
run: numbers, text and tensors are all that it can hold.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.errors import PhospheneError
from phosphene.picture import atomic, shown

VERSION = "1"
VERSIONED, TEXT, HASH = "phosphene_checkpoint", "run", "sha256"
MAX_CHARACTERS = 4_000_000
DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16"}


def save(path: str | Path, state: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Write a frame's `state()` to `path`, with what tells its run from others: JSON values by name.

    An older checkpoint is replaced in one step. Raises E_OUTPUT and E_DISK, and then leaves it as it was.
    """
    tensors = {
        name: value.contiguous().cpu() for name, value in sorted(state.items()) if isinstance(value, Tensor)
    }
    rest = {name: value for name, value in state.items() if name not in tensors}
    text = json.dumps({"identity": dict(identity), "state": rest})
    header: dict[str, Any] = {"__metadata__": {VERSIONED: VERSION, TEXT: text, HASH: _sha256(text, tensors)}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)  # so that the tensors are aligned
    with atomic.write(path, overwrite=True) as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for tensor in tensors.values():  # not by the library, which would copy them all first
            file.write(_bytes(tensor))


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


def _read(path: str | Path, *, with_tensors: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):  # noqa: PTH113 (Path's raises for names that are too long)
        raise _refusal(path, "is no file")
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(path, "pt") as file:
            about = dict(file.metadata() or {})
            if with_tensors:  # copies: the file is mapped, and may change once it is closed
                tensors = {name: file.get_tensor(name).clone() for name in sorted(file.keys())}
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


def _sha256(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode(errors="surrogatepass"))
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().reshape(-1).view(torch.uint8).numpy().data
