"""The state of a run: what `resume=` takes, and whether it is of the run that asks for it.

A state may come from a file, so nothing in it is believed before it has been looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from torch import Tensor

from phosphene.canvas import Canvas, Disk, Held, Kept
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.noise import Noise

FIELDS = frozenset(
    {"octave", "step", "image", "good", "score", "random", "halvings"}
    | {"config", "objective", "photo_shape", "digests"}
)
HOW = frozenset({"device", "threads", "max_memory"})  # settings that a resumed run may change
KEY = 624  # words of a Mersenne twister's state


@dataclass(frozen=True)
class Given:
    """What a run was given to look at; its digests are made when a state is, as they take time."""

    photo: Tensor | Canvas | Noise
    mask: Tensor | None
    detail: Tensor | None

    @cached_property
    def digests(self) -> dict[str, str]:
        """Of the values of each; '' for what wasn't given."""
        return {"photo": _digest(self.photo), "mask": _digest(self.mask), "detail": _digest(self.detail)}


def _digest(image: Tensor | Canvas | Noise | None) -> str:
    if isinstance(image, Noise):
        return repr(image)
    if isinstance(image, Canvas):
        digest = hashlib.sha256(f"disk {image.size}".encode())
        for top, bottom in image.strips():
            digest.update(image.rows(top, bottom).cpu().contiguous().numpy().data)
        return digest.hexdigest()[:32]
    if not isinstance(image, Tensor):
        return ""
    values = image.detach().to("cpu", torch.float32).contiguous()
    digest = hashlib.sha256(repr(tuple(values.shape[-2:])).encode())
    digest.update(values.numpy().data)
    return digest.hexdigest()[:32]


def settings_of(state: Any) -> Dream:
    """The settings of the run that `state` is of."""
    if not isinstance(state, dict) or not state.keys() >= FIELDS or not isinstance(state["config"], str):
        raise PhospheneError("E_PARAM", "resume is not the state() of a frame; give one, or start anew")
    return Dream.from_json(state["config"])


def checked(
    state: dict[str, Any],
    config: Dream,
    objective: str,
    given: Given,
    photo: Kept,
    sizes: Sequence[tuple[int, int]],
) -> dict[str, Any]:
    """`state`, if it is of this run and whole; else E_PARAM says what isn't.

    Its `random` becomes a generator, and its pictures are kept as the photo is.
    """
    shape = list(photo.shape)
    then = settings_of(state)
    pairs = [
        (name, getattr(then, name), getattr(config, name))
        for name in Dream.model_fields
        if name not in HOW and name != "objective"
    ]
    pairs += [("objective", state["objective"], objective), ("picture", state["photo_shape"], shape)]
    digests = state["digests"] if isinstance(state["digests"], Mapping) else {}
    pairs += [
        (f"{name}'s content", str(digests.get(name))[:8], now[:8]) for name, now in given.digests.items()
    ]
    differing = [f"{name} {was!r:.200}, now {now!r:.200}" for name, was, now in pairs if was != now]
    if differing:
        raise PhospheneError("E_PARAM", f"the state to resume is of another run: {'; '.join(differing)}")
    wrong = _wrong(state, config, shape, sizes)
    if wrong:
        raise PhospheneError("E_PARAM", f"the state to resume is damaged: its {wrong}; start anew")
    pictures = {name: _kept(state[name], photo) for name in ("image", "good")}
    return {**state, **pictures, "random": generator_at(state["random"])}


def _kept(value: Tensor | Canvas, photo: Kept) -> Kept:
    if isinstance(value, Disk) and isinstance(photo, Disk):
        return value
    canvas = value if isinstance(value, Canvas) else Held(value.to(photo.device, torch.float32).clone())
    return photo.made(canvas.shape, canvas.rows)


def _wrong(
    state: dict[str, Any], config: Dream, shape: Sequence[int], sizes: Sequence[tuple[int, int]]
) -> str:
    """What no frame of the run could have in its state; '' if all is well."""
    for name, end in {"octave": len(sizes), "step": config.steps, "halvings": 64}.items():
        if type(state[name]) is not int or not 0 <= state[name] < end:
            return f"{name} is {state[name]!r:.80}, expected 0 to {end - 1}"
    whole = [*shape[:-2], *sizes[state["octave"]]]
    for name, expected in {"image": whole, "good": whole, "score": list(shape[:1])}.items():
        value = state[name]
        if isinstance(value, Tensor) and value.is_floating_point() and name != "score" and value.dim() == 4:
            value = Held(value)
        if not isinstance(value, Tensor if name == "score" else Canvas) or list(value.shape) != expected:
            return f"{name} is no tensor {expected}"
        if isinstance(value, Canvas) and not all(
            bool(torch.isfinite(value.rows(*strip)).all()) for strip in value.strips()
        ):
            return f"{name} is not finite"
    return "" if generator_at(state["random"]) else "random numbers' place is none"


def generator_at(place: Any) -> RandomState | None:
    """The generator that goes on from `place`; numpy itself would read past the end of a wrong one."""
    try:
        key, position = np.array(place["state"]["key"], dtype=np.uint32), place["state"]["pos"]
        if key.shape != (KEY,) or type(position) is not int or not 0 <= position <= KEY:
            return None
        generator = RandomState(0)
        generator.set_state(("MT19937", key, position, 0, 0.0))
    except (TypeError, ValueError, KeyError, OverflowError):
        return None
    return generator
