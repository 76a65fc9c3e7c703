"""Networks in the format of transformers: a folder with config.json and weights, local or in its cache.

Nothing is downloaded, and no code of a repository is ever run: weights come through `weights.read`,
classes from transformers itself. Preprocessing is what the folder's image processor says.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError
from phosphene.models import anysize
from phosphene.models.fit import NoWeights, some
from phosphene.models.heads import open_heads
from phosphene.models.sources import Built, Given, folder, hub, processor
from phosphene.models.sources.towers import Pictures, prompts_with

TOKENIZERS = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)


def build(rest: str, file: str, given: Given) -> Built:
    """The network in the folder `rest`, or of that name in the user's cache of the hub."""
    library = _library()
    place = folder.find(rest)
    with quiet(library):
        try:
            config = library.AutoConfig.from_pretrained(
                str(place), trust_remote_code=False, local_files_only=True
            )
            with torch.device("meta"):
                kind = type(_auto(library, config).from_config(config, trust_remote_code=False))
        except Exception as error:  # a stranger's config.json may raise anything
            raise PhospheneError(
                "E_MODEL",
                f"hf:{rest[:200]}: transformers has no such network ({folder.line(error)}); "
                "code that comes with a network is never run",
            ) from None
        state, sha256, where = folder.state_of(place, file, given, rest)
        network, notes = _filled(kind, config, state, where)
    towers = hasattr(network, "vision_model") and hasattr(network, "get_text_features")
    _check_pictures(network.vision_model if towers else network, rest)
    vision = getattr(config, "vision_config", config) if towers else config
    patch = _patch(vision)
    pictures = _pictures(network, patch) if towers else _alone(network, patch)
    named = processor.read(place, library)
    labels = getattr(config, "id2label", None) or {}
    classes = tuple(str(labels[number]) for number in sorted(labels)) if not towers else ()
    head = "" if towers else _head(network, len(classes))
    return Built(
        pictures,
        named.mean,
        named.std,
        scale=named.scale,
        channel_order=named.channel_order,
        classes=classes if head and not any(name.startswith("LABEL_") for name in classes) else (),
        head=head,
        weights_sha256=sha256,
        notes=notes,
        size=_side(getattr(vision, "image_size", None)) or named.size or 224,
        patch=patch,
        prefix=anysize.prefix_of(pictures) if patch else 0,
        text=prompts_with(network, lambda: _tokens(library, place, config)) if towers else None,
        embedding=pictures.embedding if isinstance(pictures, Pictures) else "",
        exact=not file,
    )


def _library() -> Any:
    try:
        import transformers
    except ImportError:
        raise PhospheneError(
            "E_MODEL", 'networks from hf: need transformers; pip install "phosphene[transformers]"'
        ) from None
    return transformers


@contextmanager
def quiet(library: Any) -> Iterator[None]:
    """Without the library's own reports and progress bars, and without the net."""
    logs = library.utils.logging
    before, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity(logs.CRITICAL)
    logs.disable_progress_bar()
    try:
        with hub.offline():
            yield
    finally:
        logs.set_verbosity(before)
        if bars:
            logs.enable_progress_bar()


def _auto(library: Any, config: Any) -> Any:
    names = getattr(config, "architectures", None) or ()
    if any(
        str(name).endswith(("ForImageClassification", "ForImageClassificationWithTeacher")) for name in names
    ):
        return library.AutoModelForImageClassification
    return library.AutoModel


def _filled(
    kind: Any, config: Any, state: dict[str, Tensor] | None, where: str
) -> tuple[nn.Module, tuple[str, ...]]:
    """The network with its weights, renamed as transformers renames older ones; what lacks any can't run."""
    if state is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return kind(config).eval(), ("its weights are random, as there are none",)
    try:
        network, report = kind.from_pretrained(
            None, config=config, state_dict=state, output_loading_info=True, dtype=torch.float32
        )
    except Exception as error:
        raise PhospheneError(
            "E_WEIGHTS", f"{where[:300]!r} is not for this network ({folder.line(error)})"
        ) from None
    missing, extra = sorted(report["missing_keys"]), sorted(report["unexpected_keys"])
    misshaped = sorted(str(key) for key in report["mismatched_keys"])
    own = network.state_dict()
    root = [key for key in missing if "." not in key and not key.startswith("logit_")]
    if misshaped or root or len(missing) >= len(own) or (missing and len(extra) >= len(state)):
        wrong = {"missing": missing, "unexpected": extra, "of another shape": misshaped}
        lists = "; ".join(f"{len(keys)} {what}: {some(keys)}" for what, keys in wrong.items() if keys)
        raise PhospheneError("E_WEIGHTS", f"{where[:300]!r} is not for this network; {lists}")
    for part in dict.fromkeys(key.rpartition(".")[0] for key in missing if "." in key):
        message = f"{where[:300]!r} has no weights for {part}; choose a layer that doesn't need it"
        network.set_submodule(part, NoWeights(message, network.get_submodule(part)))
    if not missing:
        return network, ()
    what = f"{where} has no weights for {some(missing)} ({len(missing)} in all)"
    return network, (f"{what}; layers that don't need them can be watched",)


