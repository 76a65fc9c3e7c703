"""What visitors leave of the disk, whoever they are: some of it stays free for everybody else."""

from __future__ import annotations

import shutil
from pathlib import Path

from phosphene.errors import PhospheneError

SHARE, MOST = 0.05, 500_000_000  # of the disk, and bytes at most


def check(folder: Path) -> None:
    """E_DISK where less than that is free."""
    disk = shutil.disk_usage(folder)
    if disk.free < min(SHARE * disk.total, MOST):
        raise PhospheneError(
            "E_DISK",
            f"{disk.free / 1e6:.0f} MB of the studio's disk are free, too little; delete what isn't needed",
        )
