"""A network of one's own from a user's module, whatever that is wrapped in and has as attributes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError

OWN = ("_parameters", "_buffers", "_modules")


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside `DataParallel` and what torch.compile gives; E_MODEL where nobody can look in."""
    while isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)) or _is_compiled(module):
        module = module.module if hasattr(module, "module") else module._orig_mod  # type: ignore[assignment]
    kind = type(module).__name__
    if not isinstance(module, nn.Module):
        raise PhospheneError("E_MODEL", f"got a {kind}, expected a torch.nn.Module")
    if isinstance(module, torch.jit.ScriptModule):
        raise PhospheneError(
            "E_MODEL", f"{kind} is TorchScript, whose layers can't be watched; give the module it was made of"
        )
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if nn.parameter.is_lazy(tensor):
            raise PhospheneError(
                "E_MODEL", f"{kind} has lazy layers ({name}) that don't know their sizes; run it once before"
            )
        if tensor.is_meta:
            raise PhospheneError(
                "E_MODEL", f"{kind} has no weights: {name} is on the meta device; load them before"
            )
        if tensor.is_complex():
            raise PhospheneError(
                "E_MODEL", f"{kind} has complex weights ({name}), expected real ones; give another network"
            )
    return module


def _is_compiled(module: Any) -> bool:
    return type(module).__name__ == "OptimizedModule" and isinstance(
        getattr(module, "_orig_mod", None), nn.Module
    )


def copied(module: nn.Module, share: bool = False) -> nn.Module:
    """A copy that shares nothing with `module`, or with `share` its weights; what can't be copied is shared.

    Such are locks, files and the like. Tensors in the middle of a graph are copied without it.
    """
    memo: dict[int, Any] = {}
    if share:
        memo = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
    try:
        return copy.deepcopy(module, dict(memo))
    except Exception:  # whatever an attribute says to being copied
        for part in module.modules():
            for name, value in vars(part).items():
                if name not in OWN:
                    _note(value, memo)
            for tensor in part._buffers.values():
                _note(tensor, memo)
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        raise PhospheneError(
            "E_MODEL",
            f"{type(module).__name__} can't be copied ({str(error)[:200]}); give it with own=True, "
            "if it may be changed",
        ) from error


def _note(value: Any, memo: dict[int, Any]) -> None:
    """Write down in `memo` what to put for those values that can't be copied."""
    if isinstance(value, nn.Module):
        return
    if isinstance(value, Tensor):
        if not value.is_leaf:
            memo[id(value)] = value.detach().clone()
        return
    if isinstance(value, (list, tuple, set)):
        for item in value:
            _note(item, memo)
        return
    if isinstance(value, dict):
        for item in value.values():
            _note(item, memo)
        return
    try:
        copy.deepcopy(value, dict(memo))
    except Exception:
        memo[id(value)] = value
