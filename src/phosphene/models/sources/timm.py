"""`timm:NAME` and `timm:NAME.TAG`: its architectures, and what its `pretrained_cfg` says of the input."""

from __future__ import annotations

from typing import Any

import timm
from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
from torch import nn

from phosphene.errors import PhospheneError, nearest
from phosphene.models import architecture
from phosphene.models.anysize import any_size
from phosphene.models.sources import Built, Given


def build(rest: str, weights: str, given: Given) -> Built:
    """timm's network `rest` with the weights of a file that has timm's own names."""
    known(rest)

    def make(**more: Any) -> nn.Module:
        try:
            module: nn.Module = timm.create_model(rest, pretrained=False, **more)
        except (RuntimeError, ImportError) as error:  # a tag that isn't there, a package that is missing
            raise PhospheneError(
                "E_MODEL", f"timm:{rest[:200]}: {str(error).splitlines()[0][:200]}"
            ) from None
        return module

    made = architecture.filled(f"timm:{rest}", weights, given, make, head_of)
    config: dict[str, Any] = getattr(made.module, "pretrained_cfg", None) or {}
    module, patch, prefix = any_size(made.module)
    channels, size, *_ = config.get("input_size", (3, 224, 224))
    return Built(
        module,
        mean=tuple(config.get("mean", ())),
        std=tuple(config.get("std", ())),
        channel_order="l" if channels == 1 else "rgb",
        classes=classes(made.classes),
        head=made.head,
        weights_sha256=made.sha256,
        notes=made.notes,
        size=size,
        patch=patch,
        prefix=prefix,
    )


def known(name: str) -> None:
    """E_MODEL for what isn't in timm's own list, such as the addresses of hubs and folders."""
    if ":" in name or "/" in name or not timm.is_model(name):
        names = timm.list_models()
        near = ", ".join(f"timm:{other}" for other in nearest(name.partition(".")[0][:200], names, 3))
        raise PhospheneError("E_MODEL", f"timm has no network {name[:200]!r}; the nearest are {near}")


def head_of(module: nn.Module) -> str:
    """The classifier that timm names, the first of two; '' where there is none."""
    named = getattr(module, "pretrained_cfg", {}).get("classifier") or ""
    name = named if isinstance(named, str) else next(iter(named), "")
    part = dict(module.named_modules()).get(name)
    return name if isinstance(part, (nn.Linear, nn.Conv2d)) else ""


def classes(number: int) -> tuple[str, ...]:
    """ImageNet's names, where the number of classes is that of one of its sets."""
    subset = infer_imagenet_subset({"num_classes": number})
    return tuple(ImageNetInfo(subset).label_descriptions()) if subset else ()
