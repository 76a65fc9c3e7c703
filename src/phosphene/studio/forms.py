"""What the page makes its form from: `Dream`'s fields, the networks and the looks."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, get_args

from phosphene import __version__, models
from phosphene.config import Dream
from phosphene.presets import PRESETS, VISUALIZE, ZOOM

HIDDEN = {"model", "objective", "guide", "mask", "weights", "device", "threads", "max_memory", "compile"}
KINDS = {int: "integer", float: "number", bool: "boolean", str: "text"}
GROUPS = {
    "Scales": ("octaves", "octave_scale", "steps", "max_size", "scale"),
    "Strength": ("strength", "step_size", "smooth", "laplacian", "jitter", "balance", "clip"),
    "Picture": ("keep_color", "param", "optimizer", "rate", "average", "transparency", "transforms", "seed"),
}
OTHERS = "Inner workings"


def fields() -> list[dict[str, Any]]:
    """Every setting that a visitor may change, with its range and help."""
    found = []
    for name, field in Dream.model_fields.items():
        if name in HIDDEN:
            continue
        types = [one for one in get_args(field.annotation) or (field.annotation,) if one is not type(None)]
        choices = [one for one in types if isinstance(one, str)]
        limits = {
            key: getattr(rule, key)
            for rule in field.metadata
            for key in ("ge", "gt", "le", "lt")
            if getattr(rule, key, None) is not None
        }
        found.append(
            {
                "name": name,
                "type": "choice" if choices else KINDS.get(types[0], "text"),
                "default": field.default,
                "minimum": limits.get("ge", limits.get("gt")),
                "maximum": limits.get("le", limits.get("lt")),
                "choices": choices or None,
                "help": field.description,
                "group": next((group for group, names in GROUPS.items() if name in names), OTHERS),
            }
        )
    return sorted(found, key=lambda one: [*GROUPS, OTHERS].index(one["group"]))


def about(device: str, limits: dict[str, int]) -> dict[str, Any]:
    """All of it."""
    return {
        "version": __version__,
        "device": device,
        "models": [
            {
                "name": model.name,
                "summary": model.summary,
                "objective": model.objective,
                "ready": ready(model.name),
            }
            for model in models.available()
        ],
        "presets": [
            {"name": name, "summary": summary, "settings": settings}
            for name, (summary, settings) in PRESETS.items()
        ],
        "fields": fields(),
        "visualize": VISUALIZE,
        "zoom": ZOOM,
        "kinds": ["dream", "visualize", *(("zoom", "video") if find_spec("av") and find_spec("cv2") else ())],
        "limits": limits,
    }


def ready(model: str) -> bool:
    """Whether the network's weights are here."""
    try:
        models.weights_of(model, "")
    except Exception:
        return False
    return not models.find(model).needs_weights
