"""Named looks, and how a visualization differs from a dream: settings by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from phosphene.errors import PhospheneError

# How `visualize` differs from a dream: from noise, with lucid's parametrization and transforms
VISUALIZE: dict[str, Any] = {
    "param": "fourier",
    "transforms": "standard",
    "octaves": 1,
    "steps": 128,
    "jitter": 0,
    "smooth": 0.0,
}

# Beyond that, for a param, and for classes, whose things are to be whole and of every size: found by looking
FOR_PARAM: dict[str, dict[str, Any]] = {
    "pixel": {"smooth": 1.5, "laplacian": 3},
    "cppn": {"transforms": "none"},
}
FOR_CLASSES: dict[str, Any] = {"transforms": "windows"}

# How a frame of a `zoom` differs from a dream: it goes on from a picture that is dreamed on already
ZOOM: dict[str, Any] = {"steps": 4, "step_size": 1.5}


PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "classic": (
        "the 2015 notebook, exactly, on BVLC GoogLeNet (needs --weights)",
        {
            "model": "bvlc_googlenet",
            "objective": "inception_4c/output",
            "octaves": 4,
            "octave_scale": 1.4,
            "steps": 10,
            "step_size": 1.5,
            "jitter": 32,
            "smooth": 0.0,
            "laplacian": 0,
            "balance": False,
            "notebook_edges": True,
        },
    ),
    "animals": ("puppies, whales, birds and eyes: the default look", {"objective": "blocks.4.1"}),
    "creatures": ("whole faces of animals, in twice the time", {"objective": "blocks.4.1 + blocks.4.3"}),
    "puppies": ("dogs and their noses", {"model": "efficientnet_lite0", "objective": "blocks.4.2"}),
    "eyes": (
        "eyes, coils and ornaments",
        {"model": "efficientnet_lite0", "objective": "blocks.4.2 + blocks.3.2"},
    ),
    "buildings": ("towers, domes, shells and spheres", {"objective": "blocks.4.1 + blocks.5.1"}),
    "wildcats": ("spots, fur and feathers that follow the photo", {"objective": "blocks.5.1"}),
    "orchard": ("berries, leaves and baskets", {"objective": "blocks.5.0"}),
    "scales": ("scales, coils and weave", {"objective": "blocks.3.2"}),
    "ribbons": ("stripes that run around everything", {"objective": "blocks.3.0"}),
    "glass": ("leaded panes, as in a church window", {"objective": "blocks.2.1"}),
    "glossy": (
        "animals, smooth and shining: every frequency band of the gradient made equal",
        {"objective": "blocks.4.1", "laplacian": 2, "smooth": 0.8, "steps": 12},
    ),
}


def visualization(param: str = "", objectives: Sequence[str] = ()) -> dict[str, Any]:
    """What `visualize` has by default with this param, where all these objectives are of classes or not."""
    of_classes = bool(objectives) and all(map(of_class, objectives))
    return VISUALIZE | (FOR_CLASSES if of_classes else {}) | FOR_PARAM.get(param, {})


def of_class(objective: str) -> bool:
    """Whether it has to do with classes."""
    return "class:" in objective


def preset(name: str) -> dict[str, Any]:
    """The settings that a named look changes."""
    if name not in PRESETS:
        raise PhospheneError("E_PARAM", f"there is no preset {name!r}; expected one of {', '.join(PRESETS)}")
    return dict(PRESETS[name][1])
