"""Named looks, and how a visualization and a zoom differ from a dream: settings by name."""

from __future__ import annotations

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


# Beyond that, for a param: found by looking
FOR_PARAM: dict[str, dict[str, Any]] = {"pixel": {"smooth": 1.5}}
