"""Where networks come from: the word before the colon of `torchvision:resnet50`.

A source is a module with `build(rest, weights, given) -> Built`: `rest` is what follows the colon,
`weights` the user's file or '' for those that the source finds itself. Its errors are E_MODEL and
E_WEIGHTS. It says what the network's own library knows of the input, and guesses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phosphene import plugins

if TYPE_CHECKING:
    from torch import Tensor, nn

SOURCES = {  # word before the colon: module, imported when it is needed
    "torchvision": "phosphene.models.sources.torchvision",
    "timm": "phosphene.models.sources.timm",
    "hf": "phosphene.models.sources.hf",
    "open_clip": "phosphene.models.sources.open_clip",
    "python": "phosphene.models.sources.python",
}


def known() -> tuple[str, ...]:
    """The words that may stand before a colon: ours, and those that installed packages add."""
    return (*SOURCES, *(name for name in plugins.added("source") if name not in SOURCES))


@dataclass(frozen=True)
class Built:
    """What a source makes of a name.

    `mean`, `std`, `scale` and `channel_order` are a `Lens`'s; `mean` and `std` are () where nothing
    says them. `exact` is True where they are known of this very file, not of its architecture only.
    """

    module: nn.Module  # the whole network, its weights loaded; eval mode isn't its business
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1.0
    channel_order: str = "rgb"
    classes: tuple[str, ...] = ()
    head: str = ""  # the layer with the class logits
    weights_sha256: str = ""
    notes: tuple[str, ...] = ()
    size: int = 224  # px: the side that it was trained with
    patch: int = 0  # px: a transformer's patch; 0 = none
    prefix: int = 0  # tokens before those of the patches
    text: Callable[[Sequence[str]], Tensor] | None = None  # prompts -> embeddings [n, D] of length 1
    embedding: str = ""  # the layer whose output [N, D] is compared with them
    exact: bool = False


@dataclass(frozen=True)
class Given:
    """What the user says of a network's input; empty where nothing was said.

    The input is `(low + (high - low) * image - mean) / std` with `range` = (low, high).
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    range: tuple[float, ...] = ()
    channel_order: str = ""
    untrained: bool = False  # an architecture without weights is enough
