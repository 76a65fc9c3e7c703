"""What the worker makes for the page's map: pictures of units, and networks' layers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from phosphene import engine, features, layers, words
from phosphene.config import Dream
from phosphene.lens import Lens
from phosphene.models.cards import MODELS
from phosphene.objective import Objective
from phosphene.picture import Picture, atomic, open_picture, save_picture

if TYPE_CHECKING:
    from phosphene.studio.worker import Worker

SIZE, STEPS = 112, 40  # of a picture of a unit
ON_PHOTO = Dream(max_size=160, octaves=2, steps=8, seed=0)


def sketched(worker: Worker, message: Mapping[str, Any]) -> None:
    """Make what is wanted, into the cache; `Asked` when it is to give way."""
    lens = worker.lens(Dream(model=message["model"]))
    if not message["layer"]:
        (one,) = message["sketches"]
        with atomic.write(worker.cache / one["name"], overwrite=True) as file:
            file.write(json.dumps(tree(lens)).encode())
        return
    objectives = [_objective(message["layer"], one["channel"]) for one in message["sketches"]]
    bound = [objective.bind(lens) for objective in objectives]
    if message["photo"]:
        pictures = _on_photo(worker, message["photo"], bound, lens)
    else:
        pictures = _dreams(worker, bound, lens)
    for one, picture in zip(message["sketches"], pictures, strict=True):
        _keep(picture, worker.cache / one["name"])


def tree(lens: Lens) -> dict[str, Any]:
    """Every layer that can be watched, and the classes' names."""
    card = next((model for model in MODELS if model.name == lens.name), None)
    named = {*card.layers, card.objective} if card else set()
    rows = [
        {
            "name": row.name,
            "kind": row.kind,
            "channels": row.channels,
            "depth": row.depth,
            "height": row.height,
            "width": row.width,
            "card": row.name in named,
        }
        for row in layers.maps(lens)
    ]
    return {"layers": rows, "classes": list(lens.classes)}


def _objective(layer: str, channel: int | None) -> Objective:
    return words.layer(layer) if channel is None else words.channel(layer, channel)


def _dreams(worker: Worker, objectives: list[Objective], lens: Lens) -> Iterator[Tensor]:
    """What units dream from noise, `[3, H, W]`, in one pass."""
    from phosphene.studio.worker import Asked

    config = features.settings(steps=STEPS, seed=0)
    for frame in features.frames(objectives, lens, config, (SIZE, SIZE)):  # noqa: B007
        if worker.asked(""):
            raise Asked
    yield from frame.full()


def _on_photo(worker: Worker, photo: str, objectives: list[Objective], lens: Lens) -> Iterator[Tensor]:
    """What units do to a photo, one after the other."""
    from phosphene.studio.worker import Asked

    image = open_picture(worker.files / f"{photo}.jpg").tensor()
    for objective in objectives:
        for frame in engine.dream(image, objective, lens, ON_PHOTO):  # noqa: B007
            if worker.asked(""):
                raise Asked
        yield frame.full()[0]


def _keep(image: Tensor, target: Any) -> None:
    pixels = image.permute(1, 2, 0).contiguous().to("cpu", torch.float32).numpy()
    small = Picture(pixels, None, 8, None, "webp", "", ())
    save_picture(target, small, format="webp", quality=85, overwrite=True)
