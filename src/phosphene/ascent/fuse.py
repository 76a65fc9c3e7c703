"""From a graph to a tape: chains of steps become one, convolution, batch norm, addition, activation."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from phosphene.ascent.kernel import Kernel, Packed
from phosphene.ascent.steps import Addition, Clamp, Concatenation, Convolution, Item, Other, Slot
from phosphene.ascent.tape import Line, Step, Tape

Kernels = dict[tuple[str, str], Kernel]  # by the names of the convolution and its batch norm
RELU = (0.0, math.inf)
ADD = (operator.add, torch.add)


@dataclass
class Chain:
    """Steps of the graph that become one: the first to the last, and what is added on the way."""

    nodes: list[fx.Node]
    norm: fx.Node | None = None
    added: fx.Node | None = None
    clamp: Clamp | None = None


def fuse(graph: fx.Graph, network: nn.Module, kernels: Kernels, fused: bool = True) -> Tape:
    """The steps of `graph` as a tape; if `fused`, each convolution with what follows it alone as one.

    What is watched stays a step's output. `kernels` keeps the weights for the next tape.
    """
    chains = _chains(graph, network) if fused else {}
    inside = {node for chain in chains.values() for node in chain.nodes} - chains.keys()
    order = [node for node in graph.nodes if node not in inside and node.op not in ("output", "get_attr")]
    register = {node: number for number, node in enumerate(order)}
    (image,) = (node for node in order if node.op == "placeholder")
    assert register[image] == 0
    (output,) = (node for node in graph.nodes if node.op == "output")
    steps: dict[fx.Node, Step] = {}
    inputs: dict[fx.Node, list[fx.Node]] = {}
    for node in order[1:]:
        if node in chains:
            chain = chains[node]
            steps[node] = Convolution(_kernel(chain, network, kernels), chain.clamp)
            inputs[node] = [*chain.nodes[0].all_input_nodes, *([chain.added] if chain.added else [])]
        else:
            steps[node], inputs[node] = _step(node, network)
    reads = {node: tuple(register[one] for one in inputs[node]) for node in order[1:]}
    last = {number: node for node, numbers in reads.items() for number in numbers}
    lines = [
        Line(
            steps[node],
            reads[node],
            register[node],
            tuple(sorted({number for number in reads[node] if last[number] is node})),
        )
        for node in order[1:]
    ]
    return Tape(lines, [register[node] for node in output.args[0]])


def _chains(graph: fx.Graph, network: nn.Module) -> dict[fx.Node, Chain]:
    """Every convolution's chain, by its last step."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    chains: dict[fx.Node, Chain] = {}
    for node in graph.nodes:
        if _is_convolution(_module(node, network)) and len(node.args) == 1 and not node.kwargs:
            chain = _chain(node, output, network)
            if chain.nodes[-1] in chains:  # both sides of an addition are convolutions: one is added
                chain = _chain(node, output, network, alone=True)
            chains[chain.nodes[-1]] = chain
    return chains


def _chain(conv: fx.Node, output: fx.Node, network: nn.Module, alone: bool = False) -> Chain:
    """A convolution's step, and its batch norm's, addition's and activation's as far as they are there."""
    chain = Chain([conv])
    after = _only_user(conv, output)
    if after is not None and _is_norm(after, _module(after, network)):
        chain.nodes.append(after)
        chain.norm = after
        after = _only_user(after, output)
    if after is not None and (clamp := _clamp(after, network)):
        chain.nodes.append(after)
        chain.clamp = clamp
        return chain
    sum_ = next(iter(chain.nodes[-1].users), None)
    if alone or sum_ is None or len(chain.nodes[-1].users) > 1 or sum_ is output or not _is_addition(sum_):
        return chain
    (chain.added,) = (side for side in sum_.all_input_nodes if side is not chain.nodes[-1])
    chain.nodes.append(sum_)
    after = _only_user(sum_, output)
    if after is not None and _clamp(after, network) == RELU:
        chain.nodes.append(after)
        chain.clamp = RELU
    return chain


def _is_addition(node: fx.Node) -> bool:
    return (
        node.op == "call_function"
        and node.target in ADD
        and not node.kwargs
        and len(node.all_input_nodes) == len(node.args) == 2
        and _moves(node)
    )


