"""What torch.compile needs besides PyTorch: a compiler, and a folder that stays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from phosphene import homes
from phosphene.errors import PhospheneError

CACHE = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def compiling(device: torch.device) -> Iterator[None]:
    """Keep what is compiled inside the `with`; E_DEVICE, in one line, where nothing can be."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    if os.environ.get(CACHE) in (None, default_cache_dir()):  # which PyTorch itself sets when imported
        os.environ[CACHE] = str(cache_folder())
    check(device)
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

    try:
        yield
    except (TorchDynamoException, CppCompileError, InvalidCxxCompiler) as error:
        said = [line.strip() for line in str(error).splitlines() if "error: " in line.lower()]
        reason = (said or [type(error).__name__])[0][:200]
        raise PhospheneError("E_DEVICE", f"compiling failed: {reason}; leave --compile out") from error


def check(device: torch.device) -> None:
    """E_DEVICE where there is no compiler for `device`."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    if device.type == "cuda" and find_spec("triton") is None:
        raise PhospheneError(
            "E_DEVICE", "--compile needs triton on a GPU; `pip install triton`, or leave --compile out"
        )
    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, OSError, RuntimeError):
        raise PhospheneError(
            "E_DEVICE",
            "--compile needs a C++ compiler, and there is none; install one (Debian and Ubuntu: "
            "apt-get install g++; macOS: xcode-select --install), or leave --compile out",
        ) from None


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where this user's compiled networks are kept."""
    return homes.cache(environment) / "compiled"


@contextmanager
def exact(wanted: bool) -> Iterator[None]:
    """Float32 convolutions on a GPU in all their bits inside the `with`, if that is wanted.

    PyTorch's own choice is TF32, with 10 bits of mantissa.
    """
    conv: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = conv.fp32_precision
    if wanted:
        conv.fp32_precision = "ieee"
    try:
        yield
    finally:
        conv.fp32_precision = before
