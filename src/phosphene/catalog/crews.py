"""How many workers of which kind a cluster has room for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Crew:
    """So many workers, what each takes of the cluster, and what its task is given besides."""

    count: int
    cpus: float = 1.0
    gpus: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)


def crews_for(
    resources: Mapping[str, float],
    workers: int = 0,
    *,
    most: int = 0,
    threads: int = 1,
    share: float = 1.0,
    device: str = "auto",
) -> list[Crew]:
    """Workers for all that a cluster has: the GPUs' first, then one for each processor that is left.

    `workers` of them where it isn't 0, even if some must wait for room; never more than `most`. A GPU has
    room for 1 / `share`. `device` leaves out those of the other kind.
    """
    cpus, devices = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    wanted = min(workers or 10**6, most or 10**6)
    room = max(1, int(devices / share + 1e-6)) if device.startswith("cuda") else int(devices / share + 1e-6)
    with_gpu = 0 if device in ("cpu", "mps") else min(wanted, room)
    helped = min(1.0, cpus / max(1, with_gpu))  # a processor for each, or a part of one
    room = max(int((cpus - with_gpu * helped) // threads), 1 - with_gpu)
    without = 0 if device.startswith("cuda") else wanted - with_gpu
    if not workers:
        without = min(without, room)
    found = [
        Crew(with_gpu, helped, share, {"device": "cuda"}),
        Crew(without, float(threads), 0.0, {"device": "cpu"} if with_gpu else {}),
    ]
    return [crew for crew in found if crew.count > 0]