def _moves(node: fx.Node) -> bool:
    """Whether all that a step takes depends on the image."""
    return all(one.op != "get_attr" for one in node.all_input_nodes)


def _kernel(chain: Chain, network: nn.Module, kernels: Kernels) -> Kernel:
    name = (str(chain.nodes[0].target), str(chain.norm.target) if chain.norm else "")
    if name not in kernels:
        conv = network.get_submodule(name[0])
        assert isinstance(conv, nn.Conv2d)
        kind = Packed if conv.weight.device.type == "cpu" else Kernel
        kernels[name] = kind(conv, network.get_submodule(name[1]) if chain.norm else None)
    return kernels[name]


def _step(node: fx.Node, network: nn.Module) -> tuple[Step, list[fx.Node]]:
    """A step that isn't a convolution, and the steps whose outputs it takes."""
    if _is_addition(node):
        return Addition(), list(node.args)  # type: ignore[arg-type]
    if node.target is torch.cat and _moves(node) and _joins_channels(node):
        return Concatenation(), list(node.args[0])  # type: ignore[arg-type]
    inputs: list[fx.Node] = []

    def slot(one: fx.Node) -> Any:
        if one.op == "get_attr":
            return _attribute(network, str(one.target))
        if one not in inputs:
            inputs.append(one)
        return Slot(inputs.index(one))

    args, kwargs = fx.map_arg((node.args, node.kwargs), slot)
    kind = Item if node.target is operator.getitem and isinstance(node.args[1], int) else Other
    return kind(_call(node, network), args, dict(kwargs)), inputs


def _joins_channels(node: fx.Node) -> bool:
    parts, *rest = node.args
    axis = rest[0] if rest else node.kwargs.get("dim", 0)
    plain = isinstance(parts, (list, tuple)) and all(isinstance(part, fx.Node) for part in parts)
    return bool(plain and axis == 1) and not (node.kwargs.keys() - {"dim"})


def _call(node: fx.Node, network: nn.Module) -> Callable[..., Any]:
    if node.op == "call_method":
        return lambda value, *args, **kwargs: getattr(value, str(node.target))(*args, **kwargs)
    if node.op == "call_function":
        return node.target  # type: ignore[return-value]
    module = network.get_submodule(str(node.target))
    return Norm(module) if node.meta.get("only_norm") else module


class Norm(nn.Module):
    """The batch norm of a module that does more."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        n = self.norm
        return F.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias, False, 0.0, n.eps)  # type: ignore[arg-type]


def _only_user(node: fx.Node, output: fx.Node) -> fx.Node | None:
    """The only step that uses this one's result, if it takes nothing else, and it isn't watched."""
    if len(node.users) != 1:
        return None
    (user,) = node.users
    return None if user is output or user.all_input_nodes != [node] else user


def _module(node: fx.Node, network: nn.Module) -> nn.Module | None:
    """The network's module that a step runs; None if it isn't one, or others have their hand in it."""
    if node.op != "call_module":
        return None
    module = network.get_submodule(str(node.target))
    return None if module._forward_pre_hooks or module._forward_hooks else module


def _is_convolution(module: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    """A convolution with zeros around it (or timm's, padded as in TensorFlow) and nothing special."""
    if not isinstance(module, nn.Conv2d) or module.padding_mode != "zeros":
        return False
    plain = type(module) is nn.Conv2d or type(module).__name__ == "Conv2dSame"
    return plain and not isinstance(module.padding, str)


def _is_norm(node: fx.Node, module: nn.Module | None) -> bool:
    usual = type(module) is nn.BatchNorm2d or node.meta.get("only_norm", False)
    return usual and getattr(module, "running_var", None) is not None


def _clamp(node: fx.Node, network: nn.Module) -> Clamp | None:
    """The bounds of an activation that is a clamp."""
    module = _module(node, network)
    if type(module) is nn.ReLU or (
        len(node.args) == 1 and (node.target in (F.relu, torch.relu) or node.target == "relu")
    ):
        return RELU
    if isinstance(module, nn.Hardtanh):  # ReLU6 is one
        return (float(module.min_val), float(module.max_val))
    return (0.0, 6.0) if node.target is F.relu6 else None


def _attribute(network: nn.Module, path: str) -> object:
    found: object = network
    for name in path.split("."):
        found = getattr(found, name)
    return found
