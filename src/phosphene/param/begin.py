"""What an octave begins with: the param that the settings ask for, showing the picture so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phosphene import plugins
from phosphene.canvas import Held, Kept
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.noise import Noise
from phosphene.param.backdrop import opaque
from phosphene.param.base import Param
from phosphene.param.cppn import Cppn
from phosphene.param.fourier import Fourier
from phosphene.param.laplacian import Laplacian
from phosphene.param.learned import Learned, scattered
from phosphene.param.maco import Maco
from phosphene.param.pixel import Pixel
from phosphene.param.pixels import Pixels

PARAMS: dict[str, type[Param]] = {
    "pixel": Pixel,
    "fourier": Fourier,
    "laplacian": Laplacian,
    "cppn": Cppn,
    "maco": Maco,
}


def kind_of(name: str) -> type[Param]:
    """A param by its name: ours, or one that an installed package adds. E_PARAM, E_PLUGIN."""
    if name in PARAMS:
        return PARAMS[name]
    found = plugins.load("param", name)
    if found is None:
        raise PhospheneError("E_PARAM", f"there is no param {name!r}, expected one of {', '.join(PARAMS)}")
    if not (isinstance(found, type) and issubclass(found, Param)):
        raise plugins.refused(
            "param", name, f"it is {found!r:.80}, expected a class under phosphene.param.Param"
        )
    return found


def begin(
    config: Dream, picture: Kept, noise: Noise | None, before: Pixels | Learned | None = None
) -> Pixels | Learned:
    """A param that shows `picture`, or `noise`; `before` is the last octave's, whose moments go on."""
    if config.param == "pixel" and config.optimizer in ("auto", "ascent"):
        if config.transparency:
            raise PhospheneError(
                "E_PARAM", "--transparency needs another --param, such as fourier, or --optimizer adam"
            )
        return Pixels(picture)
    if not isinstance(picture, Held):
        raise PhospheneError(
            "E_PARAM", f"a picture on disk has param pixel and optimizer ascent, got {config.param}"
        )
    if isinstance(before, Learned):
        return before.resized(picture.size, None if noise else picture.image)
    planes = 4 if config.transparency else 3
    param = kind_of(config.param)(picture.shape[0], picture.size, planes).to(picture.device)
    if noise:
        scattered(param, config.seed or 0, noise.starts)
    else:
        param.fit(opaque(picture.image) if planes == 4 else picture.image)
    optimizer = "" if config.optimizer == "auto" else config.optimizer
    rate = (config.rate or param.rate) * config.strength
    return Learned(
        param, optimizer, rate, config.average, transparency=config.transparency, seed=config.seed or 0
    )


def resumed(canvas: Pixels | Learned, state: Mapping[str, Any]) -> Any:
    """Bring `canvas` to the place that a run's `state` is of; what to go back to if the next step fails."""
    return canvas.resumed(state) if isinstance(canvas, Learned) else state["good"]
