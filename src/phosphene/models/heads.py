"""Attention heads as something that can be watched: what they give before it is projected.

The projection of every attention gets a part `heads` that lets its input through: the layer
`blocks.5.attn.proj.heads`, whose channels are those of head 0, of head 1 and so on.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

PROJECTIONS = ("proj", "o_proj", "out_proj", "dense")
COUNTS = ("num_heads", "num_attention_heads")


class Heads(nn.Identity):
    """Lets `[N, T, count · D]` through: the outputs of `count` heads side by side."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count


def open_heads(module: nn.Module) -> nn.Module:
    """`module`, with `heads` before the projection of each attention in it; its values are the same."""
    for part in list(module.modules()):
        count = next(
            (getattr(part, name) for name in COUNTS if isinstance(getattr(part, name, None), int)), 0
        )
        found = (getattr(part, name, None) for name in PROJECTIONS)
        projection = next((linear for linear in found if isinstance(linear, nn.Linear)), None)
        if not count or projection is None or projection.in_features % count:
            continue
        _before(projection, Heads(count))
        if isinstance(part, nn.MultiheadAttention):
            _spelled_out(part)
    return module


def _before(projection: nn.Linear, heads: Heads) -> None:
    inner = type(projection).forward
    projection.add_module("heads", heads)
    _swap(projection, lambda self, x: inner(self, self.heads(x)))


def _spelled_out(attention: nn.MultiheadAttention) -> None:
    """Self-attention as PyTorch computes it, but for calling the projection as a module."""
    inner = type(attention).forward

    def forward(
        self: Any, query: Tensor, key: Tensor, value: Tensor, *more: Any, **how: Any
    ) -> tuple[Tensor, Tensor | None]:
        masked = any(how.get(name) is not None for name in ("attn_mask", "key_padding_mask"))
        plain = query is key is value and query.dim() == 3 and not more and not masked
        if (
            not plain
            or how.get("need_weights", True)
            or self.in_proj_weight is None
            or self.bias_k is not None
        ):
            return inner(self, query, key, value, *more, **how)
        x = query.transpose(0, 1) if self.batch_first else query
        places, batch, width = x.shape
        q, k, v = (
            part.reshape(places, batch * self.num_heads, -1)
            .transpose(0, 1)
            .view(batch, self.num_heads, places, -1)
            for part in F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        )
        found = F.scaled_dot_product_attention(q, k, v).permute(2, 0, 1, 3).reshape(places, batch, width)
        found = found.transpose(0, 1) if self.batch_first else found
        return self.out_proj(found), None

    _swap(attention, forward)


def _swap(module: nn.Module, forward: Any) -> None:
    kind = type(module)
    module.__class__ = type(kind.__name__, (kind,), {"forward": forward})
