"""Hooks: what a network's modules give while it runs, as it was when they gave it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from phosphene.address import Site
from phosphene.outputs import Path, leaves

# Kinds of modules whose channels are in a certain dimension, whatever the network around them.
FIRST = (
    "Conv2d",
    "Conv2dSame",
    "ConvTranspose2d",
    "BatchNorm2d",
    "BatchNormAct2d",
    "GroupNorm",
    "InstanceNorm2d",
)
LAST = ("Linear", "LayerNorm")


@dataclass(frozen=True)
class Leaf:
    """One tensor that a module gave."""

    path: Path
    shape: tuple[int, ...]
    real: bool  # floating-point numbers


Calls = dict[str, list[list[Leaf]]]  # by name, for each call, every tensor


class _SeenEnough(BaseException):
    """Ends a forward pass at the last watched layer."""


def observe(network: nn.Module, x: Tensor) -> Calls:
    """What every module of `network` gives for each picture of the input `x`, as far as it gets.

    Where the first dimension isn't that of the pictures, it is 0.
    """
    seen: Calls = {}

    def see(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found = []
            for path, one in leaves(output):
                pictures, *rest = one.shape or (0,)
                each = int(pictures == len(x))
                found.append(Leaf(path, (each, *rest), one.is_floating_point()))
            seen.setdefault(name, []).append(found)

        return hook

    handles = [part.register_forward_hook(see(name)) for name, part in network.named_modules()]
    try:
        with torch.no_grad(), suppress(Exception), whole():
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    return seen


@contextmanager
def capturing(network: nn.Module, sites: Collection[Site]) -> Iterator[Callable[[Tensor], dict[Site, Any]]]:
    """A function from the network's input to what is at these `sites`; it runs nothing after the last.

    What a site's module gave is copied then and there: later steps may work in place. What isn't
    reached is left out. The hooks act only while that function runs.
    """
    places: dict[str, set[int]] = {}
    for site in sites:
        places.setdefault(site.name, set()).add(site.call)
    count = sum(map(len, places.values()))
    seen: dict[tuple[str, int], Any] = {}
    calls: Counter[str] = Counter()
    looking, careful = False, None  # careful: True where steps work in place on what gradients need

    def see(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not looking or len(seen) == count:
                return
            call = calls[name]
            calls[name] += 1
            if call not in places[name]:
                return
            seen[name, call] = {
                path: one if len(seen) + 1 == count else one.clone()
                for path, one in leaves(output)
                if Site(name, call, path) in sites
            }
            if len(seen) == count:
                raise _SeenEnough

        return hook

    def go(x: Tensor) -> None:
        seen.clear()
        calls.clear()
        with suppress(_SeenEnough), whole():
            network(x)

    def run(x: Tensor) -> dict[Site, Any]:
        nonlocal looking, careful
        looking = True
        try:
            if careful is None and x.requires_grad and torch.is_grad_enabled():
                careful = _overwrites(lambda: go(x))
            if careful or len(seen) < count:
                with saved_tensors_hooks(_aside, _as_it_is) if careful else nullcontext():
                    go(x)
            return {
                Site(name, call, path): one
                for (name, call), found in seen.items()
                for path, one in found.items()
            }
        finally:
            looking = False
            seen.clear()

    handles = [network.get_submodule(name).register_forward_hook(see(name)) for name in places]
    try:
        yield run
    finally:
        for handle in handles:
            handle.remove()


def _overwrites(forward: Callable[[], None]) -> bool:
    """Whether steps of `forward` work in place on tensors that the gradient needs as they were."""
    saved: list[tuple[Tensor, int]] = []

    def note(tensor: Tensor) -> Tensor:
        saved.append((tensor, tensor._version))
        return tensor

    with saved_tensors_hooks(note, _as_it_is):
        forward()
    return any(tensor._version != version for tensor, version in saved)


def _aside(tensor: Tensor) -> Tensor:
    return tensor if isinstance(tensor, nn.Parameter) else tensor.clone()


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


@contextmanager
def whole() -> Iterator[None]:
    """PyTorch runs the parts of its transformers one by one inside the `with`, with gradients or without."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def channels_at(module: nn.Module) -> int | None:
    """The dimension of a module's 4-dimensional output that its channels are in, if its kind says so."""
    kinds = {kind.__name__ for kind in type(module).__mro__}
    return 1 if kinds & {*FIRST} else 3 if kinds & {*LAST} else None
