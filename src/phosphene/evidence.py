"""How much a picture says: a unit's activation on it beside that on crops of natural photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import RandomState
from torch import Tensor
from torch.nn import functional as F

from phosphene.album import Album
from phosphene.errors import PhospheneError
from phosphene.folder import CATALOG, SUFFIXES
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


@dataclass(frozen=True)
class Photos:
    """Natural photos `[3, H, W]`, 0..1, by name, and where they are from."""

    source: str
    images: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()  # what isn't among them

    @cached_property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width of each."""
        if isinstance(self.images, Album):
            return self.images.sizes
        return {name: (image.shape[-2], image.shape[-1]) for name, image in self.images.items()}


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


def photos(folder: str = "", crops: int = CROPS) -> Photos:
    """Those in a folder, or those that scikit-image ships. E_INPUT where there is none.

    Of a large folder so many, evenly spread, as `crops` show at every scale.
    """
    source, paths = folder or "scikit-image", photo_files(folder)
    most, notes = max(CROPS, crops) // len(SCALES), []
    if len(paths) > most:
        notes.append(f"{source}: {most} of its {len(paths)} photos are looked at, evenly spread")
        paths = [paths[number * len(paths) // most] for number in range(most)]
    found = Album(paths)
    if not found:
        raise PhospheneError("E_INPUT", f"{source}: no photo in it that can be read; give another folder")
    if found.unread:
        names = ", ".join(path.name for path in found.unread[:3]) + ", …" * (len(found.unread) > 3)
        notes.append(f"{source}: {len(found.unread)} of {len(paths)} photos can't be read: {names}")
    return Photos(source, found, tuple(notes))


def photo_files(folder: str = "") -> list[Path]:
    """The files of `photos`, without those of catalogs. E_INPUT where there is no such folder."""
    if folder:
        if not Path(folder).is_dir():
            raise PhospheneError("E_INPUT", f"{folder}: no folder; give a folder of photos")
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        sites = {path.parent for path in Path(folder).rglob(CATALOG)}
        return [path for path in found if sites.isdisjoint(path.parents)]
    try:
        home = Path(str(resources.files("skimage"))) / "data"
    except ImportError:
        raise PhospheneError(
            "E_INPUT", "scikit-image, whose photos are used, isn't installed; give a folder with --photos"
        ) from None
    return [home / name for name in PACKAGED]


def windows(given: Photos, count: int = CROPS, seed: int = 0) -> list[Window]:
    """`count` crops: every photo and scale as often, places at random."""
    random, names = RandomState(seed), list(given.sizes)
    found = []
    for number in range(count):
        name, scale = names[number % len(names)], SCALES[number // len(names) % len(SCALES)]
        height, width = given.sizes[name]
        side = max(8, round(scale * min(height, width)))
        side = min(side, height, width)
        top, left = random.randint(0, height - side + 1), random.randint(0, width - side + 1)
        found.append(Window(name, int(top), int(left), side))
    return found


def survey(objectives: Sequence[Objective], lens: Lens, given: Photos, count: int = CROPS) -> np.ndarray:
    """Each objective's score on every crop: `[objectives, crops]`. The objectives are bound."""
    layers = frozenset().union(*(one.layers for one in objectives))
    values = np.empty((len(objectives), count), np.float32)
    with torch.inference_mode(False), torch.no_grad(), lens.watching(layers) as look:
        for numbers, images in crops(given, windows(given, count)):
            acts = look(images.to(lens.device))
            for row, objective in enumerate(objectives):
                values[row, numbers] = objective(acts).cpu().numpy()
    return values


def crops(given: Photos, places: Sequence[Window]) -> Iterator[tuple[list[int], Tensor]]:
    """All of them, some at a time and photo after photo: their numbers, and `[n, 3, SIDE, SIDE]`."""
    order = {name: number for number, name in enumerate(given.sizes)}
    numbers = sorted(range(len(places)), key=lambda number: order[places[number].photo])
    for start in range(0, len(numbers), AT_ONCE):
        some = numbers[start : start + AT_ONCE]
        yield some, torch.stack([crop(given, places[number]) for number in some])


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
        photos=len(given.sizes),
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
