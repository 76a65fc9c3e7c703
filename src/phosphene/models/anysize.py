"""Transformers that were trained at one size, looking at pictures of any.

A picture that isn't a multiple of the patch is made one by repeating its right and bottom edge.
Position embeddings are interpolated as the library that the network is from does it. A picture of
the trained size gets the library's own forward pass, bit for bit. Sizes decide what runs, so that
nothing here can be traced with symbols, and nothing is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.models.heads import open_heads

Forward = Callable[..., Any]
OWN_TOKENS = (
    "cls_token",
    "class_token",
    "class_embedding",
    "distillation_token",
    "dist_token",
    "register_tokens",
    "reg_token",
)


def any_size(module: nn.Module) -> tuple[nn.Module, int, int]:
    """`module` of timm or torchvision for pictures of any size, its patch in pixels and its prefix.

    The prefix is the number of tokens that come before those of the patches. 0, 0 and the module as it
    is for networks without patches.
    """
    if hasattr(module, "conv_proj") and hasattr(module, "class_token"):
        return _torchvision(module)
    embed: Any = getattr(module, "patch_embed", None)
    if isinstance(embed, nn.Module) and hasattr(embed, "patch_size"):
        return _timm(module, embed)
    first: Any = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    if any(hasattr(part, "relative_position_index") for part in module.modules()) and first is not None:
        return padding(module, first.stride[0]), first.stride[0], 0  # torchvision's Swin
    return module, 0, 0


def padded(x: Tensor, patch: int) -> Tensor:
    """`[N, C, H, W]` with its edge repeated to the right and below up to a multiple of `patch`."""
    height, width = (int(side) for side in x.shape[-2:])
    below, right = -height % patch, -width % patch
    return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x


def padding(module: nn.Module, patch: int) -> nn.Module:
    """`module`, from now on with `padded` before its forward pass."""
    inner = type(module).forward
    return with_forward(module, lambda self, x: inner(self, padded(x, patch)))


def with_forward(module: nn.Module, forward: Forward) -> nn.Module:
    """`module` with another forward pass; its layers keep their names."""
    kind = type(module)
    module.__class__ = type(kind.__name__, (kind,), {"forward": forward})
    return module


def prefix_of(module: nn.Module) -> int:
    """How many tokens of its own a network has: class, distillation, registers."""
    own = [value for name, value in module.named_parameters() if name.rpartition(".")[2] in OWN_TOKENS]
    return sum(value.shape[1] if value.dim() == 3 else 1 for value in own)


def positions(
    table: Tensor, before: tuple[int, int], grid: tuple[int, int], prefix: int, **how: Any
) -> Tensor:
    """Embeddings `[prefix + h·w, C]` of the grid `before` for another grid, bicubic."""
    if grid == before:
        return table
    own, places = table[:prefix], table[prefix:]
    image = places.T.reshape(1, table.shape[1], *before)
    resized = F.interpolate(image.float(), size=grid, mode="bicubic", **how).to(table.dtype)
    return torch.cat((own, resized.flatten(2)[0].T))


def _timm(module: Any, embed: Any) -> tuple[nn.Module, int, int]:
    patch, prefix = _stride(embed), int(getattr(module, "num_prefix_tokens", 0))
    if not hasattr(module, "dynamic_img_size"):
        whole = patch and getattr(embed, "strict_img_size", True) is False
        return padding(module, patch) if whole else module, patch, prefix
    if any(hasattr(part, "dynamic_mask") for part in module.modules()):  # Swin: positions are relative
        for part in module.modules():
            if hasattr(part, "dynamic_mask"):
                part.dynamic_mask = True
    elif hasattr(embed, "flatten"):
        from timm.layers.format import Format

        embed.flatten, embed.output_fmt = False, Format.NHWC
    rope: Any = getattr(module, "rope", None)
    if hasattr(rope, "_use_cached_embed"):
        rope._use_cached_embed = False
    module.dynamic_img_size, embed.strict_img_size = True, False
    return padding(open_heads(module), patch), patch, prefix


def _stride(embed: Any) -> int:
    """Pixels from one patch to the next, of those that overlap or come after convolutions, too."""
    if hasattr(embed, "feat_ratio"):
        return int(embed.feat_ratio())
    if isinstance(getattr(embed, "proj", None), nn.Conv2d):
        return int(embed.proj.stride[0])
    size = embed.patch_size
    return int(max(size) if isinstance(size, (tuple, list)) else size)


def _torchvision(module: Any) -> tuple[nn.Module, int, int]:
    patch, trained = module.patch_size, module.image_size // module.patch_size
    whole, encode = type(module).forward, module.encoder

    def process(self: Any, x: Tensor) -> Tensor:
        return self.conv_proj(x).flatten(2).permute(0, 2, 1)  # type: ignore[no-any-return]

    def forward(self: Any, x: Tensor) -> Any:
        x = padded(x, patch)
        self.encoder.grid = x.shape[-2] // patch, x.shape[-1] // patch
        return whole(self, x)

    def encoded(self: Any, tokens: Tensor) -> Any:
        table = positions(self.pos_embedding[0], (trained, trained), self.grid, 1, align_corners=True)
        return self.ln(self.layers(self.dropout(tokens + table)))

    open_heads(module)
    with_forward(encode, encoded)
    kind = type(module)
    module.__class__ = type(kind.__name__, (kind,), {"forward": forward, "_process_input": process})
    return module, patch, 1
