"""Networks that embed pictures and text alike: the tower that is dreamed with, and the one for prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pictures(nn.Module):
    """The image tower alone, its layers named as in the whole network: `[N, 3, H, W]` to `[N, D]`."""

    def __init__(
        self, parts: Mapping[str, nn.Module], embed: Callable[[Any, Tensor], Tensor], embedding: str
    ) -> None:
        super().__init__()
        self.embed, self.embedding = embed, embedding
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        """The pictures' embeddings, of any length."""
        return self.embed(self, x)


def prompts_with(network: Any, tokens: Callable[[], Any]) -> Callable[[Sequence[str]], Tensor]:
    """From prompts to embeddings `[n, D]` of length 1; what makes tokens of them is read at the first."""

    def embed(prompts: Sequence[str]) -> Tensor:
        inputs = tokens()(list(prompts))
        with torch.inference_mode(False), torch.no_grad():
            found = network.get_text_features(**inputs)
        found = found if isinstance(found, Tensor) else found.pooler_output
        return F.normalize(found.float(), dim=-1)

    return embed
