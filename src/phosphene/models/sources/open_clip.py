"""Networks of open_clip: `ViT-B-32/laion2b_s34b_b79k`, `ViT-B-32` with a file, or a local folder.

Weights come from a file or from the user's own cache, never from the net.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError, nearest
from phosphene.models import anysize, weights
from phosphene.models.fit import fit
from phosphene.models.heads import open_heads
from phosphene.models.sources import Built, Given, hub
from phosphene.models.sources.folder import json_of
from phosphene.models.sources.towers import Pictures, prompts_with

CONFIG = "open_clip_config.json"
FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
UNUSED = ("text.transformer.embeddings.position_ids", "logit_bias")  # in files of other versions


def build(rest: str, file: str, given: Given) -> Built:
    """The network `rest`: an architecture, an architecture and a tag, or a folder of open_clip's format."""
    library = _library()
    folder = Path(rest).expanduser()
    if folder.is_dir():
        said = json_of(folder / CONFIG)
        config, source = said.get("model_cfg"), f"local-dir:{folder}"
        prepared = said.get("preprocess_cfg") or {}
        found = file or next((str(folder / name) for name in FILES if (folder / name).is_file()), "")
        exact = not file
    else:
        source, _, tag = rest.partition("/")
        config = library.get_model_config(source)
        if config is None or "text_cfg" not in config:
            near = ", ".join(nearest(source[:200], library.list_models(), 3))
            raise PhospheneError(
                "E_MODEL", f"open_clip has no model {source[:200]!r}; the nearest are {near}"
            )
        prepared, cached = _tagged(library, source, tag)
        found, exact = file or cached, bool(tag)
    if not isinstance(config, Mapping) or not {"vision_cfg", "text_cfg"} <= config.keys():
        raise PhospheneError("E_MODEL", f"{rest[:300]!r} says no model_cfg, expected one in {CONFIG}")
    if config["text_cfg"].get("hf_model_name"):
        raise PhospheneError(
            "E_MODEL", f"open_clip:{rest[:200]} has a text tower from the hub; give the network as hf:FOLDER"
        )
    if not found and not given.untrained:
        raise PhospheneError(
            "E_WEIGHTS",
            f"open_clip:{rest[:200]} has no weights on this machine; give your file: --weights FILE",
        )
    network = _made(library, source, bool(prepared.get("quick_gelu")))
    sha256 = ""
    notes: tuple[str, ...] = ("its weights are random, as there are none",)
    if found:
        state, sha256 = weights.read(found)
        notes = fit(network, _renamed(library, network, state), found)
    mean, std = prepared.get("mean") or (), prepared.get("std") or ()
    visual, patch, prefix = _any_size(network.visual)
    network.visual = None  # what remains is for text
    return Built(
        Pictures({"visual": visual}, _embed, "visual"),
        tuple(float(value) for value in mean),
        tuple(float(value) for value in std),
        weights_sha256=sha256,
        notes=notes,
        size=max(visual.image_size) if isinstance(visual.image_size, tuple) else int(visual.image_size),
        patch=patch,
        prefix=prefix,
        text=prompts_with(_Text(network), lambda: _tokens(library, source)),
        embedding="visual",
        exact=exact,
    )


def _library() -> Any:
    try:
        with _quiet():
            import open_clip
    except ImportError:
        raise PhospheneError(
            "E_MODEL", 'networks from open_clip: need open_clip; pip install "phosphene[open_clip]"'
        ) from None
    return open_clip


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's words to the root logger, the handler that they would leave, and the net."""
    root, silent = logging.getLogger(), logging.NullHandler()
    level = root.manager.disable
    root.addHandler(silent)
    logging.disable(logging.CRITICAL)
    try:
        with hub.offline():
            yield
    finally:
        logging.disable(level)
        root.removeHandler(silent)


def _tagged(library: Any, name: str, tag: str) -> tuple[Mapping[str, Any], str]:
    """What the library says of the weights `tag`, and their file in the user's cache, '' if it isn't there.

    Without a tag: what it says of all the weights of that architecture, where that is one thing.
    """
    tags = library.list_pretrained_tags_by_model(name)
    if not tag:
        said = [library.get_pretrained_cfg(name, other) for other in tags]
        alike = {(tuple(one.get("mean") or ()), tuple(one.get("std") or ())) for one in said}
        return (said[0] if len(alike) == 1 else {}), ""
    said = library.get_pretrained_cfg(name, tag)
    if not said:
        near = ", ".join(nearest(tag[:200], tags, 3)) or "none"
        raise PhospheneError(
            "E_MODEL", f"open_clip:{name} has no weights {tag[:200]!r}; the nearest are {near}"
        )
    repository, _, file = str(said.get("hf_hub") or "").rpartition("/")
    folder = hub.snapshot(repository)
    for kind in (*FILES, file):
        if folder and kind and (folder / kind).is_file():
            return said, str(folder / kind)
    kept = Path("~/.cache/clip").expanduser() / str(said.get("url") or "-").rpartition("/")[2]
    return said, str(kept) if kept.is_file() else ""


