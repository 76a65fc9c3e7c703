"""`Dream`: every setting that determines a picture, defined once.

Command-line flags, the TOML file, the environment, the recipe inside a picture and the table of
options in the docs are all made from these fields: ranges, defaults and help stand here alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from phosphene import plugins
from phosphene.errors import PhospheneError, nearest

MAX_OCTAVES = 32
NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d)?"
NUMBERS = rf"^({NUMBER}([,;\s]+{NUMBER}[,;\s]+{NUMBER})?)?$"  # one for each channel, or one for all
RANGE = rf"^({NUMBER}\s*(\.\.|[,:;\s-])\s*{NUMBER})?$"
DType = Literal["float32", "bfloat16", "float16"]


def _known_param(value: Any, ours: ValidatorFunctionWrapHandler) -> Any:
    try:
        return ours(value)
    except ValidationError:
        if isinstance(value, str) and value in plugins.added("param"):
            return value
        raise


ParamName = Annotated[
    Literal["pixel", "fourier", "laplacian", "cppn", "maco"],
    WrapValidator(_known_param),
    PlainSerializer(str, return_type=str),
]
OptimizerName = Literal["auto", "ascent", "adam", "nadam"]


class _Told(type(BaseModel)):  # type: ignore[misc]
    """Lets a wrong `Dream(steps=0)` end in the one error that users see."""

    def __call__(cls, **values: Any) -> Any:
        return cls.read(values)


class Dream(BaseModel, metaclass=_Told):
    """The settings of a dream: numbers and strings only, frozen, every field with its range."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=False)

    model: str = Field(
        "efficientnet_lite2",
        min_length=1,
        max_length=500,
        description="the network; `phosphene models` lists them",
    )
    weights: str = Field("", max_length=4096, description="a file with the network's weights; '' = its own")
    mean: str = Field(
        "",
        max_length=200,
        pattern=NUMBERS,
        description="what the network's input has subtracted, as in 0.485,0.456,0.406; '' = as its file says",
    )
    std: str = Field(
        "",
        max_length=200,
        pattern=NUMBERS,
        description="what its input is then divided by, as in 0.229,0.224,0.225; '' = as its file says",
    )
    range: str = Field(
        "",
        max_length=100,
        pattern=RANGE,
        description="black and white in the network's input before mean and std, as in 0,255; "
        "'' = as its file says",
    )
    channel_order: str = Field(
        "",
        pattern=r"^(?i:rgb|bgr|l)?$",
        description="channels of the network's input: rgb, bgr or l (grey); '' = as its file says",
    )
    objective: str = Field(
        "blocks.4.1",
        max_length=100_000,
        description="to maximise: LAYER, LAYER:CHANNEL, LAYER:CHANNEL@Y,X, class:NAME, or a sum of these; "
        "'' = the network's own",
    )
    guide: str = Field("", max_length=4096, description="a picture whose features the dream is drawn to")
    octaves: int = Field(
        0,
        ge=0,
        le=MAX_OCTAVES,
        description="scales to dream on; 0 = as many as bring the smallest side to about 200 px",
    )
    octave_scale: float = Field(
        1.4, ge=1.01, le=8, description="ratio of one octave's size to the next smaller one's"
    )
    steps: int = Field(14, ge=1, le=100_000, description="steps of ascent in each octave")
    step_size: float = Field(
        2.0, gt=0, le=255, description="mean change of a pixel in one step, in 8-bit levels"
    )
    strength: float = Field(
        1.0, gt=0, le=20, description="one knob for how strong the dream is; multiplies step_size"
    )
    jitter: int = Field(
        32, ge=0, le=4096, description="largest random shift of the picture in each step, in pixels"
    )
    smooth: float = Field(
        1.5,
        ge=0,
        le=64,
        description="smooth the gradient by a Gaussian of sigma falling to 0.3 px from so much more; 0 = off",
    )
    laplacian: int = Field(0, ge=0, le=12, description="levels of Laplacian gradient normalisation; 0 = off")
    balance: bool = Field(
        True, description="give each layer of a blend a gradient of equal size before weighing it"
    )
    param: ParamName = Field("pixel", description="what the picture is made of while it grows")
    optimizer: OptimizerName = Field(
        "auto", description="how it is moved; auto: ascent for pixel, nadam for maco, adam for the others"
    )
    rate: float = Field(
        0.0, ge=0, le=100, description="learning rate of Adam, NAdam and other params; 0 = the param's own"
    )
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="show the mean of all steps, each counting less by this; 0 = the last",
    )
    transparency: float = Field(
        0.0,
        ge=0,
        le=100,
        description="pull to let one see through the picture where nothing matters; 0 = off",
    )
    transforms: str = Field(
        "none",
        max_length=2000,
        description="random changes before the network looks: standard, windows, none, or such as jitter(8)",
    )
    clip: bool = Field(True, description="keep pixels between black and white after every step")
    notebook_edges: bool = Field(
        False,
        description="lose the last row or column between octaves at the sizes where the notebook lost it",
    )
    keep_color: bool = Field(False, description="put the dream's light and dark on the photo's own colours")
    mask: str = Field(
        "", max_length=4096, description="a picture that is white where to dream, black where not"
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**32,
        description="seed of the jitter; drawn at random, and recorded, when it isn't given",
    )
    max_size: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="shrink the photo so that its longer side is at most this; 0 = don't",
    )
    scale: float = Field(
        1.0, gt=0, le=64, description="size of the dream relative to the photo; 2 makes it twice as wide"
    )
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps"
    )
    dtype: DType = Field("float32", description="arithmetic of the network")
    tile: int = Field(
        0,
        ge=0,
        le=65_536,
        description="side of the gradient's tiles in pixels; 0 = as memory allows",
    )
    halo: int = Field(
        64, ge=0, le=4096, description="how far a tile's gradient looks past the tile, in pixels"
    )
    max_memory: str = Field(
        "",
        pattern=r"^(?i:[0-9]{1,12}(\.[0-9]{1,9})?\s?([kmgt]i?)?b?)?$",
        description="the most memory to take, such as 2GB or 500MB; '' = most of what is free",
    )
    plain: bool = Field(False, description="without the fast path: the same picture up to rounding, slower")
    compile: bool = Field(
        False, description="compile the network with torch.compile first, which takes minutes: for long runs"
    )
    checkpointing: bool = Field(
        False, description="compute activations again instead of keeping them; max_memory may ask for it too"
    )
    threads: int = Field(0, ge=0, le=1024, description="processor threads; 0 = all")

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str = "settings") -> Dream:
        """`values` as a `Dream`; the first bad one is an E_PARAM error that names field and range."""
        check_names(values, where)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise PhospheneError("E_PARAM", f"{where}: {explain(error)}") from None

    def but(self, **values: Any) -> Dream:
        """This dream with some settings changed, checked like new ones."""
        return type(self).read({**self.model_dump(), **values})

    def to_json(self) -> str:
        """The settings as one line of JSON; `Dream.from_json` reads it back."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Dream:
        """Settings from JSON that may come from anywhere: nothing but known fields in range passes."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise PhospheneError("E_PARAM", f"settings: not JSON ({error})") from None
        if not isinstance(values, dict):
            raise PhospheneError("E_PARAM", f"settings: got {type(values).__name__}, expected a JSON object")
        return cls.read(values)


