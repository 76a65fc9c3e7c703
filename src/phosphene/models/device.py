"""The device that a network runs on, by name."""

from __future__ import annotations

from pathlib import Path

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


NATIVE = {  # the names under which a processor says that it has such arithmetic of its own
    "bfloat16": {"avx512_bf16", "amx_bf16", "arm_bf16", "bf16", "sve_bf16", "avx10_2"},
    "float16": {"avx512_fp16", "amx_fp16", "fp16_arith", "asimdhp", "avx10_1", "avx10_2"},
}


def arithmetic(dtype: str, device: str) -> tuple[str, tuple[str, ...]]:
    """The dtype to calculate in on a device, and a note where that isn't the one that was asked for.

    A dtype that the processor only imitates is slower than float32, and less exact.
    """
    if dtype not in NATIVE or native(dtype, device):
        return dtype, ()
    what = "this processor" if device == "cpu" else device
    return "float32", (
        f"--dtype {dtype} will not help: {what} has no {dtype} arithmetic of its own; staying in float32",
    )


def native(dtype: str, device: str) -> bool:
    """Whether `device` calculates in `dtype` (bfloat16 or float16) itself."""
    if device == "cpu":
        return not NATIVE[dtype].isdisjoint(capabilities())
    if device.startswith("cuda") and dtype == "bfloat16":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True


def capabilities() -> frozenset[str]:
    """What the processor can do, by the names of PyTorch and of Linux."""
    found = {name for name, has in getattr(torch.cpu, "get_capabilities", dict)().items() if has is True}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return frozenset(found.union(line.partition(":")[2].split()))
    except (OSError, ValueError):  # not Linux
        pass
    return frozenset(found)
