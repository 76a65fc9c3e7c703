"""What a gradient costs: the operations of the forward pass up to a layer and of the way back from it.

The network runs once on PyTorch's `meta` device, where tensors have shapes and no numbers, and all
its layers are gone back from at once: every step of the way back is counted for itself. A layer's cost is
that of the forward pass until then and of those steps that lead from it to the picture.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from phosphene.address import Address
from phosphene.lens import Lens
from phosphene.outputs import leaves

Node = Any  # of autograd's graph
Place = tuple[str, int]
Spent = frozenset[tuple[int, int]]  # nodes by their id, and their operations


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the floating-point operations of convolutions and products of matrices."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula:
            self.total += int(formula(*args, **(kwargs or {}), out_val=out))
        return out


def costs(
    lens: Lens, sites: Mapping[str, Address], size: tuple[int, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """The operations of one gradient of each layer for one picture of `size`, and how often parts run."""
    grey = lens.prepare(torch.full((1, 3, *size), 0.5, device=lens.device))
    flops: dict[Place, int] = {}
    calls: Counter[str] = Counter()
    for device in ("meta", str(lens.device)):
        try:
            module = copy.deepcopy(lens.module).to(device) if device == "meta" else lens.module
            found, times = counted(module, grey.to(device))
        except Exception:
            continue
        if len(found) >= len(flops):
            flops, calls = found, times
        if all((address.name, address.call or 0) in flops for address in sites.values()):
            break
    at = {name: (address.name, address.call or 0) for name, address in sites.items()}
    return {name: flops[place] for name, place in at.items() if place in flops}, dict(calls)


def counted(module: nn.Module, grey: Tensor) -> tuple[dict[Place, int], Counter[str]]:
    """By name and call, the operations of a gradient; and the calls of each part."""
    calls = Counter[str]()
    counting = Counting()  # type: ignore[no-untyped-call]
    forward: dict[Place, int] = {}
    made: dict[Place, list[Node]] = {}
    ends: list[Tensor] = []

    def see(name: str, output: object) -> None:
        place = (name, calls[name])
        calls[name] += 1
        tensors = [leaf for _, leaf in leaves(output) if leaf.requires_grad]
        forward[place] = counting.total
        made[place] = [leaf.grad_fn for leaf in tensors if leaf.grad_fn is not None]
        ends.extend(tensors)

    x = grey.detach().requires_grad_()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), counting, hooked(module, see):
            with suppress(Exception):  # as far as it has weights, and takes pictures of this size
                module(x)
            if not forward:
                raise ValueError("nothing ran")
            nodes = ordered([node for found in made.values() for node in found])
            own = backward(counting, nodes, ends, x)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return {place: forward[place] + total(made[place], own) for place in forward}, calls


def backward(
    counting: Counting, nodes: list[Node], ends: list[Tensor], x: Tensor
) -> dict[Node, frozenset[Any]]:
    """For each node the (node, operations) of all that it leads back through, itself included."""
    spent: dict[Node, int] = {}
    before: dict[Node, int] = {}

    def started(node: Node) -> Any:
        return lambda _grads: before.__setitem__(node, counting.total)

    def ended(node: Node) -> Any:
        return lambda _inputs, _outputs: spent.__setitem__(node, counting.total - before[node])

    handles = [
        handle
        for node in nodes
        for handle in (node.register_prehook(started(node)), node.register_hook(ended(node)))
    ]
    try:
        torch.autograd.grad(ends, [x], [torch.ones_like(end) for end in ends], allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    ways: dict[Node, Spent] = {}
    for node in nodes:
        behind = [ways[after] for after, _ in node.next_functions if after in ways]
        mine = {(id(node), spent[node])} if spent.get(node) else set()
        ways[node] = behind[0] if len(behind) == 1 and not mine else frozenset(mine).union(*behind)
    return ways


def total(nodes: list[Node], ways: Mapping[Node, Spent]) -> int:
    every: Spent = frozenset()
    return sum(flops for _, flops in every.union(*(ways.get(node, every) for node in nodes)))


def ordered(roots: list[Node]) -> list[Node]:
    """Every node that these lead back through, each after all that it leads to."""
    done: dict[Node, None] = {}
    stack = [(root, False) for root in roots]
    seen: set[Node] = set()
    while stack:
        node, ready = stack.pop()
        if ready:
            done[node] = None
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((after, False) for after, _ in node.next_functions if after is not None)
    return list(done)


@contextmanager
def hooked(module: nn.Module, see: Any) -> Iterator[None]:
    def hook(name: str) -> Any:
        return lambda _module, _inputs, output: see(name, output)

    handles = [part.register_forward_hook(hook(name)) for name, part in module.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
