"""Chains of steps that become one: convolution, batch norm, activation."""

from __future__ import annotations

import math
from typing import TypeGuard

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from phosphene.ascent.convolution import Clamp, Convolution
from phosphene.ascent.kernel import Kernel

Kernels = dict[tuple[str, str], Kernel]  # by the names of the convolution and its batch norm
RELU = (0.0, math.inf)
FRESH = (nn.MaxPool2d, nn.Linear)  # their backward gives memory of its own


def fuse(graph: fx.Graph, network: nn.Module, kernels: Kernels) -> fx.GraphModule:
    """The network of `graph` with each convolution and what follows it alone as one step.

    What is watched stays a step's output. `kernels` keeps the weights for the next graph.
    """
    parts: dict[str, object] = {}
    (output,) = (node for node in graph.nodes if node.op == "output")
    for node in list(graph.nodes):
        conv = _module(node, network)
        if _is_convolution(conv) and len(node.args) == 1 and not node.kwargs:
            chain, norm, clamp = _chain(node, output, network)
            name = (str(node.target), str(norm.target) if norm else "")
            if name not in kernels:
                kernels[name] = Kernel(conv, network.get_submodule(name[1]) if norm else None)
            path = f"fused_{len(parts)}"
            parts[path] = Convolution(kernels[name], clamp)
            with graph.inserting_after(chain[-1]):
                step = graph.call_module(path, node.args)
            chain[-1].replace_all_uses_with(step)
            for part in reversed(chain):
                graph.erase_node(part)
    for node in graph.nodes:
        if isinstance(fused := parts.get(str(node.target)), Convolution):
            user = _only_user(node, output)
            fused.own_gradient = user is not None and (
                str(user.target) in parts or isinstance(_module(user, network), FRESH)
            )
    for node in graph.nodes:
        if node.op == "call_module" and node.meta.get("only_norm"):
            path = f"norm_{len(parts)}"
            parts[path], node.target = _Norm(network.get_submodule(node.target)), path
        elif node.op == "call_module" and node.target not in parts:
            parts[node.target] = network.get_submodule(node.target)
        elif node.op == "get_attr":
            parts[node.target] = _attribute(network, node.target)
    return fx.GraphModule(parts, graph)


class _Norm(nn.Module):
    """The batch norm of a module that does more."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        n = self.norm
        return F.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias, False, 0.0, n.eps)  # type: ignore[arg-type]


def _chain(
    conv: fx.Node, output: fx.Node, network: nn.Module
) -> tuple[list[fx.Node], fx.Node | None, Clamp | None]:
    """A convolution's step, its batch norm's and its activation's, as far as they are there."""
    chain, norm, clamp = [conv], None, None
    after = _only_user(conv, output)
    if after is not None and _is_norm(after, _module(after, network)):
        chain.append(norm := after)
        after = _only_user(norm, output)
    if after is not None and (clamp := _clamp(after, network)):
        chain.append(after)
    return chain, norm, clamp


def _only_user(node: fx.Node, output: fx.Node) -> fx.Node | None:
    """The only step that uses this one's result, if it takes it once, and it isn't watched."""
    (user, *others) = node.users
    return None if others or user is output or user.all_input_nodes != [node] else user


def _module(node: fx.Node, network: nn.Module) -> nn.Module | None:
    """The network's module that a step runs; None if it isn't one, or others have their hand in it."""
    if node.op != "call_module" or str(node.target).startswith("fused_"):
        return None
    module = network.get_submodule(str(node.target))
    return None if module._forward_pre_hooks else module


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
