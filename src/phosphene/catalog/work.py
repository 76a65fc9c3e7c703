"""The work itself: an item in, its pictures and its record in the site. One worker's, with its network."""

from __future__ import annotations

import base64
import hashlib
import platform
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene import features, models
from phosphene.catalog import likeness
from phosphene.catalog.atlas import POWER, Chart, layer_of, name_of
from phosphene.catalog.files import files
from phosphene.catalog.plan import of_photos
from phosphene.catalog.record import WHOLE, Image, Item, Made, Plan, Record, Unit
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.evidence import SIDE, Window, best, crops, photo_files, photos, windows
from phosphene.features import Seen
from phosphene.objective import Objective, batch
from phosphene.picture import open_picture
from phosphene.picture.encode import encode
from phosphene.picture.picture import Picture, pixels_of
from phosphene.recipe import file_sha256
from phosphene.words import channel, direction

QUALITY, SMALL = 90, 96  # of the pictures; px of their thumbnails
AT_ONCE = 32  # crops
SIGNED = 256  # crops whose activations are a unit's signature
POINTS = np.linspace(0, 1, 257)


class Work:
    """The task of a catalog: `plan` as JSON, and the place of the site's `Store`, which its results are put
    into and where atlases' charts are, unless they are given.
    """

    def __init__(
        self,
        plan: str,
        site: str,
        device: str = "",
        threads: int = 0,
        charts: Mapping[str, bytes] | None = None,
    ) -> None:
        if "://" not in site and not Path(site).is_absolute():
            raise PhospheneError(
                "E_PARAM", f"site is {site[:200]!r}, expected its whole path; give the place of its Store"
            )
        if threads:
            torch.set_num_threads(threads)
        self.plan = Plan.from_json(plan)
        self.noise = self.plan.noise if not device else self.plan.noise.but(device=device)
        self.dream = self.plan.dream.but(device=self.noise.device)
        self.lens = models.of(self.noise)
        planned, here = self.plan.weights_sha256, self.lens.weights_sha256
        if planned and here and planned != here:
            raise self._other("E_WEIGHTS", "weights")
        self.files, self.charts = files(site), charts or {}
        self.known: dict[int, Image] = {}
        self.bytes = 0

    def do(self, item: Item) -> Record:
        """The item's record; one that a worker left before it died is taken as it is."""
        place = f"records/{item.name}.json"
        if left := self.files.read(place):
            return Record.from_json(left)
        record = self.made(item)
        self.files.write(place, record.to_json())
        return record

    def made(self, item: Item) -> Record:
        """What the item gives; its pictures are written."""
        began, self.bytes = time.monotonic(), 0
        make = {"noise": self._noise, "diverse": self._diverse, "dream": self._dream, "photos": self._photos}
        make[WHOLE] = self._atlas
        units = make[item.kind](item)
        made = Made(
            device=str(self.lens.device),
            threads=torch.get_num_threads(),
            batch=len(item.channels),
            seconds=time.monotonic() - began,
            host=platform.node(),
        )
        return Record(item, made, tuple(units), self.bytes)

    def _noise(self, item: Item) -> list[Unit]:
        found = self._grown([channel(item.layer, number) for number in item.channels])
        return [
            Unit(
                *(number, key, (self._picture(one, "noise"),), {"score": one.score}),
                signature=_text(likeness.signature(features.over_grey(one.image, one.opacity))),
            )
            for number, key, one in zip(item.channels, item.keys, found, strict=True)
        ]

    def _diverse(self, item: Item) -> list[Unit]:
        units = []
        for number, key in zip(item.channels, item.keys, strict=True):
            wanted = features.variants(channel(item.layer, number), self.plan.variants)
            found = self._grown(wanted)
            pictures = tuple(self._picture(one, "diverse") for one in found)
            units.append(Unit(number, key, pictures, {"score": max(one.score for one in found)}))
        return units

    def _atlas(self, item: Item) -> list[Unit]:
        layer, chart = layer_of(item.layer), self._chart(item.layer)
        wanted = [direction(layer, chart.vectors[number], POWER) for number in item.channels]
        found = self._grown(wanted, self.plan.cell)
        return [
            Unit(number, key, (self._picture(one, WHOLE),), {"score": one.score})
            for number, key, one in zip(item.channels, item.keys, found, strict=True)
        ]

    def _chart(self, name: str) -> Chart:
        sha256 = next(one.sha256 for one in self.plan.atlases if one.layer == layer_of(name))
        data = self.charts.get(sha256) or self.files.read(name_of(sha256))
        if data is None:
            raise PhospheneError("E_INPUT", f"{name_of(sha256)} is missing; the same command makes it again")
        return Chart.from_bytes(data)

    def _grown(self, objectives: Sequence[Objective], side: int = 0) -> list[Seen]:
        """The pictures of one batch, in order."""
        size = (side or self.plan.size, side or self.plan.size)
        bound = [one.bind(self.lens) for one in objectives]
        (last,) = deque(features.frames(bound, self.lens, self.noise, size), maxlen=1)
        return list(features.seen(last, range(len(bound)), bound, self.lens))

    def _dream(self, item: Item) -> list[Unit]:
        bound = [channel(item.layer, number).bind(self.lens) for number in item.channels]
        start = self._photo.expand(len(bound), -1, -1, -1)
        joined = batch(bound) if len(bound) > 1 else bound[0]
        (last,) = deque(dream(start, joined, self.lens, self.dream), maxlen=1)
        found = features.seen(last, range(len(bound)), bound, self.lens)
        return [
            Unit(number, key, (self._picture(one, "dream"),), {"score": one.score})
            for number, key, one in zip(item.channels, item.keys, found, strict=True)
        ]

    @cached_property
    def _photo(self) -> Tensor:
        if file_sha256(self.plan.picture) != self.plan.photo:
            raise self._other("E_INPUT", self.plan.picture)
        return open_picture(self.plan.picture).tensor()

    def _photos(self, item: Item) -> list[Unit]:
        places, crops = self._crops
        values = self._seen(item.layer, crops)  # [crops, channels]
        return [
            self._evidence(number, key, values[:, number], places)
            for number, key in zip(item.channels, item.keys, strict=True)
        ]

    @cached_property
    def _crops(self) -> tuple[list[Window], Tensor]:
        """All crops of the photos, as bytes `[crops, 3, SIDE, SIDE]`."""
        if of_photos(photo_files(self.plan.folder)) != self.plan.photos:
            raise self._other("E_INPUT", self.plan.folder or "scikit-image's photos")
        given = photos(self.plan.folder, self.plan.crops)
        places = windows(given, self.plan.crops)
        found = torch.empty((len(places), 3, SIDE, SIDE), dtype=torch.uint8)
        for numbers, images in crops(given, places):
            found[numbers] = (images.clamp(0, 1) * 255).round().to(torch.uint8)
        return places, found

    def _other(self, code: str, what: str) -> PhospheneError:
        return PhospheneError(code, f"{what}: others on {platform.node()} than were planned with; plan again")

    def _seen(self, layer: str, crops: Tensor) -> np.ndarray[Any, Any]:
        """Each channel's mean activation on every crop."""
        found = []
        with torch.inference_mode(False), torch.no_grad(), self.lens.watching([layer]) as look:
            for start in range(0, len(crops), AT_ONCE):
                images = crops[start : start + AT_ONCE].to(self.lens.device).float() / 255
                act = look(images)[layer].float()
                found.append((act.flatten(2).mean(2) if act.dim() > 2 else act).cpu())
        return np.asarray(torch.cat(found).numpy())

    def _evidence(self, number: int, key: str, values: np.ndarray[Any, Any], places: list[Window]) -> Unit:
        images = [self._crop(n, "top", float(values[n])) for n in best(values, places)]
        images += [self._crop(n, "bottom", float(values[n])) for n in best(-values, places)]
        figures = {
            "mean": float(values.mean()),
            "deviation": float(values.std()),
            "highest": float(values.max()),
        }
        signed = values[np.linspace(0, len(values) - 1, min(SIGNED, len(values))).astype(int)]
        signed = signed - signed.mean()
        signed = signed / max(float(np.linalg.norm(signed)), 1e-12)
        return Unit(number, key, tuple(images), figures, _text(np.quantile(values, POINTS)), _text(signed))

    def _crop(self, number: int, role: str, activation: float) -> Image:
        places, crops = self._crops
        if number not in self.known:
            sha = self._stored(crops[number].float() / 255)
            self.known[number] = Image(sha, SIDE, SIDE, "", None, ",".join(map(str, places[number])))
        one = self.known[number]
        return Image(one.sha, one.width, one.height, role, activation, one.photo)

    def _picture(self, one: Seen, role: str) -> Image:
        image = features.over_grey(one.image, one.opacity)
        return Image(self._stored(image), image.shape[2], image.shape[1], role, one.score)

    def _stored(self, image: Tensor) -> str:
        """Put a picture `[3, H, W]` and its thumbnail where its hash says; the hash."""
        data, _ = encode(Picture(pixels_of(image)), "webp", quality=QUALITY)
        sha = hashlib.sha256(data).hexdigest()
        ratio = SMALL / max(image.shape[1:])
        size = [max(1, round(side * ratio)) for side in image.shape[1:]]
        little = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0] if ratio < 1 else image
        small, _ = encode(Picture(pixels_of(little)), "webp", quality=QUALITY)
        place = f"images/{sha[:2]}/{sha}"
        self.files.write(f"{place}-{SMALL}.webp", small, again=False)
        self.files.write(f"{place}.webp", data, again=False)
        self.bytes += len(data) + len(small)
        return sha


def _text(values: np.ndarray[Any, Any]) -> str:
    """As float16 in base64."""
    return base64.b64encode(values.astype(np.float16).tobytes()).decode()
