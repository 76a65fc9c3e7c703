"""The ways through a network to what is watched: the plain one, and a fast one if it gives the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from phosphene import ascent, redirect
from phosphene.address import Site
from phosphene.capture import capturing
from phosphene.presented import agree
from phosphene.survey import Survey
from phosphene.tokens import Size

Run = Callable[[Tensor], dict[Site, Tensor]]
Sites = frozenset[Site]


@dataclass(frozen=True)
class Way:
    """From the network's input to what is at some sites."""

    fast: Run | None
    plain: Run

    def __call__(self, x: Tensor) -> dict[Site, Tensor]:
        if self.fast and not redirect.active():
            with suppress(Exception):  # the plain path finds out what is wrong, if anything is
                return self.fast(x)
        return self.plain(x)


class Ways:
    """The ways through `network`; fast ones are made once, and compared with the plain one before use."""

    def __init__(
        self,
        network: nn.Module,
        survey: Survey,
        fast: ascent.Fast | ascent.Compiled,
        *,
        plain: bool,
        channels: int,
        device: torch.device,
    ) -> None:
        self._network, self._survey, self.fast = network, survey, fast
        self._plain, self._channels, self._device = plain, channels, device
        self._known: dict[tuple[Sites, bool], Run | None] = {}

    def to(self, sites: Sites, stack: ExitStack, checkpointing: bool) -> Way:
        """The way to `sites`, open as long as `stack` is; E_DEVICE where it can't be compiled."""
        fast = None if self._plain else self._quick(sites, False)
        if checkpointing:
            fast = self._quick(sites, True) or fast
        return Way(fast, stack.enter_context(capturing(self._network, sites)))

    @property
    def steady(self) -> bool:
        """Whether how often a layer runs doesn't depend on the picture."""
        return self.fast.traced is not None

    @cached_property
    def _pieces(self) -> ascent.Fast:
        """What computes activations again: fused wherever the lens is."""
        if isinstance(self.fast, ascent.Fast) and not self._plain:
            return self.fast
        return ascent.Fast(self._network, False, self._channels)

    def _quick(self, sites: Sites, pieces: bool) -> Run | None:
        key = (sites, pieces)
        if key not in self._known:
            run = self._made(sites, pieces)
            right = run and any(self._agree(run, sites, size) for size in self._sizes(sites)[:1])
            self._known[key] = run if right else None
        return self._known[key]

    def _made(self, sites: Sites, pieces: bool) -> Run | None:
        by_name = {str(site): site for site in sites}
        wanted = frozenset(by_name)
        found: Any = self._pieces.watching(wanted, True) if pieces else self.fast.watching(wanted)
        return found and (lambda x: {by_name[name]: act for name, act in found(x).items()})

    def _sizes(self, sites: Sites) -> list[Size]:
        """Sizes of pictures with which the network gets to all these sites."""
        return sorted(set.intersection(*({*self._survey.reaching(site.name)} for site in sites)))

    def _agree(self, run: Run, sites: Sites, size: Size) -> bool:
        image = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))
        with torch.inference_mode(False), ascent.exact(True), capturing(self._network, sites) as plain:
            return agree(run, plain, self._survey.prepare(image))
