"""How much memory a run may take: what was asked for, what is free, what the control group allows."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch

from phosphene.errors import PhospheneError

resource: Any = None
with suppress(ImportError):  # Windows has none
    import resource

SHARE = 0.8  # of what is free, where no limit was asked for
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
BINARY = {f"{unit}i": 1 << 10 * power for power, unit in enumerate("kmgt", 1)}
SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([kmgt]i?)?b?", re.ASCII | re.IGNORECASE)


def limit(max_memory: str, device: torch.device) -> int:
    """The bytes that this process may hold on `device`, whatever it holds already.

    `max_memory` is text such as '2GB'; '' is most of what is free now.
    """
    return parsed(max_memory) if max_memory else int(held(device) + SHARE * free(device))


def parsed(text: str) -> int:
    """'500MB', '2 GiB' or '1.5g' in bytes: powers of ten, or of two with an i."""
    found = SIZE.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise PhospheneError("E_PARAM", f"max_memory is {text[:40]!r}, expected a size such as 2GB or 500MB")
    return int(float(found[1]) * {**UNITS, **BINARY}[(found[2] or "").lower()])


def held(device: torch.device) -> int:
    """Bytes that this process holds now: of the GPU's tensors, else of the machine's memory."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return int(psutil.Process().memory_info().rss)


def highest(device: torch.device) -> int:
    """The most bytes that this process has held at a time, as `held` counts them."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if resource is None:  # Windows
        return int(psutil.Process().memory_info().peak_wset)
    own = _peak_line(Path("/proc/self/status"))
    if own:
        return own
    peak = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_line(status: Path) -> int:
    """The peak that Linux keeps for this program alone; rusage has its parent's too, from before it began."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def free(device: torch.device) -> int:
    """Bytes that could be had now."""
    if device.type == "cuda":
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + idle
    return min([int(psutil.virtual_memory().available), *group_room(Path("/"))])


def group_room(root: Path) -> Iterator[int]:
    """What each control group around this process still allows, version 1 and 2; none where unlimited."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if not controllers:
            base, most, used = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, most, used = (
                root / "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        else:
            continue
        group = base / place.lstrip("/")
        for folder in (group, *group.parents):
            limit = _number(folder / most)
            if limit is not None and limit < 1 << 60:  # version 1 writes "no limit" as almost 2**63
                yield max(0, limit - max(0, (_number(folder / used) or 0) - _reclaimable(folder)))
            if folder == base:
                break


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max", or no such file inside a container
        return None


def _reclaimable(folder: Path) -> int:
    """Bytes of files that the kernel gives up when memory is short."""
    try:
        stats = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines())
        return int(stats.get("total_inactive_file", stats.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0
