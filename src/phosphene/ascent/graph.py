"""A network as a graph of its steps, cut down to what the watched layers need."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from phosphene.ascent.copying import copied
from phosphene.outputs import brackets, leaves

IN_PLACE = {  # what to do instead
    operator.iadd: operator.add,
    operator.imul: operator.mul,
    torch.relu_: torch.relu,
    "relu_": torch.relu,
    "add_": torch.add,
    "mul_": torch.mul,
}
ASSIGNMENTS = {
    getattr(operator, name)
    for name in ("setitem", "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul")
}
PASSES_ON = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in eval mode


class Untraceable(Exception):  # noqa: N818
    """The network's steps can't be written down; it is run as it is."""


@dataclass(frozen=True)
class Traced:
    """The steps of `network`, and the step that gives each layer's output: `NAME`, `NAME#1`, `NAME[0]` …"""

    network: nn.Module
    graph: fx.Graph
    outputs: dict[str, fx.Node]

    def cut(self, layers: Iterable[str]) -> fx.Graph:
        """A new graph from the image to a tuple of these layers' outputs, and nothing else."""
        wanted = [self.outputs[layer] for layer in layers]
        needed, stack = set(), list(wanted)
        while stack:
            node = stack.pop()
            if node not in needed:
                needed.add(node)
                stack += node.all_input_nodes
        graph = fx.Graph()
        new: dict[fx.Node, fx.Node] = {}
        for node in self.graph.nodes:
            if node in needed or node.op == "placeholder":
                new[node] = graph.node_copy(node, lambda old: new[old])
        graph.output(tuple(new[node] for node in wanted))
        simplify(graph, self.network)
        return graph


def trace(network: nn.Module) -> Traced:
    """The steps of a frozen network in eval mode; Untraceable where they depend on what it sees."""
    if any(part._backward_hooks or part._backward_pre_hooks for part in network.modules()):
        raise Untraceable("gradients that are changed on their way")
    tracer = _Tracer()
    stand_in = copied(network, share=True)  # it may keep what it sees
    try:
        with torch.inference_mode(False), torch.enable_grad():
            graph = tracer.trace(stand_in)
    except Exception as error:  # whatever the network does with a stand-in for a tensor
        raise Untraceable(str(error)) from error
    if sum(node.op == "placeholder" for node in graph.nodes) != 1:
        raise Untraceable("more than one input")
    for name, value in vars(stand_in).items():
        if name.startswith("_tensor_constant"):
            setattr(network, name, value)
    return Traced(network, graph, tracer.outputs)


def written(network: nn.Module) -> Traced | None:
    """The same, None where it can't be."""
    try:
        return trace(network)
    except Untraceable:
        return None


class _Tracer(fx.Tracer):
    """Goes into containers; what has no parts is one step, and so is every part of torch.nn."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, fx.Node] = {}
        self._calls: Counter[str] = Counter()

    def create_proxy(self, *args: Any, **kwargs: Any) -> fx.Proxy:
        if (
            not torch.is_grad_enabled()
            or torch.is_autocast_enabled("cpu")
            or torch.is_autocast_enabled("cuda")
        ):
            raise Untraceable("steps without gradients, or in another dtype")
        return super().create_proxy(*args, **kwargs)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if type(m).__module__.startswith("phosphene.models.bvlc"):
            return False
        return super().is_leaf_module(m, module_qualified_name) or not any(m.children())

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        path = self.path_of_module(m)
        if type(m).__name__ == "BatchNormAct2d":  # timm's: batch norm, drop and act in one module
            normed = self.create_proxy("call_module", path, args, kwargs)
            normed.node.meta["only_norm"] = True
            out = m.act(m.drop(normed))  # type: ignore[operator]
        else:
            out = super().call_module(m, forward, args, kwargs)
        call = f"#{self._calls[path]}" if self._calls[path] else ""
        self._calls[path] += 1
        for item, proxy in leaves(out, (fx.Proxy,)):
            self.outputs[path + call + brackets(item)] = proxy.node
        return out


def simplify(graph: fx.Graph, network: nn.Module) -> None:
    """Without steps that pass on what they get, and with nothing done in place."""
    for node in list(graph.nodes):
        if node.op == "call_module" and isinstance(network.get_submodule(node.target), PASSES_ON):
            if len(node.args) != 1 or node.kwargs:
                raise Untraceable(f"{node.target} is called in an unusual way")
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    for node in graph.nodes:
        if not _in_place(node):
            continue
        changed = node.args[0]
        if node.target not in IN_PLACE and node.target is not F.relu:
            raise Untraceable(f"{node.target} works in place")
        others = [user for user in getattr(changed, "users", ()) if user is not node and user.op != "output"]
        if not isinstance(changed, fx.Node) or others or not _is_fresh(changed, network):
            raise Untraceable(f"what {node.target} changes in place is used elsewhere")
        node.target = IN_PLACE.get(node.target, node.target)
        node.op = "call_function"
        node.kwargs = {name: value for name, value in node.kwargs.items() if name != "inplace"}


def _in_place(node: fx.Node) -> bool:
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    return node.op == "call_function" and (
        node.target in ASSIGNMENTS
        or node.kwargs.get("inplace") is True
        or getattr(node.target, "__name__", "").endswith("_")
    )


def _is_fresh(node: fx.Node, network: nn.Module) -> bool:
    """Whether the step gives memory of its own, not a view of what others see."""
    if node.op == "call_module":
        kind = type(network.get_submodule(str(node.target)))
        return kind.__module__.startswith("torch.nn.modules.") and kind is not nn.Flatten
    return node.op == "call_function" and node.target in (operator.add, torch.add, torch.relu, F.relu)
