"""A network made ready for input gradients; the user's own module is never changed.

`ready` is a frozen copy that computes what the module does, step by step: the plain path. `Fast`
is the same computation made quick, for the layers that are watched: nothing past the last of them,
batch norm and activation inside their convolution, only the gradients that lead to the image.
`Compiled` does the like by way of torch.compile.
"""

from __future__ import annotations

import torch
from torch import nn

from phosphene.ascent.compiled import Compiled
from phosphene.ascent.copying import copied, unwrapped
from phosphene.ascent.fast import Fast
from phosphene.ascent.heap import kept, returned, trim
from phosphene.ascent.toolchain import exact

__all__ = ["DTYPES", "Compiled", "Fast", "exact", "kept", "quick", "ready", "returned", "trim"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def ready(module: nn.Module, device: str | torch.device, dtype: str, own: bool = False) -> nn.Module:
    """A frozen copy of `module` in eval mode, channels-last, with nothing done in place.

    In-place activations overwrite what was captured before them, so the copy has none. Nor has it the
    forward hooks that look on; those before a layer, which make its weights, stay. If `module` is our
    `own`, it is not copied but changed.
    """
    module = unwrapped(module)
    network = (module if own else copied(module)).eval().requires_grad_(False)
    for part in network.modules():
        part._forward_hooks.clear()
        part._compiled_call_impl = None
        if getattr(part, "inplace", None) is True:
            part.inplace = False  # type: ignore[assignment]
    return network.to(device=device, dtype=DTYPES[dtype], memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def quick(device: torch.device, dtype: str) -> bool:
    """Whether the fast path is there for such arithmetic: oneDNN's is for float32."""
    return device.type == "cuda" or (device.type == "cpu" and dtype == "float32")
