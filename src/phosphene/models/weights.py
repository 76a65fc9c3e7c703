"""Weights from files that may come from anywhere: nothing in them is ever run.

The kind of a file is decided by its first bytes. Safetensors go through their library; PyTorch's
files through `torch.load(weights_only=True)`, after the zip's directory has shown that there is a
state dict in it and nothing else; Caffe's through `caffemodel`.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.errors import PhospheneError
from phosphene.models import caffemodel

ZIP = b"PK\x03\x04"
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6: a pickled magic number
STATE_DICT_ENTRY = re.compile(
    r"[^/]+/(data\.pkl|data/\d+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id)"
)
FOREIGN = re.compile(r"Unsupported global: GLOBAL (\S{1,80})")  # PyTorch's word for what is no tensor
NESTS = ("state_dict", "model_state_dict", "model")
MAX_HEADER = 100_000_000  # bytes of a safetensors header, as its library has it


def read(file: str | Path) -> tuple[dict[str, Tensor], str]:
    """The tensors in `file` by name, and the SHA-256 of its bytes; E_WEIGHTS for everything else."""
    path = Path(file).expanduser()
    try:
        if not path.is_file():
            raise refusal(path, instead_of_file(path), "a file with weights")
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            head = stream.read(16)
        size = path.stat().st_size
        state = tensors(loader(path, head)(path), path)
    except OSError as error:
        raise refusal(path, error.strerror or type(error).__name__, "a readable file") from None
    check(state, size, path)
    return state, sha256


def instead_of_file(path: Path) -> str:
    if path.is_dir():
        return "is a folder"
    return "is no plain file" if path.exists() else "there is no such file"


def refusal(
    path: str | Path, got: str, expected: str = "safetensors, a PyTorch state dict or a caffemodel"
) -> PhospheneError:
    return PhospheneError("E_WEIGHTS", f"{str(path)[:300]!r}: {got}, expected {expected}")


def loader(path: Path, head: bytes) -> Callable[[Path], Any]:
    """What reads a file that begins with `head`."""
    if head[8:9] == b"{":
        return safetensors
    if head.startswith(ZIP):
        return zipped
    if head.startswith(LEGACY):
        return pickled
    if head.startswith(caffemodel.STARTS):
        return caffemodel.read
    if head.startswith(b"\x80"):
        raise refusal(path, "a pickle, which could hold anything")
    raise refusal(path, f"starts with {head!r}" if head else "is empty")


def safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, ValueError, KeyError, RuntimeError, MemoryError) as error:
        raise refusal(
            path, f"broken safetensors ({str(error)[:200]})", "a whole file; get it again"
        ) from None
    return state


def said(file: str | Path) -> dict[str, str]:
    """What a safetensors file's metadata say, such as mean and std; {} of every other file."""
    path = Path(file).expanduser()
    if not file or not path.is_file():
        return {}
    with path.open("rb") as stream:
        head = stream.read(9)
        length = int.from_bytes(head[:8], "little")
        if head[8:] != b"{" or length > min(MAX_HEADER, path.stat().st_size):
            return {}
        header = json.loads(b"{" + stream.read(length - 1))
    found = header.get("__metadata__") if isinstance(header, dict) else None
    return {str(key): value for key, value in (found or {}).items() if isinstance(value, str)}


def zipped(path: Path) -> Any:
    """PyTorch's zip, if its directory names nothing but the parts of a stored, uncompressed state dict."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise refusal(path, f"a broken zip ({error})", "a whole file; get it again") from None
    names = [entry.filename for entry in entries]
    if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
        raise refusal(path, "a TorchScript archive, which is a program", "weights: save its state_dict()")
    for name in names:
        if not STATE_DICT_ENTRY.fullmatch(name):
            raise refusal(
                path, f"an archive with {name[:80]!r} in it", "weights: save the model's state_dict()"
            )
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > path.stat().st_size:  # torch.save stores, it never compresses
        raise refusal(
            path, f"a zip that unpacks to {unpacked} bytes", "a state dict, which is stored uncompressed"
        )
    return pickled(path)


def pickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a hostile file may raise anything
        if foreign := FOREIGN.search(str(error)):
            raise refusal(
                path,
                f"not only weights, but a {foreign[1]} too, which could be any code",
                "tensors alone, as of torch.save(network.state_dict(), FILE)",
            ) from None
        reason = str(error).rpartition("WeightsUnpickler error: ")[2].partition("\n")[0][:200]
        raise refusal(
            path, f"not only weights, or broken ({reason})", "a state dict or safetensors"
        ) from None


def tensors(payload: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what a file holds, which may have it under 'state_dict' or 'model'."""
    for _ in NESTS:
        for nest in NESTS:
            if isinstance(payload, Mapping) and isinstance(payload.get(nest), Mapping):
                payload = payload[nest]
    found = payload.items() if isinstance(payload, Mapping) else ()
    state = {str(key): value.detach() for key, value in found if isinstance(value, Tensor)}
    if not state:
        raise refusal(path, f"no weights in it ({type(payload).__name__})", "a state dict: tensors by name")
    return state


def check(state: dict[str, Tensor], size: int, path: Path) -> None:
    """Refuse what is no plain array of finite numbers, or claims to be larger than its file."""
    for key, array in state.items():
        dense = array.device.type == "cpu" and array.layout == torch.strided and not array.is_quantized
        if not dense or array.is_complex():
            raise refusal(path, f"{key[:200]} is no plain array", "dense real tensors")
    if sum(array.numel() * array.element_size() for array in state.values()) > 4 * size:
        raise refusal(path, "tensors that are larger than the file", "the weights as they are")
    for key, array in state.items():
        if not bool(torch.isfinite(array.float()).all()):
            raise refusal(path, f"NaN or infinity in {key[:200]}", "finite weights")
