"""The steps of a network for the layers that are watched, compiled by PyTorch: for long runs.

Steps that change the picture's size stay as they are, and what lies between them is compiled part by
part with the size left open. So octaves and tiles of all sizes share what was compiled; with the sizes
of all layers written as functions of the picture's, PyTorch takes many minutes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.split_module import split_module
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import _get_current_dispatch_mode

from phosphene.ascent.fuse import Norm
from phosphene.ascent.graph import Traced, written
from phosphene.ascent.toolchain import compiling

Run = Callable[[Tensor], dict[str, Tensor]]
WARM = (160, 224), (96, 128)  # px: after two sizes PyTorch knows that there may be more
KEEPS_SIZE = nn.BatchNorm2d, nn.ReLU, nn.Hardtanh, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.GELU
VARIANTS = 64  # how often PyTorch may compile a part again, should it have to


class Compiled:
    """Runs a frozen network for sets of layers, each compiled once; with batch norms folded, if to `fold`."""

    def __init__(
        self, network: nn.Module, device: torch.device, fold: bool = True, channels: int = 3
    ) -> None:
        self._network, self._device, self._fold, self._channels = network, device, fold, channels
        self._ready: dict[frozenset[str], Run | None] = {}

    def watching(self, layers: frozenset[str]) -> Run | None:
        """What takes the network's input to the outputs of these layers; None where it can't be made.

        The first call for some layers compiles: seconds to minutes, less where PyTorch's cache has it.
        """
        if layers not in self._ready:
            self._ready[layers] = self._made(sorted(layers))
        return self._ready[layers]

    @cached_property
    def traced(self) -> Traced | None:
        """The network's steps; None where they can't be written down."""
        return written(self._network)

    def _made(self, names: list[str]) -> Run | None:
        if self.traced is None or not self.traced.outputs.keys() >= set(names):
            return None
        try:
            steps = module_of(self.traced.cut(names), self._network, self._fold)
        except Exception:  # a network unlike those that this is for
            return None
        graphs = self._device.type == "cuda"
        run = in_parts(steps, graphs)

        def watch(x: Tensor) -> dict[str, Tensor]:
            if not x.requires_grad or _get_current_dispatch_mode() is not None:
                return dict(zip(names, steps(x), strict=True))
            if graphs:
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            with _sizes_open():
                outputs = run(x)
            return dict(zip(names, (act.clone() for act in outputs) if graphs else outputs, strict=True))

        try:
            steps(self._picture(WARM[-1]))
        except Exception:  # a network that isn't for such pictures; the plain path finds out
            return None
        with compiling(self._device), torch.inference_mode(False), torch.enable_grad():
            for size in WARM:
                x = self._picture(size).requires_grad_()
                torch.stack([act.float().square().mean() for act in watch(x).values()]).sum().backward()  # type: ignore[no-untyped-call]
        return watch

    def _picture(self, size: tuple[int, int]) -> Tensor:
        like = next((part for part in self._network.parameters()), torch.empty(0))
        x = torch.rand(1, self._channels, *size, device=self._device).to(like.dtype)
        return x.contiguous(memory_format=torch.channels_last)


@contextmanager
def _sizes_open() -> Iterator[None]:
    """Height and width aren't taken for one where they are the same, nor a gradient to be taken once."""
    from torch._dynamo import config as dynamo
    from torch._functorch import config as functorch
    from torch.fx.experimental import _config

    shapes: Any = _config
    with (
        shapes.patch(use_duck_shape=False),
        functorch.patch(donated_buffer=False),
        dynamo.patch(recompile_limit=VARIANTS, accumulated_recompile_limit=100 * VARIANTS),
    ):
        yield


def module_of(graph: fx.Graph, network: nn.Module, fold: bool) -> fx.GraphModule:
    """The steps of `graph` as a module of their own, batch norms folded into the convolutions before."""
    parts: dict[str, Any] = {}
    for node in list(graph.nodes):
        if node.op == "get_attr":
            parts[str(node.target)] = _attribute(network, str(node.target))
        elif node.op == "call_module":
            before = node.args[0]
            part: Any = network.get_submodule(node.target)
            norm = isinstance(part, nn.BatchNorm2d)
            if norm and fold and _folds(before, part, parts):
                conv = copy.deepcopy(parts[before.target]).double()
                both = fuse_conv_bn_eval(conv, copy.deepcopy(part).double())
                parts[before.target] = both.to(part.running_mean).requires_grad_(False)
                node.replace_all_uses_with(before)
                graph.erase_node(node)
            elif norm and node.meta.get("only_norm"):
                node.target = f"norm_{len(parts)}"
                parts[node.target] = Norm(part)
            else:
                parts[node.target] = part
    return fx.GraphModule(parts, graph)


def _folds(before: fx.Node, norm: nn.BatchNorm2d, parts: dict[str, Any]) -> bool:
    return (
        before.op == "call_module"
        and isinstance(parts[str(before.target)], nn.Conv2d)
        and len(before.users) == 1
        and norm.running_mean is not None
    )


def in_parts(steps: fx.GraphModule, graphs: bool) -> fx.GraphModule:
    """`steps` in parts, compiled where the size stays the same; on a GPU as CUDA `graphs`."""
    part: dict[fx.Node, int] = {}
    number, resized = 0, set()
    for node in steps.graph.nodes:
        if node.op in ("placeholder", "output", "get_attr"):
            continue
        if _resizes(node, steps):
            resized.add(number + 1)
            part[node] = number + 1
            number += 2
        else:
            part[node] = number
    split = split_module(steps, steps, part.__getitem__, keep_original_order=True)
    for name, child in list(split.named_children()):
        if name.startswith("submod_") and int(name.removeprefix("submod_")) not in resized:
            options: dict[str, Any] = {"mode": "reduce-overhead"} if graphs else {}
            setattr(split, name, torch.compile(child, dynamic=True, **options))
    return split


def _resizes(node: fx.Node, steps: fx.GraphModule) -> bool:
    """Whether a step's map may have another size than what it gets."""
    if node.op != "call_module":
        return False
    part = steps.get_submodule(str(node.target))
    if not isinstance(part, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        return not isinstance(part, KEEPS_SIZE)
    if isinstance(part, nn.Conv2d) and (isinstance(part.padding, str) or part.padding_mode != "zeros"):
        return True
    kernel, stride, padding = (_pair(value) for value in (part.kernel_size, part.stride, part.padding))
    reach = [d * (k - 1) for d, k in zip(_pair(getattr(part, "dilation", 1)), kernel, strict=True)]
    return stride != (1, 1) or [2 * p for p in padding] != reach


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _attribute(network: nn.Module, path: str) -> object:
    found: object = network
    for name in path.split("."):
        found = getattr(found, name)
    return found
