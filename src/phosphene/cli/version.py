"""`phosphene --version`."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

from phosphene.recipe import installed


def versions() -> str:
    """The versions that matter, found without importing torch."""
    return (
        f"phosphene {installed('phosphene') or '(not installed)'}\n"
        f"torch {installed('torch') or 'missing'} ({cuda()}), Python {platform.python_version()}"
    )


def cuda() -> str:
    """What torch was built for, read from the small file in which torch says so."""
    torch = importlib.util.find_spec("torch")
    if not torch or not torch.origin:
        return "no torch"
    spec = importlib.util.spec_from_file_location("torch_version", Path(torch.origin).with_name("version.py"))
    if not spec or not spec.loader:
        return "unknown build"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return f"CUDA {module.cuda}" if module.cuda else "CPU only"