def _made(library: Any, source: str, quick_gelu: bool = False) -> Any:
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return library.create_model(
                source, load_weights=False, pretrained_text=False, force_quick_gelu=quick_gelu
            )
        except Exception as error:  # a stranger's configuration may raise anything
            raise PhospheneError(
                "E_MODEL", f"open_clip:{source[:200]}: {str(error).partition(chr(10))[0][:200]}"
            ) from None


def _renamed(library: Any, network: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state` with the names of this version of the library, as its own loader has them."""
    from open_clip.convert import convert_state_dict

    state = dict(convert_state_dict(network, state))
    own = network.state_dict()
    if "positional_embedding" in state and not hasattr(network, "positional_embedding"):
        state = dict(library.model.convert_to_custom_text_state_dict(state))
    for key in [key for key in state if key.endswith(UNUSED) and key not in own]:
        del state[key]
    if "logit_bias" in own and "logit_bias" not in state:
        state["logit_bias"] = torch.zeros_like(own["logit_bias"])
    for key in ("logit_scale", "logit_bias"):
        if key in state and key in own and state[key].numel() == 1:
            state[key] = state[key].reshape(own[key].shape)
    return state


def _embed(tower: Any, x: Tensor) -> Tensor:
    found: Tensor = tower.visual(x)
    return found


def _any_size(visual: Any) -> tuple[Any, int, int]:
    """The image tower for pictures of any size, its patch and its prefix."""
    if hasattr(visual, "trunk"):
        visual.trunk, patch, prefix = anysize.any_size(visual.trunk)
        return visual, patch, prefix
    if hasattr(visual, "attnpool"):
        _any_grid(visual.attnpool)
        return visual, 0, 0
    if not hasattr(visual, "positional_embedding") or not hasattr(visual, "_embeds"):
        raise PhospheneError(
            "E_MODEL", f"open_clip's {type(visual).__name__} is unknown; expected a ViT or RN50"
        )
    (patch, *_), trained = visual.patch_size, tuple(visual.grid_size)
    kind: Any = type(visual)

    def embeds(self: Any, x: Tensor) -> Tensor:
        x = self.conv1(x)
        table = anysize.positions(
            self.positional_embedding,
            trained,
            (x.shape[-2], x.shape[-1]),
            1,
            antialias=True,
            align_corners=False,
        )
        own = self.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1)
        x = torch.cat([own, x.flatten(2).permute(0, 2, 1)], 1) + table.to(x.dtype)
        return self.ln_pre(self.patch_dropout(x))  # type: ignore[no-any-return]

    def forward(self: Any, x: Tensor) -> Tensor:
        found = kind.forward(self, anysize.padded(x, patch))
        pooled: Tensor = found[0] if isinstance(found, tuple) else found
        return pooled

    open_heads(visual)
    visual.__class__ = type(kind.__name__, (kind,), {"forward": forward, "_embeds": embeds})
    return visual, patch, 1


def _any_grid(pool: Any) -> None:
    """Attention pooling over the grid of a ResNet of any size."""
    kind, side = type(pool), round((pool.positional_embedding.shape[0] - 1) ** 0.5)

    def forward(self: Any, x: Tensor) -> Tensor:
        grid = (int(x.shape[-2]), int(x.shape[-1]))
        like = copy.copy(self)
        table = anysize.positions(
            self.positional_embedding, (side, side), grid, 1, antialias=True, align_corners=False
        )
        like._parameters = {**self._parameters, "positional_embedding": nn.Parameter(table, False)}
        return kind.forward(like, x)  # type: ignore[no-any-return]

    anysize.with_forward(pool, forward)


class _Text:
    """The whole network, asked for text alone."""

    def __init__(self, network: Any) -> None:
        self.network = network.eval()

    def get_text_features(self, tokens: Tensor) -> Tensor:
        return self.network.encode_text(tokens)  # type: ignore[no-any-return]


def _tokens(library: Any, source: str) -> Any:
    config = library.get_model_config(source) if ":" not in source else {}
    named = (config or {}).get("text_cfg", {}).get("hf_tokenizer_name", "")
    how = {"local_files_only": True} if named else {}
    with _quiet():
        try:
            read = library.get_tokenizer(source, **how)
        except Exception as error:
            raise PhospheneError(
                "E_PARAM",
                f"open_clip:{source[:200]} needs the tokenizer {named or 'of its folder'}, which isn't "
                f"on this machine ({str(error).partition(chr(10))[0][:120]})",
            ) from None
    return lambda prompts: {"tokens": read(prompts)}
