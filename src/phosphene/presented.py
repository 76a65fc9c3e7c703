"""Activations as everybody else sees them, and what a network's own errors mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from phosphene.errors import PhospheneError
from phosphene.tokens import Layout, Shape, Size, fold, grid, prefixed

TOLERANCE = 1e-3  # of the largest activation
SMALL = 64  # px
NO_MEMORY = ("allocate memory", "out of memory", "not enough memory", "bad_alloc")  # as PyTorch says it
SHAPES = (  # what PyTorch and the libraries say when a picture has the wrong size
    *("shapes cannot be multiplied", "size mismatch", "sizes of tensors must match", "must match the size"),
    *("doesn't match model", "not match", "is invalid for input of size", "invalid shape"),
    *("expand", "divisible", "normalized_shape", "input size"),
)


def shown(act: Tensor, layout: Layout, image: Tensor, layer: str, prefix: bool) -> Tensor:
    """What a layer gave as `[N, C, H, W]` or `[N, C]`; with `prefix` its first tokens, `[N, C, T]`."""
    size, dims = (image.shape[-2], image.shape[-1]), {"vector": 2, "tokens": 3}.get(layout.kind, 4)
    fits = isinstance(act, Tensor) and act.dim() == dims and act.shape[0] == image.shape[0]
    places = grid(size, layout, act.shape[layout.axis]) if fits and layout.kind == "tokens" else None
    if not fits or (layout.kind == "tokens" and places is None):
        raise PhospheneError(
            "E_LAYER",
            f"layer {layer!r} gives {list(act.shape)} for {size[1]}×{size[0]} px, which isn't what it gives "
            "for others; choose another",
        )
    if torch.is_grad_enabled() and image.requires_grad and not act.requires_grad:
        raise PhospheneError(
            "E_ZERO_GRADIENT",
            f"no gradient leads from layer {layer!r} back to the picture; choose a layer before it",
        )
    if places is not None:
        return (
            prefixed(act, layout.prefix, layout.axis)
            if prefix
            else fold(act, places, layout.prefix, layout.axis)
        )
    return act.permute(0, 3, 1, 2) if layout.kind == "nhwc" else act


def shapes(layer: str, shape: Shape, layout: Layout, size: Size) -> dict[str, Shape]:
    """The shapes that `shown` makes of `shape`, by address."""
    if layout.kind == "nhwc":
        return {layer: (shape[0], shape[3], shape[1], shape[2])}
    if layout.kind != "tokens":
        return {layer: shape}
    places, width = grid(size, layout, shape[layout.axis]), shape[3 - layout.axis]
    if places is None:
        return {}
    found = {layer: (shape[0], width, *places)}
    return found | ({f"{layer}@prefix": (shape[0], width, layout.prefix)} if layout.prefix else {})


def channels(shape: Shape, layout: Layout) -> int:
    """How many channels there are in what a layer gives."""
    return shape[{"nhwc": 3, "tokens": 3 - layout.axis}.get(layout.kind, 1)]


def agree(
    one: Callable[[Tensor], Mapping[Any, Tensor]], other: Callable[[Tensor], Mapping[Any, Tensor]], x: Tensor
) -> bool:
    """Whether two ways to the same activations give the same."""
    with torch.no_grad():
        try:
            ours, theirs = one(x), other(x)
        except Exception:
            return False
    return ours.keys() == theirs.keys() and all(_close(ours[site], act) for site, act in theirs.items())


def _close(ours: Tensor, theirs: Tensor) -> bool:
    if ours.shape != theirs.shape:
        return False
    precise = theirs.dtype in (torch.float32, torch.float64)
    most = float(theirs.detach().float().abs().nan_to_num().max()) if theirs.numel() else 0.0
    return torch.allclose(
        ours.float(),
        theirs.float(),
        rtol=0,
        atol=(1 if precise else 50) * TOLERANCE * most + 1e-12,
        equal_nan=True,
    )


def explained(error: Exception, size: Size, name: str, layers: Sequence[str]) -> Exception:
    """What a network's own error means for a picture of `size`: too small, too large or not its own."""
    height, width = size
    words = str(error).lower()
    if isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(sign in words for sign in NO_MEMORY)
    ):
        return PhospheneError(
            "E_MEMORY",
            f"{width}×{height} px at once don't fit into memory; give a smaller --tile or --max-size",
        )
    if isinstance(error, RuntimeError) and min(height, width) < SMALL:
        return PhospheneError(
            "E_TOO_SMALL",
            f"{name} can't look at {width}×{height} px; give a larger photo, --scale or fewer --octaves",
        )
    if isinstance(error, AssertionError) or any(part in words for part in SHAPES):
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        return PhospheneError(
            "E_LAYER",
            f"{name} doesn't get to its layer {layers[0]!r} with {width}×{height} px: {said}; choose a layer "
            "before it, or say which size it is for: Lens(…, size=…)",
        )
    if isinstance(error, MemoryError):
        return error
    said = " ".join(str(error).split())[:200]
    return PhospheneError(
        "E_MODEL",
        f"{name} fails with {width}×{height} px: {type(error).__name__}: {said}; "
        "check what it wants as input (--channel-order l for a grey one)",
    )
