"""Weights from their publishers: what is published, where it is kept, and whether it is here.

Nothing is ever downloaded but by `fetch`, which `phosphene models pull` alone calls. A digest is the
publisher's: the one in torchvision's file names (`googlenet-1378be20.pth`: its SHA-256 begins with
1378be20), or that of the Caffe model zoo's readme. Whatever is used from here is checked against it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from phosphene import homes
from phosphene.errors import PhospheneError, nearest

MIB = 2**20
TORCHVISION = (
    "none stated for the weights (torchvision's code is BSD-3-Clause; they were trained on ImageNet, "
    "whose terms may apply)"
)


@dataclass(frozen=True)
class Published:
    """A file with weights as its publisher describes it."""

    name: str
    url: str
    size: int  # bytes, as exactly as the publisher says it; 0: not said
    licence: str
    algorithm: str = ""  # of the digest, as hashlib calls it; '': none published
    digest: str = ""  # hexadecimal; what the file's digest begins with

    @property
    def file(self) -> str:
        """The publisher's name of the file."""
        return self.url.rpartition("/")[2]

    @property
    def digest_words(self) -> str:
        if not self.digest:
            return "none published"
        whole = len(self.digest) == 2 * hashlib.new(self.algorithm, usedforsecurity=False).digest_size
        name = {"sha1": "SHA-1", "sha256": "SHA-256"}[self.algorithm]
        return f"{name} {self.digest}" if whole else f"{name} begins with {self.digest}"

    @property
    def most(self) -> int:
        """Bytes: no file of this name is larger."""
        return self.size + self.size // 100 + 4096 if self.size else 8 * 2**30


def _torchvision(name: str, file: str, mib: float) -> Published:
    url, digest = f"https://download.pytorch.org/models/{file}", re.search(r"-([0-9a-f]{8,})\.", file)
    of_digest = ("sha256", digest[1]) if digest else ()
    return Published(f"torchvision:{name}", url, round(mib * MIB), TORCHVISION, *of_digest)


PUBLISHED: Mapping[str, Published] = {
    entry.name: entry
    for entry in (
        _torchvision("googlenet", "googlenet-1378be20.pth", 49.731),
        _torchvision("inception_v3", "inception_v3_google-0cc3c7bd.pth", 103.903),
        _torchvision("vgg16", "vgg16-397923af.pth", 527.796),
        _torchvision("vgg19", "vgg19-dcbb9e9d.pth", 548.051),
        _torchvision("resnet50", "resnet50-0676ba61.pth", 97.781),
        Published(
            "bvlc_googlenet",
            "http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
            0,
            "unrestricted (its readme: “released for unrestricted use”)",
            "sha1",
            "405fc5acd08a3bb12de8ee5e23a96bec22f08204",
        ),
    )
}


def published(name: str) -> Published:
    """What is published under `name`; E_MODEL where nothing is known of it."""
    if name in PUBLISHED:
        return PUBLISHED[name]
    near = ", ".join(nearest(name[:200], list(PUBLISHED), 6))
    raise PhospheneError(
        "E_MODEL",
        f"there is nothing known to pull for {name[:200]!r}; it can be {near}; for others give the file "
        "that you have with --weights",
    )


def store(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for pulled weights."""
    return homes.cache(environment) / "models"


def hub(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder where PyTorch itself keeps what it has downloaded."""
    cache = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(environment.get("TORCH_HOME") or Path(cache) / "torch").expanduser() / "hub" / "checkpoints"


def places(entry: Published) -> tuple[Path, ...]:
    """Where its file may be: pulled, or in PyTorch's own cache."""
    return store() / entry.file, hub() / entry.file


def cached(name: str) -> str:
    """The file on this machine with the published weights of `name`, '' if there is none.

    A file counts only if its digest is the publisher's. Names beyond `PUBLISHED` are looked for in
    PyTorch's own cache, if they are torchvision's.
    """
    for entry in (PUBLISHED[name],) if name in PUBLISHED else ():
        for path in places(entry):
            if right(path, entry):
                return str(path)
    begins = name.partition(":")[2]
    if not begins.isidentifier() or not any(hub().glob(f"{begins}*")):
        return ""  # without importing torchvision
    for entry in torchvision_entries(name):
        if entry.digest and right(hub() / entry.file, entry):
            return str(hub() / entry.file)
    return ""


def torchvision_entries(name: str) -> list[Published]:
    """The plain ImageNet weights of `torchvision:…` in the installed torchvision, its default first."""
    library, _, architecture = name.partition(":")
    if library != "torchvision" or not architecture.isidentifier():
        return []
    from torchvision.models import get_model_weights

    try:
        kinds = [kind for kind in get_model_weights(architecture) if kind.name.startswith("IMAGENET1K_V")]
    except (ValueError, KeyError):
        return []
    return [
        _torchvision(architecture, kind.url.rpartition("/")[2], kind.meta["_file_size"])
        for kind in sorted(kinds, key=lambda kind: str(kind.name), reverse=True)
    ]


def seems_here(name: str) -> str:
    """Like `cached`, at a glance: by the file's name and size, for lists."""
    for path in places(PUBLISHED[name]) if name in PUBLISHED else ():
        if path.is_file() and abs(path.stat().st_size - (PUBLISHED[name].size or path.stat().st_size)) < MIB:
            return str(path)
    return ""


def right(path: Path, entry: Published) -> bool:
    """Whether the file is there and has the publisher's digest, if one is published."""
    try:
        found = path.stat()
        if not path.is_file() or not entry.digest:
            return path.is_file()
        digest = _digest(path, entry.algorithm, found.st_size, found.st_mtime_ns)
    except OSError:
        return False
    return digest.startswith(entry.digest)


@lru_cache(maxsize=64)
def _digest(path: Path, algorithm: str, _size: int, _time: int) -> str:
    return digest_of(path, algorithm)


def digest_of(path: Path, algorithm: str) -> str:
    """The digest of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.new, algorithm, usedforsecurity=False)).hexdigest()