def _check_pictures(module: Any, rest: str) -> None:
    """E_MODEL for a network that wants anything but a picture."""
    wants = {
        name
        for name, one in inspect.signature(type(module).forward).parameters.items()
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    } - {"self", "pixel_values"}
    if "pixel_values" not in inspect.signature(type(module).forward).parameters or wants:
        more = f" but {', '.join(sorted(wants))}, too" if wants else ""
        raise PhospheneError(
            "E_MODEL",
            f"hf:{rest[:200]} is a {type(module).__name__}, which looks at no plain picture{more}; "
            "expected one like ViT, CLIP, SigLIP, DINOv2, Swin or ConvNeXt",
        )


def _alone(network: nn.Module, patch: int) -> nn.Module:
    """A network of pictures alone, its forward pass one of `x`."""
    inner = type(network).forward
    how = _any_size(network)

    def forward(self: Any, x: Tensor) -> Any:
        return inner(self, anysize.padded(x, patch) if patch else x, **how)

    if not hasattr(network.config, "window_size"):  # heads in windows are no grid
        open_heads(network)
    return anysize.with_forward(network, forward)


def _pictures(network: Any, patch: int) -> Pictures:
    """The image tower of a network that has one for text, too."""
    projection = getattr(network, "visual_projection", None)
    how = _any_size(network.vision_model)

    def embed(tower: Any, x: Tensor) -> Tensor:
        pooled: Tensor = tower.vision_model(anysize.padded(x, patch), **how).pooler_output
        return tower.visual_projection(pooled) if projection is not None else pooled

    parts = {"vision_model": open_heads(network.vision_model)}
    if projection is not None:
        parts["visual_projection"] = projection
    network.vision_model = None  # what remains is for text
    return Pictures(parts, embed, "vision_model.head" if projection is None else "visual_projection")


def _any_size(module: nn.Module) -> dict[str, bool]:
    known = "interpolate_pos_encoding" in inspect.signature(type(module).forward).parameters
    return {"interpolate_pos_encoding": True} if known else {}


def _patch(config: Any) -> int:
    attends = any(getattr(config, name, None) for name in ("num_attention_heads", "num_heads"))
    return _side(getattr(config, "patch_size", None)) if attends else 0


def _side(size: Any) -> int:
    if isinstance(size, (list, tuple)):
        size = max(size, default=0)
    return size if isinstance(size, int) else 0


def _head(network: nn.Module, count: int) -> str:
    """The last layer that gives a number for each class."""
    found = [name for name, part in network.named_modules() if getattr(part, "out_features", 0) == count]
    return found[-1] if found and count and "lassif" in found[-1] else ""


def _tokens(library: Any, place: Path, config: Any) -> Any:
    """What turns prompts into the text tower's inputs."""
    if not any((place / name).is_file() for name in TOKENIZERS):
        raise PhospheneError(
            "E_PARAM", f"{str(place)[:300]!r} has no tokenizer, expected one of {', '.join(TOKENIZERS)}"
        )
    with quiet(library):
        try:
            read = library.AutoTokenizer.from_pretrained(
                str(place), trust_remote_code=False, local_files_only=True
            )
        except Exception as error:
            raise PhospheneError(
                "E_PARAM",
                f"{str(place)[:300]!r} has no tokenizer that transformers can read ({folder.line(error)})",
            ) from None
    most = int(getattr(config.text_config, "max_position_embeddings", 77))
    siglip = "siglip" in str(config.model_type)  # was trained on padded prompts, unmasked
    wanted = ("input_ids",) if siglip else ("input_ids", "attention_mask")

    def tokens(prompts: list[str]) -> dict[str, Tensor]:
        longest = max(len(ids) for ids in read(prompts)["input_ids"])
        if longest > most:
            raise PhospheneError("E_PARAM", f"a prompt has {longest} tokens, expected at most {most}")
        found = read(
            prompts,
            padding="max_length" if siglip else True,
            max_length=most,
            truncation=True,
            return_tensors="pt",
        )
        return {name: found[name] for name in wanted if name in found}

    return tokens
