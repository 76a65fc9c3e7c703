"""Lens: an image in, the activations of named layers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import NoReturn

import torch
from torch import Tensor, nn

from phosphene import ascent, checks, inputs
from phosphene.address import Address, Site, names, parse
from phosphene.capture import whole
from phosphene.crops import resized
from phosphene.errors import PhospheneError, nearest
from phosphene.outputs import brackets
from phosphene.presented import channels, explained, shapes, shown
from phosphene.survey import MOST, SIZES, Survey
from phosphene.tokens import Layout, Shape, Size
from phosphene.ways import Ways

Acts = Mapping[str, Tensor]
Look = Callable[[Tensor], Acts]
Wanted = Mapping[str, Address]
Places = dict[str, tuple[Site, Layout]]


LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in a grey network's input


class Lens:
    """A network, how it wants its input, and its layers by name.

    The network's input is `(scale * image - mean) / std` with the image's channels in
    `channel_order`, `"l"` for a grey network's one, "" as its first convolution has it; images are
    `[N, 3, H, W]`, RGB, 0..1. `mean` and `std` have a number for each of the network's channels, or one
    for all. `size` is the side in px that
    the network was trained with, `patch` that of a transformer's patches (0: none), which come after
    `prefix` tokens. `text` makes unit-length embeddings `[n, D]` of prompts, and `embedding` names the
    layer whose output they are compared with. Anything else is E_PARAM.

    The lens works on a frozen copy: hooks, mode and gradients of the module that was passed in are never
    touched. With `own` it takes the module itself.
    Unless it is `plain`, its steps are fused where the layers that are watched allow it; the
    values are the same. With `compile` they are compiled by PyTorch when layers are watched for the first
    time; E_DEVICE where that can't be.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str = "",
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        scale: float = 1.0,
        channel_order: str = "",
        classes: Sequence[str] = (),
        head: str = "",
        weights_sha256: str = "",
        device: str | torch.device = "cpu",
        dtype: str = "float32",
        plain: bool = False,
        compile: bool = False,  # noqa: A002
        notes: Sequence[str] = (),
        size: int = 224,
        patch: int = 0,
        prefix: int = 0,
        text: Callable[[Sequence[str]], Tensor] | None = None,
        embedding: str = "",
        own: bool = False,
    ) -> None:
        module = inputs.network(module)
        channel_order = checks.text("channel_order", channel_order) or inputs.order_of(module)
        channels = inputs.channels_of(channel_order)
        self.name = checks.text("name", name) or type(module).__name__
        self.classes = inputs.words("classes", classes)
        self.head = checks.text("head", head)
        self.weights_sha256 = weights_sha256
        self.device = inputs.device_of(device)
        self.dtype = dtype = inputs.dtype_of(dtype)
        self.plain = not compile and (plain or not ascent.quick(self.device, dtype))
        self.compile, self._exact = compile, plain
        self.notes = tuple(notes)  # what a person should know of how it came about
        self.size, self.patch = checks.whole("size", size, 1), checks.whole("patch", patch)
        self.prefix = checks.whole("prefix", prefix)
        self.text, self.embedding = text, embedding
        self._order = ["rgb".index(channel) for channel in channel_order if channel != "l"]
        self._scale = inputs.numbers("scale", [scale], 1)[0]
        with torch.inference_mode(False):
            self.module = ascent.ready(module, self.device, dtype, own)
            self._mean = self._row(inputs.numbers("mean", mean, channels))
            self._std = self._row(inputs.numbers("std", std, channels))
            self._luma = self._row(LUMA)
        self.layers: tuple[str, ...] = tuple(name for name, _ in self.module.named_modules() if name)
        self._names = names(self.module)
        self._survey = Survey(self.module, self._grey, size, patch, prefix)
        fast = (
            ascent.Compiled(self.module, self.device, not plain, channels)
            if compile
            else ascent.Fast(self.module, channels=channels)
        )
        self._ways = Ways(
            self.module, self._survey, fast, plain=self.plain, channels=channels, device=self.device
        )

    def _grey(self, image: Tensor) -> Tensor:
        return self.prepare(image.to(self.device))

    def _row(self, numbers: Sequence[float]) -> Tensor:
        return torch.tensor(numbers, device=self.device).view(1, -1, 1, 1)

    def __repr__(self) -> str:
        return f"Lens({self.name!r}, {len(self.layers)} layers, {self.dtype} on {self.device})"

    @property
    def zero(self) -> Tensor:
        """The colour that the network gets as zeros: `[3, 1, 1]`, RGB, 0..1."""
        mean = self._mean[0] / self._scale
        return (
            mean[[self._order.index(channel) for channel in range(3)]]
            if self._order
            else mean.repeat(3, 1, 1)
        )

    def prepare(self, image: Tensor) -> Tensor:
        """`[N, 3, H, W]` RGB 0..1 as the network wants it, channels-last, in the lens's dtype."""
        if not self._order:
            x = (image * self._luma).sum(1, keepdim=True)
        else:
            x = image if self._order == [0, 1, 2] else image[:, self._order]
        x = (self._scale * x - self._mean) / self._std
        return x.to(ascent.DTYPES[self.dtype]).contiguous(memory_format=torch.channels_last)

    def check(self, layer: str) -> str:
        """`layer`, if there is such a layer; else E_LAYER with the nearest names."""
        if layer != "input" and parse(layer, self._names) is None:
            near = ", ".join(nearest(layer, self.layers))
            raise PhospheneError(
                "E_LAYER",
                f"{self.name} has no layer {layer[:200]!r}; the nearest are {near}; "
                "`phosphene layers` lists all",
            )
        return layer

    @contextmanager
    def watching(self, layers: Iterable[str], checkpointing: bool = False) -> Iterator[Look]:
        """A function from an image `[N, 3, H, W]` to the activations of `layers`, float32.

        A layer is a module's name, `NAME#K` for its K-th call (from 0), `NAME[ITEM]` for an item of the
        tuple, dict or dataclass that it gives. Activations are what it gave at that time, whatever works
        in place later. The forward pass ends at the last of them. Hooks live inside the `with` and act
        only while that function runs. `"input"` is the image itself. Maps are `[N, C, H, W]`, vectors
        `[N, C]`; tokens are folded to `[N, C, h, w]`, and those that come before, for classes and
        registers, are `NAME@prefix`, `[N, C, T]`. What is none of these is E_LAYER, and E_ZERO_GRADIENT
        what no gradient leads back from to an image that wants one. Of layers that the network gets to with
        pictures of its own `size` alone, as behind a `flatten`, the image is resized to that first.
        With `checkpointing`, gradients take less memory and a third more time, where the network's
        steps can be written down; the values are the same.
        """
        wanted = {
            layer: address
            for layer in sorted({self.check(layer) for layer in layers} - {"input"})
            if (address := parse(layer, self._names)) is not None
        }
        with ExitStack() as stack:
            places = self._places(wanted)
            way = self._ways.to(_sites(places), stack, checkpointing) if wanted and places else None

            def look(image: Tensor) -> Acts:
                nonlocal places, way
                if not wanted:
                    return {"input": image}
                size = (image.shape[-2], image.shape[-1])
                self._recount(wanted, size)
                met = resized(image, self.size) if self._narrow(wanted, size) else image
                try:
                    if way is None:
                        places = self._places(wanted, size) or self._reason(wanted, image)
                        way = self._ways.to(_sites(places), stack, checkpointing)
                    acts = way(self.prepare(met))
                except Exception as error:
                    raise self._explained(error, image, wanted) from error
                found = {"input": image}
                for layer, (site, layout) in (places or {}).items():
                    if site not in acts:
                        raise self._missing(layer, wanted[layer])
                    found[layer] = shown(acts[site], layout, met, layer, wanted[layer].prefix).float()
                return found

            heap = ascent.returned if checkpointing else ascent.kept if way and way.fast else nullcontext
            with heap(), ascent.exact(self._exact):
                yield look

    def _places(self, wanted: Wanted, size: Size | None = None) -> Places | None:
        """Where every layer is; None if one is reached by none of the pictures seen, or one of `size`."""
        if size:
            self._survey.look(size)
        found = {layer: self._survey.resolve(address, layer) for layer, address in wanted.items()}
        places = {layer: place for layer, place in found.items() if place}
        return places if len(places) == len(wanted) else None

    def channels(self, layer: str) -> int:
        """How many channels (or units) `layer` has, found by looking at a small grey picture."""
        address = parse(self.check(layer), self._names)
        found = None if address is None else self._survey.resolve(address, layer)
        if found is None:
            with torch.no_grad(), self.watching([layer]) as look:
                return look(torch.full((1, 3, 96, 96), 0.5, device=self.device))[layer].shape[1]
        return channels(self._survey.shape(found[0]), found[1])

    def addresses(self, height: int, width: int) -> dict[str, Shape]:
        """Every address that can be watched, with what it gives for a picture of that size.

        Shapes are `[1, C, h, w]`, `[1, C]` and, for class and register tokens, `[1, C, T]`. A layer that
        runs several times has one for each call, one that gives several tensors one for each.
        """
        size = (height, width)
        calls = self._survey.look(size)
        found: dict[str, Shape] = {}
        for name in self.layers:
            times = self._survey.times(name)
            for call in range(min(times, len(calls.get(name, [])))):
                items = self._survey.items(name, call)
                for path in items:
                    text = (
                        name + (f"#{call}" if times > 1 else "") + (brackets(path) if len(items) > 1 else "")
                    )
                    with suppress(PhospheneError):
                        place = self._survey.resolve(Address(name, call, path), text)
                        leaf = next((one for one in calls[name][call] if one.path == path), None)
                        if place and leaf:
                            found |= shapes(text, leaf.shape, place[1], size)
        return found

    def _narrow(self, wanted: Wanted, size: Size) -> bool:
        """Whether the network gets to all of these with pictures of its own size, not with one of `size`."""
        own, names = (self.size, self.size), {address.name for address in wanted.values()}

        def reached(one: Size) -> bool:
            return all(one in self._survey.reaching(name) for name in names)

        if size == own or not reached(own) or any(reached(other) for other in SIZES if other != own):
            return False
        self._survey.look(size)
        return not reached(size)

    def _recount(self, wanted: Wanted, size: Size) -> None:
        """Refuse what runs several times for a picture of `size`, though not for others."""
        if self._ways.steady or all(address.call is not None for address in wanted.values()):
            return
        self._survey.look((min(size[0], MOST), min(size[1], MOST)))
        for layer, address in wanted.items():
            self._survey.resolve(address, layer)

    def _reason(self, wanted: Wanted, image: Tensor) -> NoReturn:
        """Raises why the network doesn't get to these layers with `image`."""
        with torch.no_grad(), whole():
            self.module(self.prepare(image))
        layer = next(layer for layer, address in wanted.items() if not self._survey.resolve(address, layer))
        raise self._missing(layer, wanted[layer])

    def _missing(self, layer: str, address: Address) -> PhospheneError:
        times = self._survey.times(address.name)
        often = f"runs {address.name!r} {times} time{'s' * (times > 1)} only, not" if times else "doesn't run"
        return PhospheneError("E_LAYER", f"{self.name} {often} its layer {layer!r}; choose another")

    def _explained(self, error: Exception, image: Tensor, wanted: Wanted) -> Exception:
        if isinstance(error, PhospheneError):
            return error
        return explained(error, (image.shape[-2], image.shape[-1]), self.name, sorted(wanted))


def _sites(places: Places) -> frozenset[Site]:
    return frozenset(site for site, _ in places.values())
