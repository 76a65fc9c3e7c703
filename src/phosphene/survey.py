"""What a network's layers give, found by looking at small grey pictures of several sizes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from phosphene.address import Address, Site
from phosphene.capture import Calls, Leaf, channels_at, observe
from phosphene.errors import PhospheneError
from phosphene.outputs import Path, brackets
from phosphene.tokens import Layout, Shape, Size, layout, strides

SIZES = (96, 160), (160, 96), (128, 128)  # px: wide, high and of another area
MOST = 512  # px: side of a picture that is looked at only to find out about a layer
LISTED = 8

Seen = list[tuple[Size, Leaf]]


class Survey:
    """Knows of every layer how often it runs and what it gives; looks no further than it is asked to.

    `prepare` makes the network's input of a picture `[1, 3, H, W]`; `size` is the side in px that it was
    trained with.
    """

    def __init__(
        self, network: nn.Module, prepare: Callable[[Tensor], Tensor], size: int, patch: int, prefix: int
    ) -> None:
        self._network, self.prepare = network, prepare
        self._own, self._patch, self._prefix = (size, size), patch, prefix
        self._calls: dict[Size, Calls] = {}
        self._layouts: dict[Site, Layout | None] = {}

    def look(self, size: Size) -> Calls:
        """What every module gives for a picture of `size`, as far as the network gets."""
        if size not in self._calls:
            batch = 2 if size in (SIZES[-1], self._own) else 1  # of these, what isn't each picture's is seen
            self._calls[size] = observe(self._network, self.prepare(torch.full((batch, 3, *size), 0.5)))
            self._layouts.clear()
        return self._calls[size]

    def reaching(self, name: str) -> list[Size]:
        """The sizes of pictures with which the network gets as far as this module."""
        for size in SIZES:
            self.look(size)
        if not any(name in calls for calls in self._calls.values()):
            self.look(self._own)
        return [size for size, calls in self._calls.items() if name in calls]

    def times(self, name: str) -> int:
        """How often the module runs, at most."""
        return max((len(self._calls[size][name]) for size in self.reaching(name)), default=0)

    def resolve(self, address: Address, text: str) -> tuple[Site, Layout] | None:
        """Where to find what `address`, which is written `text`, means; None if no picture has got so far.

        E_LAYER where it means several things or none.
        """
        times = self.times(address.name)
        if times > 1 and address.call is None:
            raise PhospheneError("E_LAYER", self._repeated(address.name, times))
        site = Site(address.name, address.call or 0)
        found = self._leaves(site, address.path)
        if not any(found.values()):
            if not times or (address.call is not None and address.call >= times):
                return None
            raise PhospheneError("E_LAYER", self._no_map(text, site))
        layouts = {path: self._layout(Site(site.name, site.call, path)) for path in found}
        shown = {path: one for path, one in layouts.items() if one}
        maps = {path: one for path, one in shown.items() if one.kind != "vector"} or shown
        if len(maps) != 1:
            raise PhospheneError(
                "E_LAYER", self._several(text, site, list(maps)) if maps else self._no_map(text, site)
            )
        ((path, one),) = maps.items()
        if address.prefix and not one.prefix:
            raise PhospheneError(
                "E_LAYER", f"layer {text!r} has no tokens before those of the picture; leave @prefix out"
            )
        return Site(site.name, site.call, path), one

    def items(self, name: str, call: int) -> list[Path]:
        """The items of what a module gives that can each be watched."""
        site = Site(name, call)
        return [path for path in self._leaves(site, ()) if self._layout(Site(name, call, path))]

    def shape(self, site: Site) -> Shape:
        """What is at `site`, for one of the pictures."""
        return self._leaves(Site(site.name, site.call), site.path)[site.path][0][1].shape

    def _leaves(self, site: Site, within: Path) -> dict[Path, Seen]:
        """Every real tensor at `site` whose path begins so, with each picture's size."""
        found: dict[Path, Seen] = {}
        for size in self.reaching(site.name):
            calls = self._calls[size][site.name]
            for leaf in calls[site.call] if site.call < len(calls) else []:
                if leaf.real and leaf.path[: len(within)] == within:
                    found.setdefault(leaf.path, []).append((size, leaf))
        return found

    def _layout(self, site: Site) -> Layout | None:
        if site not in self._layouts:
            leaves = self._leaves(Site(site.name, site.call), site.path)[site.path]
            seen = [(size, leaf.shape) for size, leaf in leaves]
            sizes = [size for size, _ in seen]
            hint = channels_at(self._network.get_submodule(site.name)) if not site.path else None
            known = layout(seen, [self._patch], self._prefix) if self._patch else None
            if known is None or known.kind != "tokens":
                steps = set().union(*(strides(size, self._shapes(size)) for size in sizes))
                lengths = {
                    shape[1]
                    for size in sizes
                    for shape in self._shapes(size)
                    if len(shape) == 3 and shape[0] == 1
                }
                known = layout(seen, steps, self._prefix, lengths, hint)
            self._layouts[site] = known
        return self._layouts[site]

    def _shapes(self, size: Size) -> list[Shape]:
        return list(
            {
                leaf.shape
                for calls in self._calls[size].values()
                for call in calls
                for leaf in call
                if leaf.real
            }
        )

    def _repeated(self, name: str, times: int) -> str:
        calls = ", ".join(repr(f"{name}#{call}") for call in range(min(times, LISTED)))
        more = " …" if times > LISTED else ""
        return f"layer {name!r} runs more than once; choose one of its calls, {calls}{more}"

    def _several(self, text: str, site: Site, paths: list[Path]) -> str:
        listed = ", ".join(f"'{site}{brackets(path)}'" for path in paths[:LISTED])
        return f"layer {text!r} gives several tensors; choose one, {listed}"

    def _no_map(self, text: str, site: Site) -> str:
        given = {path: one[0][1].shape for path, one in self._leaves(site, ()).items()}
        words = ", ".join(
            f"{brackets(path)} {list(shape)}".strip() for path, shape in list(given.items())[:LISTED]
        )
        return (
            f"layer {text!r} gives {words or 'no floating-point tensor'}, expected [N, C, H, W] or [N, C], "
            f"or tokens of a grid; choose another"
        )
