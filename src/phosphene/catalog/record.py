"""What a catalog is to hold, in items, and what an item left: data only, the same on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phosphene.config import Dream
from phosphene.errors import PhospheneError

FORMAT = 1  # changes with what a picture depends on and doesn't say
ATLAS = "atlas:"  # before a layer's name: the cells of its atlas, in the place of channels
KINDS = ("noise", "diverse", "dream", "photos")
WHOLE = "atlas"  # the kind of an atlas's cells
Kind = Literal["noise", "diverse", "dream", "photos"]
SHOT = {"noise": 8, "diverse": 1, "dream": 4, "photos": 512, WHOLE: 8}  # units of an item
ELSEWHERE = {"model", "weights", "objective"}  # said in a key by themselves
NEVER = {"device", "threads", "max_memory", "compile", "plain", "checkpointing", "tile", "halo"}
NETWORK = {"mean", "std", "range", "channel_order", "dtype"}  # all that figures on photos depend on


class Layer(BaseModel):
    """A layer's planned units: `range(start, stop, step)` of its channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str = ""
    channels: int
    height: int | None = None
    width: int | None = None
    depth: int = 0
    start: int = 0
    stop: int
    step: int = 1

    @property
    def units(self) -> range:
        return range(self.start, self.stop, self.step)


class Atlas(BaseModel):
    """A layer's atlas: so many cells, as the chart of that hash has them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    cells: int
    sha256: str


class Plan(BaseModel):
    """Everything that determines a catalog. `noise` are the settings of pictures from noise, `dream` those
    of the dreamed photo; `photos` is the fingerprint of the folder of photos, `photo` that of the one
    that is dreamed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    model: str
    weights_sha256: str = ""
    layers: tuple[Layer, ...]
    kinds: tuple[Kind, ...] = ("noise", "photos")
    atlases: tuple[Atlas, ...] = ()
    cell: int = Field(96, ge=16, le=1024)  # px of an atlas's pictures
    size: int = Field(224, ge=16, le=8192)
    variants: int = Field(4, ge=2, le=64)
    crops: int = Field(2048, ge=16, le=100_000)
    noise: Dream
    dream: Dream = Dream()
    folder: str = ""  # of photos; '' = scikit-image's
    photos: str = ""
    picture: str = ""  # the photo that is dreamed
    photo: str = ""
    software: dict[str, str] = {}
    plugins: dict[str, str] = {}  # by setting, `param` or `model`, the package that its value comes from

    @property
    def units(self) -> int:
        return sum(len(layer.units) for layer in self.layers)

    def to_json(self) -> str:
        return self.model_dump_json(indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """E_RECIPE for what is no plan."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part)[:80] for part in first["loc"])
            raise PhospheneError("E_RECIPE", f"plan.json: {place}: {first['msg']}") from None


@dataclass(frozen=True)
class Item:
    """Units of one layer whose results of one kind are made together."""

    name: str
    layer: str
    kind: str
    channels: tuple[int, ...]
    keys: tuple[str, ...]


def item(layer: str, kind: str, channels: Sequence[int], keys: Sequence[str]) -> Item:
    name = hashlib.sha256("".join(keys).encode()).hexdigest()[:32]
    return Item(name, layer, kind, tuple(channels), tuple(keys))


def items(plan: Plan) -> Iterator[Item]:
    """All of a plan, layer by layer, one at a time: a plan of millions of units takes no memory."""
    for layer in plan.layers:
        for kind in plan.kinds:
            key_of = _keys(plan, layer.name, kind)
            units = layer.units
            for start in range(0, len(units), SHOT[kind]):
                channels = units[start : start + SHOT[kind]]
                yield item(layer.name, kind, channels, [key_of(channel) for channel in channels])
    for atlas in plan.atlases:
        name = f"{ATLAS}{atlas.layer}"
        key_of = _keys(plan, f"{name} {atlas.sha256}", WHOLE)
        for start in range(0, atlas.cells, SHOT[WHOLE]):
            cells = range(start, min(atlas.cells, start + SHOT[WHOLE]))
            yield item(name, WHOLE, cells, [key_of(cell) for cell in cells])


def _keys(plan: Plan, layer: str, kind: str) -> Any:
    """The key of a channel: the hash of everything that determines what is made of it."""
    base = json.dumps(_depends(plan, kind) | {"layer": layer}, sort_keys=True, separators=(",", ":"))
    begun = hashlib.sha256(base.encode())

    def key(channel: int) -> str:
        one = begun.copy()
        one.update(f":{channel}".encode())
        return one.hexdigest()[:32]

    return key


def _depends(plan: Plan, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {"format": FORMAT, "model": plan.model, "weights": plan.weights_sha256}
    found["kind"] = kind
    leave = ELSEWHERE | NEVER
    theirs = {"model"} if kind in ("photos", "dream") else {"model", "param"}
    if others := {name: package for name, package in plan.plugins.items() if name in theirs}:
        found["plugins"] = others
    if kind == "photos":
        return found | {
            "dream": plan.noise.model_dump(mode="json", include=NETWORK),
            "photos": plan.photos,
            "crops": plan.crops,
        }
    if kind == "dream":
        return found | {"dream": plan.dream.model_dump(mode="json", exclude=leave), "photo": plan.photo}
    size = plan.cell if kind == WHOLE else plan.size
    found |= {"dream": plan.noise.model_dump(mode="json", exclude=leave), "size": size}
    return found | ({"variants": plan.variants} if kind == "diverse" else {})


@dataclass(frozen=True)
class Image:
    """A picture of a unit: `images/<first two of sha>/<sha>.webp`, and `<sha>-96.webp`, 96 px high or wide.

    `role` is noise, diverse, dream, top or bottom; `photo` is where a crop is from: name, top, left, side.
    """

    sha: str
    width: int
    height: int
    role: str
    activation: float | None = None
    photo: str = ""


@dataclass(frozen=True)
class Unit:
    """What one kind of work left of one channel.

    `figures`: of noise, diverse and dream `score`; of photos `mean`, `deviation`, `highest`. `quantiles`:
    base64 of 257 float16, the unit's activations on the crops. `signature`: base64 of float16, to compare
    units with: of photos the activations on some crops, mean 0 and length 1, of noise what it looks like.
    """

    channel: int
    key: str
    images: tuple[Image, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    quantiles: str = ""
    signature: str = ""


@dataclass(frozen=True)
class Made:
    """How it was made, which isn't part of any key."""

    device: str = ""
    threads: int = 0
    batch: int = 0
    seconds: float = 0.0
    host: str = ""


@dataclass(frozen=True)
class Record:
    """What an item left."""

    item: Item
    made: Made
    units: tuple[Unit, ...]
    size: int = 0  # bytes of its pictures

    def to_json(self) -> bytes:
        from dataclasses import asdict

        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Record:
        """ValueError, KeyError or TypeError for what is none."""
        values = json.loads(text)
        of = values["item"]
        return cls(
            Item(of["name"], of["layer"], of["kind"], tuple(of["channels"]), tuple(of["keys"])),
            Made(**values["made"]),
            tuple(
                Unit(**unit | {"images": tuple(Image(**image) for image in unit["images"])})
                for unit in values["units"]
            ),
            values["size"],
        )
