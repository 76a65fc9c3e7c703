"""What a maintainer has to know of a machine: nothing of it is secret, nothing that fails ends it."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from phosphene import homes, plugins, settings
from phosphene.recipe import installed

Facts = dict[str, str]
SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSW|AUTH|CREDENTIAL")
TOLD = re.compile(
    r"PHOSPHENE_|(OMP|MKL)_|CUDA_VISIBLE|PYTORCH_|TORCH|HF_|HUGGINGFACE_|XDG_(CACHE|CONFIG|DATA)_HOME|RAY_ADDRESS"
)
CORES = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pillow",
    "pyvips",
    "pyvips-binary",
    "safetensors",
    "pydantic",
)


def checked() -> Iterator[tuple[str, Facts]]:
    """(group, its facts), one after another, as they are found."""
    groups: dict[str, Callable[[], Facts]] = {
        "phosphene": ours,
        "machine": machine,
        "torch": torch,
        "libraries": libraries,
        "extras": extras,
        "pictures": pictures,
        "films": films,
        "plugins": added,
        "folders": folders,
        "settings": in_force,
        "environment": lambda: environment(os.environ),
    }
    for group, find in groups.items():
        try:
            yield group, find()
        except Exception as error:  # what is broken is what a doctor is asked for
            yield group, {"fails": _failure(error)}


def ours() -> Facts:
    return {
        "version": installed("phosphene") or "not installed",
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "at": shortened(str(Path(__file__).parents[1])),
        "program": shortened(sys.executable),
    }


def machine() -> Facts:
    import psutil  # type: ignore[import-untyped]

    from phosphene.models.device import NATIVE, native

    memory = psutil.virtual_memory()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": f"{platform.machine()}, {usable} of {os.cpu_count()} processors",
        "quick in": ", ".join(["float32", *(dtype for dtype in NATIVE if native(dtype, "cpu"))]),
        "memory": f"{_gb(memory.available)} of {_gb(memory.total)} free",
        "disk": f"{_gb(psutil.disk_usage(os.curdir).free)} free here",
    }


def torch() -> Facts:
    import torch

    from phosphene import budget
    from phosphene.models.device import present

    found = {
        "version": torch.__version__,
        "built for": f"CUDA {torch.version.cuda}" if torch.version.cuda else "the processor only",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "devices": ", ".join(present()),
    }
    for index in range(torch.cuda.device_count()):
        room = _gb(budget.free(torch.device("cuda", index)))
        found[f"cuda:{index}"] = f"{torch.cuda.get_device_name(index)}, {room} free"
    return found


def libraries() -> Facts:
    return {name: installed(name) or "missing" for name in CORES}


def extras() -> Facts:
    """What each extra asks for, and whether it is there."""
    found: dict[str, list[str]] = {}
    for line in metadata.requires("phosphene") or ():
        wanted = re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)['\"]", line)
        if wanted and wanted[2] != "dev":
            version = installed(wanted[1])
            found.setdefault(wanted[2], []).append(f"{wanted[1]} {version or 'missing'}")
    return {extra: ", ".join(names) for extra, names in found.items()}


def pictures() -> Facts:
    from phosphene.picture.libraries import abilities

    return abilities()


def films() -> Facts:
    from phosphene.film.kinds import abilities

    return abilities()


def added() -> Facts:
    """What other packages add; whether it can be loaded isn't tried."""
    return {f"{kind} {name}": whose for kind in plugins.GROUPS for name, whose in plugins.added(kind).items()}


def folders() -> Facts:
    """This user's own, with what is in them."""
    named = {"settings": homes.config(), "caches": homes.cache(), "studio": homes.data() / "studio"}
    return {name: f"{shortened(str(path))} ({_content(path)})" for name, path in named.items()}


def in_force() -> Facts:
    """Settings that aren't the defaults, with where they come from."""
    found = settings.gather({})
    return {
        name: f"{getattr(found.dream, name)!r} ({shortened(origin)})"
        for name, origin in found.origins.items()
        if origin != settings.DEFAULT
    }


def environment(variables: Mapping[str, str]) -> Facts:
    """Variables that change what happens; not those that are secrets."""
    return {
        name: "(set, not shown)" if SECRET.search(name) else shortened(value)[:300]
        for name, value in sorted(variables.items())
        if TOLD.match(name)
    }


def dreamed() -> Facts:
    """A small dream with the default network. PhospheneError, or whatever is broken."""
    import torch

    from phosphene import engine, models
    from phosphene.config import Dream

    began = time.monotonic()
    lens = models.load(Dream().model)
    loaded = time.monotonic()
    photo = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    config = Dream(seed=0, octaves=1, steps=2)
    *_, last = engine.dream(photo, models.own(lens), lens, config)
    changed = float((last.full().cpu() - photo).abs().mean())
    if not 1e-4 < changed < 0.5:
        raise RuntimeError(f"the picture changed by {changed:.3g}, expected more than 0.0001")
    return {
        "network": f"{config.model} on {lens.device}, loaded in {loaded - began:.1f} s",
        "dream": f"2 steps of 64 × 64 in {time.monotonic() - loaded:.1f} s: fine",
    }


def shortened(text: str) -> str:
    """Without the user's name where it is in a path."""
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def _failure(error: Exception) -> str:
    return shortened(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _content(folder: Path) -> str:
    if not folder.is_dir():
        return "not there"
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
