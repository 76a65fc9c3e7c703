"""`torchvision:NAME`: its architectures, and what its weights' own `transforms()` say of the input."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torchvision
from torch import nn

from phosphene.errors import PhospheneError, nearest
from phosphene.models import architecture
from phosphene.models.anysize import any_size
from phosphene.models.sources import Built, Given

KINDS = ("detection", "optical_flow", "quantization", "video")  # these look at no single float picture
DIGEST = re.compile(r"-([0-9a-f]{8,64})\.pth$")
AS_TRAINED = {  # what the builders do when they are given weights
    "init_weights": False,
    "aux_logits": False,  # its heads are for training only
    "transform_input": True,  # takes ImageNet's mean and std, and makes its own of them
    "weights_backbone": None,  # else it would be downloaded
}


def build(rest: str, weights: str, given: Given) -> Built:
    """torchvision's network `rest` with the weights of a file."""
    builder = known(rest)
    name = f"torchvision:{rest}"
    fixed = options(builder)

    def make(**more: Any) -> nn.Module:
        module: nn.Module = builder(weights=None, **fixed, **more)
        return module

    made = architecture.filled(name, weights, given, make)
    entries = list(torchvision.models.get_model_weights(builder))
    entry = published(entries, made.sha256)
    chosen: Any = entry or (entries[0].DEFAULT if entries else None)
    transforms = chosen.transforms() if chosen else None
    module, patch, prefix = any_size(made.module)
    categories = tuple(chosen.meta.get("categories", ())) if chosen else ()
    return Built(
        module,
        mean=tuple(getattr(transforms, "mean", ())),
        std=tuple(getattr(transforms, "std", ())),
        classes=categories if len(categories) == made.classes else (),
        head=made.head,
        weights_sha256=made.sha256,
        notes=made.notes,
        size=(*getattr(transforms, "crop_size", ()), 224)[0],
        patch=patch,
        prefix=prefix,
        exact=entry is not None,
    )


def known(name: str) -> Any:
    """The function that builds the network `name`; E_MODEL."""
    names = torchvision.models.list_models()
    if name not in names:
        near = ", ".join(f"torchvision:{other}" for other in nearest(name[:200], names, 3))
        raise PhospheneError("E_MODEL", f"torchvision has no network {name[:200]!r}; the nearest are {near}")
    builder = torchvision.models.get_model_builder(name)
    for kind in KINDS:
        if f".{kind}" in builder.__module__:
            raise PhospheneError(
                "E_MODEL",
                f"torchvision:{name} is for {kind.replace('_', ' ')}; "
                "expected a network that looks at one picture",
            )
    return builder


def options(builder: Any) -> dict[str, Any]:
    """Those of `AS_TRAINED` that the network's builder, or its class, has."""
    found = set(inspect.signature(builder).parameters)
    family = inspect.getmodule(builder)
    for _, kind in inspect.getmembers(family, inspect.isclass):
        if issubclass(kind, nn.Module) and kind.__module__ == builder.__module__:
            takes = inspect.signature(kind).parameters
            if "num_classes" in takes:
                found |= set(takes)
    return {name: value for name, value in AS_TRAINED.items() if name in found}


def published(entries: list[Any], sha256: str) -> Any:
    """The published weights whose digest begins that of the file, by the digest in their address."""
    for entry in entries:
        digest = DIGEST.search(entry.url)
        if digest and sha256 and sha256.startswith(digest[1]):
            return entry
    return None
