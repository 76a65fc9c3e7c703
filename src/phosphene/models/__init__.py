"""The networks that phosphene knows by name. Importing this costs milliseconds: torch waits for `load`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phosphene import checks
from phosphene.config import Dream
from phosphene.errors import PhospheneError, nearest
from phosphene.models import preprocess, pull, sources
from phosphene.models.cards import MODELS
from phosphene.models.cards import Model as Model
from phosphene.models.preprocess import Numbers
from phosphene.models.sources import SOURCES, Built, Given
from phosphene.models.sources.hub import NAME

if TYPE_CHECKING:
    from phosphene.lens import Lens


def available() -> tuple[Model, ...]:
    """Every network with a card, the default first. `load` knows many more: all that its sources have."""
    return MODELS


def find(name: str) -> Model:
    """The card of a network, or an empty one for what a source may know; E_MODEL with the nearest names."""
    source, colon, rest = name.partition(":")
    for model in MODELS:
        if model.name == name or (colon and "." in rest and model.name == name.rpartition(".")[0]):
            return model
    if colon and source in sources.known() and rest:
        own = source == "python" or source not in SOURCES
        return Model(name, f"{rest}, from {source}", needs_weights=not own)
    if colon:
        raise PhospheneError(
            "E_MODEL",
            f"there is no model {name[:200]!r}; before a colon stands one of {', '.join(sources.known())}, "
            "after it a name, as in torchvision:resnet50",
        )
    near = ", ".join(nearest(name[:200], [model.name for model in MODELS], 3))
    raise PhospheneError(
        "E_MODEL", f"there is no model {name[:200]!r}; the nearest are {near}; `phosphene models` lists all"
    )


def refuse_code(name: str, where: str) -> None:
    """E_MODEL for a network that is the user's own code, where somebody else may have written its name."""
    source = name.partition(":")[0].strip() if ":" in name else ""
    if source.lower() == "python" or (source not in SOURCES and source in sources.known()):
        raise PhospheneError(
            "E_MODEL",
            f"{where} names {name[:200]!r}, which is code to run; "
            "only --model typed on the command line, or load() in Python, runs code",
        )


def refuse_files(name: str, where: str) -> None:
    """E_MODEL for code, too, and for a folder of this machine, where a stranger may have written the name."""
    refuse_code(name, where)
    rest = name.partition(":")[2]
    if rest and (not NAME.fullmatch(rest) or Path(rest).exists()):
        raise PhospheneError(
            "E_MODEL", f"{where} names {name[:200]!r}, expected a network's name, as in hf:google/vit-base"
        )


def load(
    name: str,
    weights: str | Path = "",
    *,
    device: str = "auto",
    dtype: str = "float32",
    plain: bool = False,
    compile: bool = False,  # noqa: A002
    mean: Numbers = "",
    std: Numbers = "",
    range: Numbers = "",  # noqa: A002
    channel_order: str = "",
    untrained: bool = False,
) -> Lens:
    """The network `name` as a `Lens`, with the weights of the file `weights` ('' = its own).

    `name` is one of `available()`, or a source and its name for a network: `torchvision:resnet50`,
    `timm:convnext_tiny`, `hf:FOLDER`, `open_clip:ViT-B-32`, `python:my_module:build`.
    `device` is auto, cpu, cuda, cuda:N or mps; `dtype` float32, bfloat16 or float16, where the
    processor has such arithmetic of its own: else the lens is float32 and its `notes` say so. `plain`
    is without the fast path, `compile` with torch.compile.
    The input is `(low + (high - low) * image - mean) / std` with `range` = (low, high), 0 and 1 unless
    given, `mean` and `std` for each channel or for all, and `channel_order` rgb, bgr or l (grey): as
    given here, else as the file says, else as the network's library has it.
    With `untrained`, a network without a file has random weights, the same every time.
    Errors: E_MODEL, E_WEIGHTS, E_DEVICE, E_PARAM.
    """
    for what, word in {"a network's name": name, "device": device, "dtype": dtype}.items():
        checks.text(what, word)
    if not isinstance(weights, str | Path):
        checks.text("weights", weights)
    user = preprocess.given(mean, std, range, channel_order, untrained)
    file = weights_of(name, str(weights), untrained)
    from phosphene.models.device import arithmetic, pick

    where = pick(device)
    used, notes = arithmetic(dtype, where)
    from phosphene.lens import Lens
    from phosphene.models import weights as files

    built = preprocess.applied(_built(name, file, user), user, files.said(file), name, file)
    known = {field: value for field, value in vars(built).items() if field not in ("exact", "notes")}
    source = name.partition(":")[0] if ":" in name else ""
    own = built.text is None and (not source or source in SOURCES.keys() - {"python"})  # nobody else has it
    return Lens(
        **known,
        name=name,
        device=where,
        dtype=used,
        plain=plain,
        compile=compile,
        notes=notes + built.notes,
        own=own,
    )


def of(dream: Dream, **how: Any) -> Lens:
    """The network that a dream's settings name; `how` comes before what they say."""
    fields = ("weights", "device", "dtype", "plain", "compile", "mean", "std", "range", "channel_order")
    return load(dream.model, **{field: getattr(dream, field) for field in fields} | how)


def weights_of(name: str, weights: str = "", untrained: bool = False) -> str:
    """The file to load, '' for a package's; E_WEIGHTS, before torch is imported, where there is none."""
    needed = find(name).needs_weights
    if weights or not needed:
        return weights
    weights = pull.cached(name)
    if not weights and not untrained and ":" not in name:
        raise PhospheneError(
            "E_WEIGHTS",
            f"no package brings the weights of {name}; `phosphene models pull {name}` gets them, or give the "
            f"file that you have, as in `--weights {name}.safetensors` or `--weights {name}.caffemodel`",
        )
    return weights


def _built(name: str, weights: str, user: Given) -> Built:
    source, colon, rest = name.partition(":")
    if colon:
        if source not in SOURCES:
            return import_module(SOURCES["python"]).added(source, rest, weights)  # type: ignore[no-any-return]
        built: Any = import_module(SOURCES[source]).build(rest, weights, user)
        assert isinstance(built, Built)
        return built
    if name == "bvlc_googlenet":
        from phosphene.models import bvlc_googlenet

        return bvlc_googlenet.build(weights, user)
    from phosphene.models import efficientnet_lite

    return efficientnet_lite.build(name, weights)


def own(lens: Lens, guide: bool = False) -> str:
    """The objective of a network when nobody says one, or the layer where guides are compared: as text.

    It is its card's, or found by looking.
    """
    card = find(lens.name) if ":" in lens.name or lens.name in {model.name for model in MODELS} else None
    written = (card.guide_layer if guide else card.objective) if card else ""
    if written:
        return written
    from phosphene.address import quoted
    from phosphene.models import derive

    return quoted(derive.layer(lens, *(derive.GUIDE if guide else derive.OBJECTIVE)))
