"""Networks in the format of transformers: a folder with config.json and weights, local or in its cache.

Nothing is downloaded, and no code of a repository is ever run: weights come through `weights.read`,
classes from transformers itself. Preprocessing is what the folder's image processor says.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError
from phosphene.models import anysize, weights
from phosphene.models.fit import NoWeights, some
from phosphene.models.heads import open_heads
from phosphene.models.sources import Built, Given, hub, processor
from phosphene.models.sources.towers import Pictures, prompts_with

FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
TOKENIZERS = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
MAX_JSON = 50_000_000  # bytes


def build(rest: str, file: str, given: Given) -> Built:
    """The network in the folder `rest`, or of that name in the user's cache of the hub."""
    library = _library()
    folder = _folder(rest)
    with quiet(library):
        try:
            config = library.AutoConfig.from_pretrained(
                str(folder), trust_remote_code=False, local_files_only=True
            )
            with torch.device("meta"):
                kind = type(_auto(library, config).from_config(config, trust_remote_code=False))
        except Exception as error:  # a stranger's config.json may raise anything
            raise PhospheneError(
                "E_MODEL",
                f"hf:{rest[:200]}: transformers has no such network ({_line(error)}); "
                "code that comes with a network is never run",
            ) from None
        state, sha256, where = _state(folder, file, given, rest)
        network, notes = _filled(kind, config, state, where)
    towers = hasattr(network, "vision_model") and hasattr(network, "get_text_features")
    vision = getattr(config, "vision_config", config) if towers else config
    patch = _patch(vision)
    pictures = _pictures(network, patch) if towers else _alone(network, patch)
    named = processor.read(folder, library)
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
        text=prompts_with(network, lambda: _tokens(library, folder, config)) if towers else None,
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


def _folder(rest: str) -> Path:
    path = Path(rest).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise PhospheneError(
                "E_MODEL", f"{rest[:300]!r} has no config.json, expected a folder of transformers' format"
            )
        return path
    if not hub.NAME.fullmatch(rest):
        raise PhospheneError("E_MODEL", f"hf:{rest[:300]}: there is no such folder")
    found = hub.snapshot(rest)
    if found is None or not (found / "config.json").is_file():
        raise PhospheneError(
            "E_WEIGHTS",
            f"hf:{rest[:200]} is neither a folder nor in this machine's cache of the hub; download it "
            f"yourself, as by `hf download {rest[:200]}`, or give the folder that has it, hf:/path",
        )
    return found


def _auto(library: Any, config: Any) -> Any:
    names = getattr(config, "architectures", None) or ()
    if any(
        str(name).endswith(("ForImageClassification", "ForImageClassificationWithTeacher")) for name in names
    ):
        return library.AutoModelForImageClassification
    return library.AutoModel


def _state(folder: Path, file: str, given: Given, rest: str) -> tuple[dict[str, Tensor] | None, str, str]:
    """Weights by name, their digest and where they are from; None for random ones."""
    if file:
        return *weights.read(file), file
    for name in FILES:
        if not (folder / name).is_file():
            continue
        if not name.endswith(".json"):
            return *weights.read(folder / name), str(folder / name)
        state: dict[str, Tensor] = {}
        digest = hashlib.sha256()
        shards = json_of(folder / name).get("weight_map", {})
        for shard in sorted({str(part) for part in shards.values()} if isinstance(shards, dict) else ()):
            if Path(shard).name != shard:
                raise PhospheneError(
                    "E_WEIGHTS",
                    f"{str(folder / name)[:300]!r} names {shard[:80]!r}, expected files beside it",
                )
            part, sha256 = weights.read(folder / shard)
            state |= part
            digest.update(sha256.encode())
        return state, digest.hexdigest(), str(folder / name)
    if given.untrained:
        return None, "", ""
    raise PhospheneError(
        "E_WEIGHTS", f"hf:{rest[:200]} has no model.safetensors; give the file that you have: --weights FILE"
    )


def json_of(path: Path) -> dict[str, Any]:
    """The object in a JSON file that may come from anywhere; E_MODEL if there is none."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise ValueError("it is too large")
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PhospheneError("E_MODEL", f"{str(path)[:300]!r} is no JSON ({_line(error)})") from None
    if not isinstance(found, dict):
        raise PhospheneError("E_MODEL", f"{str(path)[:300]!r} is no JSON object")
    return found


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
            "E_WEIGHTS", f"{where[:300]!r} is not for this network ({_line(error)})"
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


def _alone(network: nn.Module, patch: int) -> nn.Module:
    """A network of pictures alone, its forward pass one of `x`."""
    inner = type(network).forward
    how = _any_size(network)

    def forward(self: Any, x: Tensor) -> Any:
        return inner(self, anysize.padded(x, patch) if patch else x, **how)

    return anysize.with_forward(open_heads(network), forward)


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


def _tokens(library: Any, folder: Path, config: Any) -> Any:
    """What turns prompts into the text tower's inputs."""
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise PhospheneError(
            "E_PARAM", f"{str(folder)[:300]!r} has no tokenizer, expected one of {', '.join(TOKENIZERS)}"
        )
    with quiet(library):
        try:
            read = library.AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=False, local_files_only=True
            )
        except Exception as error:
            raise PhospheneError(
                "E_PARAM",
                f"{str(folder)[:300]!r} has no tokenizer that transformers can read ({_line(error)})",
            ) from None
    most = int(getattr(config.text_config, "max_position_embeddings", 77))
    fill = "max_length" if "siglip" in str(config.model_type) else True

    def tokens(prompts: list[str]) -> dict[str, Tensor]:
        longest = max(len(ids) for ids in read(prompts)["input_ids"])
        if longest > most:
            raise PhospheneError("E_PARAM", f"a prompt has {longest} tokens, expected at most {most}")
        found = read(prompts, padding=fill, max_length=most, truncation=True, return_tensors="pt")
        return {name: found[name] for name in ("input_ids", "attention_mask") if name in found}

    return tokens


def _line(error: BaseException) -> str:
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:200]
