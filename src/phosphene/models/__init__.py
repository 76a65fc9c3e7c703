"""The networks that phosphene knows by name. Importing this costs milliseconds: torch waits for `load`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phosphene.errors import PhospheneError, nearest

if TYPE_CHECKING:
    from phosphene.lens import Lens


@dataclass(frozen=True)
class Model:
    """A network by name, and where its dreams are good."""

    name: str
    summary: str
    objective: str  # what is dreamed when nothing is asked for
    guide_layer: str  # where a guide picture's features are compared
    needs_weights: bool  # True: there is no package with its weights, the user gives a file


MODELS = (
    Model(
        "efficientnet_lite2",
        "EfficientNet-Lite2, ImageNet; the default",
        "blocks.4.1",
        "blocks.3.1",
        False,
    ),
    Model(
        "efficientnet_lite0",
        "EfficientNet-Lite0, ImageNet; smaller and faster",
        "blocks.4.2 + blocks.3.2",
        "blocks.3.1",
        False,
    ),
    Model(
        "bvlc_googlenet",
        "BVLC GoogLeNet, the network of the 2015 notebook, ImageNet; needs --weights",
        "inception_4c/output",
        "inception_3b/output",
        True,
    ),
)


def available() -> tuple[Model, ...]:
    """Every network that `load` knows, the default first."""
    return MODELS


def find(name: str) -> Model:
    """The network of that name; E_MODEL with the names that are spelled most like it."""
    for model in MODELS:
        if model.name == name:
            return model
    near = ", ".join(nearest(name[:200], [model.name for model in MODELS], 3))
    raise PhospheneError(
        "E_MODEL", f"there is no model {name[:200]!r}; the nearest are {near}; `phosphene models` lists all"
    )


def load(
    name: str,
    weights: str = "",
    *,
    device: str = "auto",
    dtype: str = "float32",
    plain: bool = False,
    compile: bool = False,  # noqa: A002
) -> Lens:
    """The network `name` as a `Lens`, with the weights of the file `weights` ('' = its package's own).

    `device` is auto, cpu, cuda, cuda:N or mps; `dtype` float32, bfloat16 or float16, where the
    processor has such arithmetic of its own: else the lens is float32 and its `notes` say so. `plain`
    is without the fast path, `compile` with torch.compile.
    Errors: E_MODEL, E_WEIGHTS, E_DEVICE, E_PARAM.
    """
    model = find(name)
    if model.needs_weights and not weights:
        raise PhospheneError(
            "E_WEIGHTS",
            f"no package brings the weights of {name}; give the file that you have, as in "
            f"`--weights {name}.safetensors` or `--weights {name}.caffemodel`",
        )
    from phosphene.models.device import arithmetic, pick

    where = pick(device)
    used, notes = arithmetic(dtype, where)
    how: dict[str, Any] = {"device": where, "dtype": used, "plain": plain, "compile": compile, "notes": notes}
    if name == "bvlc_googlenet":
        from phosphene.models import bvlc_googlenet

        return bvlc_googlenet.lens(weights, **how)
    from phosphene.models import efficientnet_lite

    return efficientnet_lite.lens(name, weights, **how)
