"""A state dict into a network, or what doesn't fit; what has no weights can't be looked through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError

AUXILIARY = ("loss1/", "loss2/", "aux", "AuxLogits")  # heads that only training has


class NoWeights(nn.Module):
    """Stands for a module that the file had nothing for; to run it, or use its weights, is E_WEIGHTS.

    The parts inside it keep their names.
    """

    def __init__(self, message: str, instead_of: nn.Module) -> None:
        super().__init__()
        self.message = message
        self.absent = frozenset({*instead_of._parameters, *instead_of._buffers})
        for name, part in instead_of.named_children():
            self.add_module(name, part)

    def forward(self, *_: Any, **__: Any) -> Tensor:
        raise PhospheneError("E_WEIGHTS", self.message)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("absent", ()):
            raise PhospheneError("E_WEIGHTS", self.message)
        return super().__getattr__(name)


def fit(module: nn.Module, state: Mapping[str, Tensor], where: str | Path) -> tuple[str, ...]:
    """Load `state` into `module`; the notes say what is missing. E_WEIGHTS where it is for another network.

    Keys and shapes that the network hasn't got are refused, but for heads that only training has. A
    part without weights is accepted: to run it is E_WEIGHTS, so what doesn't need it can be watched.
    """
    own = module.state_dict()
    state = without_prefix(state, own)
    missing = [key for key in own if key not in state and not counts(key)]
    extra = [key for key in state if key not in own and not counts(key) and not key.startswith(AUXILIARY)]
    misshaped = [
        f"{key} {list(state[key].shape)} instead of {list(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    root = [key for key in missing if "." not in key]  # of the network itself, which always runs
    if extra or misshaped or root or (missing and not own.keys() & state.keys()):
        wrong = {"missing": missing, "unexpected": extra, "of another shape": misshaped}
        lists = "; ".join(f"{len(keys)} {what}: {some(keys)}" for what, keys in wrong.items() if keys)
        raise PhospheneError("E_WEIGHTS", f"{str(where)[:300]!r} is not for this network; {lists}")
    with torch.no_grad():
        module.load_state_dict({key: value for key, value in state.items() if key in own}, strict=False)
    for part in dict.fromkeys(key.rpartition(".")[0] for key in missing):
        message = (
            f"{str(where)[:300]!r} has no weights for {part} ({len(missing)} missing: {some(missing)}); "
            "choose a layer that doesn't need it, or give the whole file"
        )
        module.set_submodule(part, NoWeights(message, module.get_submodule(part)))
    if not missing:
        return ()
    what = f"{where} has no weights for {some(missing)} ({len(missing)} in all)"
    return (f"{what}; layers that don't need them can be watched",)


def counts(key: str) -> bool:
    """Whether `key` is a counter of training steps."""
    return key.rpartition(".")[2] == "num_batches_tracked"


def without_prefix(state: Mapping[str, Tensor], own: Mapping[str, Any]) -> dict[str, Tensor]:
    """`state` without the 'module.', 'model.' or the like that wrappers put before every key."""
    found = dict(state)
    while found and not own.keys() & found.keys():
        prefix = next(iter(found)).partition(".")[0] + "."
        if not all(key.startswith(prefix) for key in found):
            return dict(state)
        found = {key.removeprefix(prefix): value for key, value in found.items()}
    return found


def some(keys: Sequence[str]) -> str:
    return ", ".join(key[:120] for key in keys[:5]) + (", …" if len(keys) > 5 else "")
