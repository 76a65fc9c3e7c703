"""The device that a network runs on, by name."""

from __future__ import annotations

import torch

from phosphene.errors import PhospheneError


def present() -> list[str]:
    """The devices of this machine, best first: cuda:0, cuda:1, …, mps, cpu."""
    cuda = (
        [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def pick(name: str) -> str:
    """`name`, or for 'auto' the best device there is ('cuda' is 'cuda:0'); E_DEVICE where it is absent."""
    devices = present()
    wanted = devices[0] if name == "auto" else "cuda:0" if name == "cuda" else name
    if wanted not in devices:
        raise PhospheneError(
            "E_DEVICE", f"device is {name[:80]!r}, expected auto or one of {', '.join(devices)}"
        )
    return wanted
