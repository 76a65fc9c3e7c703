"""From what a visitor asked for to what the engine takes, and from its last frame to a picture to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phosphene import expression, features, models, recipe, words
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.frame import Frame
from phosphene.lens import Lens
from phosphene.noise import Noise
from phosphene.objective import Objective
from phosphene.octave import octave_count, output_size
from phosphene.picture import Picture, open_picture, save_picture
from phosphene.presets import ZOOM


@dataclass(frozen=True)
class Made:
    """A job, ready to run."""

    image: Tensor | Noise
    objective: Objective
    lens: Lens
    dream: Dream
    mask: Tensor | None
    photo: Picture | None
    name: str  # of the photo
    files: dict[str, str]  # name -> SHA-256, of guide and mask


def made_of(job: Mapping[str, Any], files: Path, load: Callable[[Dream], Lens]) -> Made:
    """Load and bind everything that a job names; PhospheneError says what can't be."""
    asked = job["asked"]
    photo = None
    if asked.get("photo") and job["kind"] != "video":
        photo = open_picture(files / f"{asked['photo']}.upload")
    elif asked.get("from"):
        photo = open_picture(files / f"{asked['from']}.png")
    dream = settings_of(job["kind"], asked["settings"])
    if dream.threads:
        torch.set_num_threads(dream.threads)
    lens = load(dream)
    objective = expression.parse(dream.objective or models.own(lens, bool(asked.get("guide"))))
    if objective.files:
        raise PhospheneError("E_PARAM", "an objective names a file; upload it as the guide")
    used: dict[str, str] = {}
    if asked.get("guide"):
        guide = files / f"{asked['guide']}.upload"
        if objective.text != words.layer(objective.terms[0].layer).text:
            raise PhospheneError(
                "E_PARAM", f"a guide needs a plain layer as objective, got {objective.text[:100]!r}"
            )
        objective = words.guide(str(guide), objective.terms[0].layer)
        used["guide"] = recipe.sha256_of(guide)
    mask = None
    if asked.get("mask"):
        mask = open_picture(files / f"{asked['mask']}.upload").tensor().mean(1, keepdim=True)
        used["mask"] = recipe.sha256_of(files / f"{asked['mask']}.upload")
    size = int(asked.get("size") or 512)
    image: Tensor | Noise = Noise(1, size, size, numbers=(0,)) if photo is None else photo.tensor()
    height, width = (size, size) if photo is None else photo.size
    dream = dream.but(
        objective=objective.text if not asked.get("guide") else objective.terms[0].layer,
        dtype=lens.dtype,
        device=str(lens.device),
        threads=torch.get_num_threads(),
    )
    if job["kind"] in ("dream", "visualize"):
        dream = dream.but(octaves=octave_count(*output_size(height, width, dream), dream))
    name = str(asked.get("name") or "")
    return Made(image, objective.bind(lens), lens, dream, mask, photo, name, used)


def settings_of(kind: str, settings: Mapping[str, Any]) -> Dream:
    """With the defaults of that kind of job."""
    if kind == "visualize":
        return features.settings(str(settings.get("objective", "")), **settings)
    return Dream(**(ZOOM if kind == "zoom" else {})).but(**settings)


def saved(made: Made, last: Frame, target: Path) -> None:
    """The picture so far, with its recipe, at `target`."""
    stopped = None if last.done else recipe.Stop(octave=last.octave + 1, step=last.step + 1)
    photo = start = None
    if made.photo is not None:
        height, width = made.photo.size
        photo = recipe.Picture(name=made.name, sha256=made.photo.sha256, width=width, height=height)
    else:
        height, width = last.photo.size
        start = recipe.Start(width=width, height=height, image=0)
    tiled = last.config.tile < max(last.photo.size)
    text = recipe.Recipe(
        dream=last.config.but(
            tile=last.config.tile if tiled else made.dream.tile,
            objective=made.dream.objective,
            guide="guide" if "guide" in made.files else "",
            mask="mask" if "mask" in made.files else "",
        ),
        input=photo,
        start=start,
        weights_sha256=made.lens.weights_sha256,
        files=made.files,
        interrupted=stopped,
        software=recipe.software(made.dream),
    ).to_text()
    if made.photo is not None:
        picture = made.photo.with_tensor(last.full())
    else:
        pixels = np.ascontiguousarray(last.full()[0].permute(1, 2, 0).cpu().numpy())
        picture = Picture(pixels, None, 8, None, "png", "", ())
    if last.opacity is not None:
        picture = replace(picture, alpha=last.opacity[0, 0].cpu().numpy())
    save_picture(target, picture, format="png", recipe=text, overwrite=True)
