"""The fast path: a network's steps for the layers that are watched, fused."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from phosphene.ascent.fuse import Kernels, fuse
from phosphene.ascent.graph import Traced, Untraceable, trace
from phosphene.ascent.tape import Tape

Run = Callable[[Tensor], dict[str, Tensor]]


class Fast:
    """Runs a frozen, channels-last network on the CPU for sets of layers, each made ready once."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._traced: Traced | None = None
        self._kernels: Kernels = {}
        self._ready: dict[frozenset[str], Tape | None] = {}

    def watching(self, layers: frozenset[str]) -> Run | None:
        """What takes the network's input to the outputs of these layers; None where it can't be made."""
        if layers not in self._ready:
            self._ready[layers] = self._made(sorted(layers))
        return _named(self._ready[layers], sorted(layers))

    def _made(self, names: list[str]) -> Tape | None:
        try:
            self._traced = self._traced or trace(self._network)
            if not self._traced.outputs.keys() >= set(names):
                return None
            return fuse(self._traced.cut(names), self._network, self._kernels)
        except Untraceable:
            return None


def _named(tape: Tape | None, names: list[str]) -> Run | None:
    if tape is None:
        return None

    def run(x: Tensor) -> dict[str, Tensor]:
        outputs = tape(x)
        if not all(isinstance(act, Tensor) and act.dim() in (2, 4) for act in outputs):
            raise TypeError("a layer gives no map")
        return dict(zip(names, outputs, strict=True))

    return run
