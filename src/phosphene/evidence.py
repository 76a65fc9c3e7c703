"""How much a picture says: a unit's activation on it beside that on crops of natural photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import RandomState
from torch import Tensor
from torch.nn import functional as F

from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.objective import Objective

PACKAGED = (  # of scikit-image's
    *("astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png"),
    *("motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)
CROPS = 2048
SIDE = 128  # px to which a crop is resized
SCALES = (0.15, 0.3, 0.6, 1.0)  # of a photo's shorter side
AT_ONCE = 32
BEST = 9
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff")


@dataclass(frozen=True)
class Photos:
    """Natural photos `[3, H, W]`, 0..1, by name, and where they are from."""

    source: str
    images: dict[str, Tensor]


class Window(NamedTuple):
    """A square of a photo, in pixels."""

    photo: str
    top: int
    left: int
    side: int


class Crop(NamedTuple):
    """A window, and a unit's activation on it."""

    window: Window
    activation: float


@dataclass(frozen=True)
class Evidence:
    """A unit's activation on its picture, as a percentile among those on `crops` crops of photos."""

    activation: float
    percentile: float
    crops: int
    photos: int
    source: str
    mean: float
    deviation: float
    highest: float
    best: tuple[Crop, ...]


def photos(folder: str = "") -> Photos:
    """Those in a folder, or those that scikit-image ships. E_INPUT where there is none."""
    from phosphene.picture import open_picture

    source, paths = folder or "scikit-image", photo_files(folder)
    found = {}
    for path in paths:
        try:
            found[path.name if path.name not in found else str(path)] = open_picture(path).tensor()[0]
        except PhospheneError:
            continue  # one bad photo says nothing of the unit
    if not found:
        raise PhospheneError("E_INPUT", f"{source}: no photo in it that can be read; give another folder")
    return Photos(source, found)


def photo_files(folder: str = "") -> list[Path]:
    """The files of `photos`. E_INPUT where there is no such folder."""
    if folder:
        if not Path(folder).is_dir():
            raise PhospheneError("E_INPUT", f"{folder}: no folder; give a folder of photos")
        return sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)
    try:
        home = Path(str(resources.files("skimage"))) / "data"
    except ImportError:
        raise PhospheneError(
            "E_INPUT", "scikit-image, whose photos are used, isn't installed; give a folder with --photos"
        ) from None
    return [home / name for name in PACKAGED]


def windows(given: Photos, count: int = CROPS, seed: int = 0) -> list[Window]:
    """`count` crops: every photo and scale as often, places at random."""
    random, names = RandomState(seed), list(given.images)
    found = []
    for number in range(count):
        name, scale = names[number % len(names)], SCALES[number // len(names) % len(SCALES)]
        height, width = given.images[name].shape[-2:]
        side = max(8, round(scale * min(height, width)))
        side = min(side, height, width)
        top, left = random.randint(0, height - side + 1), random.randint(0, width - side + 1)
        found.append(Window(name, int(top), int(left), side))
    return found


def survey(objectives: Sequence[Objective], lens: Lens, given: Photos, count: int = CROPS) -> np.ndarray:
    """Each objective's score on every crop: `[objectives, crops]`. The objectives are bound."""
    layers = frozenset().union(*(one.layers for one in objectives))
    values = np.empty((len(objectives), count), np.float32)
    places = windows(given, count)
    with torch.inference_mode(False), torch.no_grad(), lens.watching(layers) as look:
        for start in range(0, count, AT_ONCE):
            images = torch.stack([crop(given, place) for place in places[start : start + AT_ONCE]])
            acts = look(images.to(lens.device))
            for row, objective in enumerate(objectives):
                values[row, start : start + len(images)] = objective(acts).cpu().numpy()
    return values


def crop(given: Photos, place: Window, size: int = SIDE) -> Tensor:
    """A window of a photo, resized: `[3, size, size]`."""
    name, top, left, side = place
    window = given.images[name][None, :, top : top + side, left : left + side]
    if side == size:
        return window[0]
    return F.interpolate(window, (size, size), mode="bilinear" if side < size else "area")[0]


def evidence(activation: float, values: np.ndarray, given: Photos) -> Evidence:
    """What `survey`'s values of one unit say of its activation on a picture."""
    places = windows(given, len(values))
    return Evidence(
        activation=activation,
        percentile=float(100 * (values < activation).mean()),
        crops=len(values),
        photos=len(given.images),
        source=given.source,
        mean=float(values.mean()),
        deviation=float(values.std()),
        highest=float(values.max()),
        best=tuple(Crop(places[i], float(values[i])) for i in best(values, places)),
    )


def best(values: np.ndarray, places: Sequence[Window]) -> Iterator[int]:
    """The crops that excite a unit most, none of which overlaps one before it by more than a third."""
    chosen: list[int] = []
    for i in np.argsort(-values):
        if not any(_overlap(places[i], places[j]) > 1 / 3 for j in chosen):
            chosen.append(int(i))
            yield int(i)
        if len(chosen) == BEST:
            return


def _overlap(a: Window, b: Window) -> float:
    """The part of the smaller window that lies in the other."""
    if a.photo != b.photo:
        return 0.0
    high = max(0, min(a.top + a.side, b.top + b.side) - max(a.top, b.top))
    wide = max(0, min(a.left + a.side, b.left + b.side) - max(a.left, b.left))
    return high * wide / min(a.side, b.side) ** 2


def attribution(objective: Objective, image: Tensor, lens: Lens) -> Tensor:
    """Which pixels of an image `[3, H, W]` count: Σ|gradient × input| over its 99th percentile, `[H, W]`."""
    with torch.inference_mode(False), torch.enable_grad(), lens.watching(objective.layers) as look:
        x = image[None].to(lens.device).clone().requires_grad_()
        (g,) = torch.autograd.grad(objective(look(x)).sum(), x)
    weight = (g * x.detach()).abs().sum(1)[0].cpu()
    most = torch.quantile(weight.flatten()[:: max(1, weight.numel() // 2**20)], 0.99)
    return (weight / most.clamp_min(torch.finfo(torch.float32).tiny)).clamp(0, 1)