def check_names(values: Mapping[str, Any], where: str) -> None:
    """Refuse names that are no field of `Dream`, and say which ones are spelled like them."""
    for name in values:
        if name not in Dream.model_fields:
            near = ", ".join(nearest(str(name), list(Dream.model_fields), 3))
            raise PhospheneError(
                "E_PARAM", f"{where}: there is no setting {str(name)[:80]!r}; the nearest are {near}"
            )


def bounds(name: str) -> str:
    """The range of a field in words: 'from 1 to 100000', 'above 0 and at most 20', or its choices."""
    field = Dream.model_fields[name]
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return "one of " + ", ".join(choices)
    found = {
        key: getattr(rule, key)
        for rule in field.metadata
        for key in ("gt", "ge", "lt", "le")
        if getattr(rule, key, None) is not None
    }
    low = f"above {found['gt']}" if "gt" in found else f"at least {found['ge']}" if "ge" in found else ""
    high = f"below {found['lt']}" if "lt" in found else f"at most {found['le']}" if "le" in found else ""
    return " and ".join(part for part in (low, high) if part)


def explain(error: ValidationError) -> str:
    """The first complaint of pydantic in phosphene's words: field, value, range."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    got = repr(first.get("input"))[:80]
    kind = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}
    field = Dream.model_fields.get(name)
    annotation = field.annotation if field else None
    if first["type"].startswith("string_too_"):
        return f"{name} is {got}, expected {first['msg'].removeprefix('String should have ')}"
    if field and first["type"] == "string_pattern_mismatch":
        return f"{name} is {got}, expected {field.description}"
    expected = (
        " ".join(
            part
            for part in (
                kind.get(getattr(annotation, "__name__", ""), ""),
                bounds(name) if field else "",
            )
            if part
        )
        or first["msg"]
    )
    return f"{name} is {got}, expected {expected}"
