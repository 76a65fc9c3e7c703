"""phosphene: DeepDream and feature visualization.

import phosphene

photo = phosphene.open_picture("photo.jpg")
for frame in phosphene.dream(photo.tensor(), "blocks.4.1", phosphene.load("efficientnet_lite2")):
    pass
phosphene.save_picture("dream.png", photo.with_tensor(frame.full()))
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phosphene.attention import cls as cls
    from phosphene.attention import head as head
    from phosphene.attention import token as token
    from phosphene.config import Dream as Dream
    from phosphene.engine import dream as dream
    from phosphene.errors import PhospheneError as PhospheneError
    from phosphene.expression import parse as parse
    from phosphene.features import visualize as visualize
    from phosphene.frame import Frame as Frame
    from phosphene.lens import Lens as Lens
    from phosphene.models import load as load
    from phosphene.objective import Objective as Objective
    from phosphene.penalty import tv as tv
    from phosphene.picture import Picture as Picture
    from phosphene.picture import open_picture as open_picture
    from phosphene.picture import save_picture as save_picture
    from phosphene.prompt import text as text
    from phosphene.widget import watch as watch
    from phosphene.words import channel as channel
    from phosphene.words import direction as direction
    from phosphene.words import guide as guide
    from phosphene.words import layer as layer
    from phosphene.words import logit as logit
    from phosphene.words import neuron as neuron
    from phosphene.words import unit as unit

# OpenMP's threads spin while they wait for each other; when other programs want the processor too, that
# makes a dream six times slower. Takes effect where torch isn't imported yet.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = version("phosphene")

_HOMES = {
    "attention": ["cls", "head", "token"],
    "config": ["Dream"],
    "engine": ["dream"],
    "errors": ["PhospheneError"],
    "expression": ["parse"],
    "frame": ["Frame"],
    "lens": ["Lens"],
    "models": ["load"],
    "objective": ["Objective"],
    "picture": ["Picture", "open_picture", "save_picture"],
    "prompt": ["text"],
    "penalty": ["tv"],
    "features": ["visualize"],
    "widget": ["watch"],
    "words": ["channel", "direction", "guide", "layer", "logit", "neuron", "unit"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'phosphene' has no attribute {name!r}")
    return getattr(import_module(f"phosphene.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
