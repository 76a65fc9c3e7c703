"""A network's steps for the layers that are watched: fused, or in pieces that are computed again, or both."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from phosphene.ascent.fuse import Kernels, fuse
from phosphene.ascent.graph import Traced, written
from phosphene.ascent.tape import Tape

PROBE = 96  # px: side of the picture whose activations are measured
Run = Callable[[Tensor], dict[str, Tensor]]


class Fast:
    """Runs a frozen, channels-last network for sets of layers, each made ready once; `fused` on a CPU."""

    def __init__(self, network: nn.Module, fused: bool = True, channels: int = 3) -> None:
        self._network, self._fused, self._channels = network, fused, channels
        self._kernels: Kernels = {}
        self._ready: dict[tuple[frozenset[str], bool], Tape | None] = {}

    def watching(self, layers: frozenset[str], checkpointing: bool = False) -> Run | None:
        """What takes the network's input to the outputs of these layers; None where it can't be made.

        With `checkpointing`, backward computes activations again, which takes a third more time.
        """
        names, key = sorted(layers), (layers, checkpointing)
        if key not in self._ready:
            self._ready[key] = self._in_pieces(names) if checkpointing else self._made(names)
        return _named(self._ready[key], names)

    @cached_property
    def traced(self) -> Traced | None:
        """The network's steps; None where they can't be written down."""
        return written(self._network)

    def _made(self, names: list[str]) -> Tape | None:
        if self.traced is None or not self.traced.outputs.keys() >= set(names):
            return None
        try:
            return fuse(self.traced.cut(names), self._network, self._kernels, self._fused)
        except Exception:  # a network unlike those that this is for
            return None

    def _in_pieces(self, names: list[str]) -> Tape | None:
        tape = self._made(names)
        like = next(self._network.parameters(), torch.empty(0))
        grey = torch.zeros(1, self._channels, PROBE, PROBE, device=like.device, dtype=like.dtype)
        try:
            with torch.no_grad():
                return tape and tape.in_pieces(grey.contiguous(memory_format=torch.channels_last))
        except Exception:  # a network that isn't for such pictures
            return None


def _named(tape: Tape | None, names: list[str]) -> Run | None:
    if tape is None:
        return None

    def run(x: Tensor) -> dict[str, Tensor]:
        outputs = tape(x)
        if not all(isinstance(act, Tensor) for act in outputs):
            raise TypeError("a layer gives several tensors")
        return dict(zip(names, outputs, strict=True))

    return run
