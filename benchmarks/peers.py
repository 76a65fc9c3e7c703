"""Other people's programs, from PyPI, in a folder of their own that nothing else looks into."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = str(Path(__file__).parents[1] / ".venv-peers")
PACKAGES = ("torch-dreams==4.0.0", "dreamlens==0.1.1")
NEEDED = ("opencv-python-headless", "tqdm")  # by them, besides what phosphene has: PyTorch is the same


def install(folder: str = FOLDER) -> str:
    """Have them in `folder`; '' or why not."""
    if (Path(folder) / "torch_dreams").is_dir() and (Path(folder) / "dreamlens").is_dir():
        return ""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    command += ["--no-deps", "--target", folder, *PACKAGES, *NEEDED]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        return said[-1][:200] if said else type(error).__name__
    return ""
