"""`python:MODULE:FUNCTION`: the user's own network, made by the user's own code.

The function takes nothing and gives an `nn.Module`, or a `phosphene.Lens` that says how its input is
prepared. Nobody but the user may name it: see `models.refuse_code`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from phosphene import plugins
from phosphene.errors import PhospheneError
from phosphene.inputs import order_of
from phosphene.lens import Lens
from phosphene.models import weights as files
from phosphene.models.anysize import any_size
from phosphene.models.architecture import head
from phosphene.models.fit import fit
from phosphene.models.sources import Built, Given

NAME = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*(?:\.[^\W\d]\w*)*)")


def build(rest: str, weights: str, given: Given) -> Built:
    """What the function makes, with the weights of a file if there is one."""
    del given
    return loaded(call(rest), weights)


def added(source: str, rest: str, weights: str) -> Built:
    """What the function of an installed package makes of the name after `source:`. E_PLUGIN."""
    make = plugins.load("source", source)
    try:
        made = make(rest)
    except PhospheneError:
        raise
    except (Exception, SystemExit) as error:  # whatever somebody else's code does
        raise plugins.refused("source", source, f"{type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module | Lens):
        raise plugins.refused(
            "source", source, f"it gave {made!r:.80}, expected a torch.nn.Module or a phosphene.Lens"
        )
    return loaded(made, weights)


def loaded(made: nn.Module | Lens, weights: str) -> Built:
    """A network as its code made it, or with the weights of a file."""
    built = of_lens(made) if isinstance(made, Lens) else of_module(made)
    if not weights:
        return built
    state, sha256 = files.read(weights)
    notes = fit(built.module, state, weights)
    return Built(**{**vars(built), "weights_sha256": sha256, "notes": (*built.notes, *notes)})


def call(rest: str) -> nn.Module | Lens:
    """Import the module, the working directory's own first, and call the function; E_MODEL."""
    match = NAME.fullmatch(rest)
    if not match:
        raise PhospheneError(
            "E_MODEL", f"model is {f'python:{rest}'[:200]!r}, expected python:MODULE:FUNCTION"
        )
    module, function = match.groups()
    with working_directory():
        try:
            maker: Any = reduce(getattr, function.split("."), import_module(module))
            made = maker()
        except PhospheneError:
            raise
        except (Exception, SystemExit) as error:
            text = " ".join(str(error).split())[:300]
            raise PhospheneError("E_MODEL", f"python:{rest[:200]}: {type(error).__name__}: {text}") from error
    if not isinstance(made, (nn.Module, Lens)):
        raise PhospheneError(
            "E_MODEL",
            f"python:{rest[:200]} gives {type(made).__name__}, expected an nn.Module or a phosphene.Lens",
        )
    return made


@contextmanager
def working_directory() -> Iterator[None]:
    """Modules beside the user are found first."""
    place = str(Path.cwd())
    sys.path.insert(0, place)
    try:
        yield
    finally:
        if place in sys.path:
            sys.path.remove(place)


def of_module(module: nn.Module) -> Built:
    """A network that says of its input at most what timm's networks say."""
    config: Any = getattr(module, "pretrained_cfg", None)
    said = config if isinstance(config, dict) else {}
    if type(module).__module__.startswith(("timm.", "torchvision.")):
        module, patch, prefix = any_size(module)
    else:
        patch, prefix = 0, 0
    return Built(
        module,
        mean=tuple(said.get("mean", ())),
        std=tuple(said.get("std", ())),
        channel_order=order_of(module),
        head=head(module),
        patch=patch,
        prefix=prefix,
    )


def of_lens(lens: Lens) -> Built:
    """A network with all that its lens knows."""
    return Built(
        lens.module,
        mean=tuple(lens._mean.flatten().tolist()),
        std=tuple(lens._std.flatten().tolist()),
        scale=lens._scale,
        channel_order="".join("rgb"[index] for index in lens._order) or "l",
        classes=lens.classes,
        head=lens.head,
        weights_sha256=lens.weights_sha256,
        notes=lens.notes,
        size=lens.size,
        patch=lens.patch,
        prefix=lens.prefix,
        text=lens.text,
        embedding=lens.embedding,
        exact=True,
    )
