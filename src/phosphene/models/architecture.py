"""What all sources do with an architecture: make it, fill it from a file, find its head."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError
from phosphene.models import pull, weights
from phosphene.models.fit import AUXILIARY, fit, without_prefix
from phosphene.models.sources import Given

RANDOM = "{name} has random weights, as none are here: its layers are told, its dreams are noise"


@dataclass(frozen=True)
class Filled:
    """A network with its weights, the SHA-256 of their file ('' = random), and what a person should know."""

    module: nn.Module
    sha256: str
    notes: tuple[str, ...]
    head: str  # the layer with the class logits, whether it has weights or not
    classes: int


def filled(
    name: str,
    file: str,
    given: Given,
    make: Callable[..., nn.Module],
    find_head: Callable[[nn.Module], str] | None = None,
) -> Filled:
    """The architecture that `make()` gives, with the weights of `file`.

    A file for another number of classes is fitted to `make(num_classes=…)`. E_WEIGHTS where there is no
    file, unless an untrained network is enough.
    """
    if not file and not given.untrained:
        known = f"`phosphene models pull {name}` gets them, or " if name in pull.PUBLISHED else ""
        raise PhospheneError(
            "E_WEIGHTS",
            f"there are no weights of {name} here; {known}give a file with --weights",
        )
    state, sha256 = weights.read(file) if file else ({}, "")
    with seeded():
        module = make()
        top = (find_head or head)(module)
        classes = other_classes(module, top, state)
        if classes:
            module = make(num_classes=classes)
    outputs = classes_of(module, top)
    notes = fit(module, state, file) if file else (RANDOM.format(name=name),)
    return Filled(module, sha256, notes, top, outputs)


@contextmanager
def seeded() -> Iterator[None]:
    """Random numbers that are the same every time, and nobody else's; libraries keep their warnings."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        yield


def other_classes(module: nn.Module, top: str, state: Mapping[str, Tensor]) -> int:
    """How many classes `state` is for, if its head `top` has another number than `module`; else 0."""
    own = module.state_dict()
    state = without_prefix(state, own)
    last = f"{top}.weight"
    if last not in own or last not in state or state[last].dim() != own[last].dim():
        return 0
    theirs, ours = state[last].shape, own[last].shape
    return theirs[0] if theirs[0] != ours[0] and theirs[1:] == ours[1:] else 0


def head(module: nn.Module) -> str:
    """The layer with a class's logit in each channel: the last, if it is linear or a 1×1 convolution."""
    weighted = [
        (name, part)
        for name, part in module.named_modules()
        if isinstance(part, (nn.Linear, nn.Conv2d)) and not name.startswith(AUXILIARY)
        if not isinstance(part, nn.modules.linear.NonDynamicallyQuantizableLinear)  # of an attention
    ]
    name, part = weighted[-1] if weighted else ("", None)
    return name if isinstance(part, nn.Linear) or getattr(part, "kernel_size", 0) == (1, 1) else ""


def classes_of(module: nn.Module, name: str) -> int:
    """How many channels the layer `name` gives; 0 where that can't be told."""
    part = dict(module.named_modules()).get(name)
    return int(getattr(part, "out_features", 0) or getattr(part, "out_channels", 0) or 0)
