"""Lens: an image in, the activations of named layers out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from phosphene import ascent
from phosphene.errors import PhospheneError, nearest

Acts = Mapping[str, Tensor]
Look = Callable[[Tensor], Acts]


LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in a grey network's input


class _SeenEnough(BaseException):
    """Ends a forward pass at the last watched layer."""


class Lens:
    """A network, how it wants its input, and its layers by name.

    The network's input is `(scale * image - mean) / std` with the image's channels in
    `channel_order`, `"l"` for a grey network's one; images are `[N, 3, H, W]`, RGB, 0..1. `mean` and
    `std` have a number for each of the network's channels, or one for all. `size` is the side in px that
    the network was trained with, `patch` that of a transformer's patches (0: none), which come after
    `prefix` tokens. `text` makes unit-length embeddings `[n, D]` of prompts, and `embedding` names the
    layer whose output they are compared with. Anything else is E_PARAM.

    The lens works on a frozen copy: hooks, mode and gradients of the module that was passed in are never
    touched. Unless it is `plain`, its steps are fused where the layers that are watched allow it; the
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
        channel_order: str = "rgb",
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
    ) -> None:
        channels = _channels(channel_order)
        if dtype not in ascent.DTYPES:
            raise PhospheneError("E_PARAM", f"dtype is {dtype!r}, expected one of {', '.join(ascent.DTYPES)}")
        self.name = name or type(module).__name__
        self.classes = tuple(classes)
        self.head = head
        self.weights_sha256 = weights_sha256
        self.device = torch.device(device)
        self.dtype = dtype
        self.plain = not compile and (plain or dtype != "float32" or self.device.type != "cpu")
        self.compile, self._exact = compile, plain
        self.notes = tuple(notes)  # what a person should know of how it came about
        self.size, self.patch, self.prefix = size, patch, prefix
        self.text, self.embedding = text, embedding
        self._order = ["rgb".index(channel) for channel in channel_order if channel != "l"]
        self._scale = _numbers("scale", [scale], 1)[0]
        with torch.inference_mode(False):
            self.module = ascent.ready(module, self.device, dtype)
            self._mean = self._row(_numbers("mean", mean, channels))
            self._std = self._row(_numbers("std", std, channels))
            self._luma = self._row(LUMA)
        self.layers: tuple[str, ...] = tuple(name for name, _ in self.module.named_modules() if name)
        self._fast = (
            ascent.Compiled(self.module, self.device, not plain) if compile else ascent.Fast(self.module)
        )

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
        if layer != "input" and layer not in self.layers:
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

        The forward pass ends at the last of them. Hooks live inside the `with` and act only while
        that function runs. `"input"` is the image itself. Maps are `[N, C, H, W]`, vectors `[N, C]`.
        With `checkpointing`, gradients take less memory and a third more time, where the network's
        steps can be written down; the values are the same.
        """
        wanted = frozenset(self.check(layer) for layer in layers) - {"input"}
        for layer in sorted(wanted):
            if layer in self._repeated:
                raise _ambiguous(layer)
        fast = None if self.plain or not wanted else self._fast.watching(wanted)
        if checkpointing and wanted:
            fast = self._pieces.watching(wanted, checkpointing=True) or fast
        seen: dict[str, Tensor] = {}
        looking = False

        def look(image: Tensor) -> Acts:
            nonlocal looking
            seen.clear()
            if wanted and fast:
                with suppress(Exception):  # the plain path finds out what is wrong, if anything is
                    acts = fast(self.prepare(image))
                    return {"input": image, **{layer: act.float() for layer, act in acts.items()}}
            if wanted:
                looking = True
                try:
                    self.module(self.prepare(image))
                except _SeenEnough:
                    pass
                except RuntimeError as error:
                    raise _explained(error, image, self.name) from error
                finally:
                    looking = False
            for layer in wanted - seen.keys():
                raise PhospheneError(
                    "E_LAYER", f"{self.name} doesn't run its layer {layer!r}; choose another"
                )
            found = {"input": image, **{layer: act.float() for layer, act in seen.items()}}
            seen.clear()
            return found

        def capture(layer: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                if not looking:
                    return
                if not isinstance(output, Tensor) or output.dim() not in (2, 4):
                    raise PhospheneError(
                        "E_LAYER",
                        f"layer {layer!r} gives {_shape(output)}, expected [N, C, H, W] or [N, C]; "
                        "choose another",
                    )
                if layer in seen:
                    raise _ambiguous(layer)
                last = len(seen) + 1 == len(wanted)
                seen[layer] = output if last else output.clone()
                if last:
                    raise _SeenEnough

            return hook

        parts = dict(self.module.named_modules())
        handles = [parts[layer].register_forward_hook(capture(layer)) for layer in wanted]
        try:
            heap = ascent.returned if checkpointing else ascent.kept if fast else nullcontext
            with heap(), ascent.exact(self._exact):
                yield look
        finally:
            for handle in handles:
                handle.remove()

    @cached_property
    def _pieces(self) -> ascent.Fast:
        """What computes activations again: fused wherever the lens is."""
        usual = isinstance(self._fast, ascent.Fast) and not self.plain
        return self._fast if usual else ascent.Fast(self.module, fused=False)  # type: ignore[return-value]

    def channels(self, layer: str) -> int:
        """How many channels (or units) `layer` has, found by looking at a small grey picture."""
        with torch.no_grad(), self.watching([layer]) as look:
            return look(self._grey())[layer].shape[1]

    @cached_property
    def _repeated(self) -> frozenset[str]:
        """The layers that run more than once in one pass, as far as it gets on a small grey picture."""
        calls: Counter[str] = Counter()

        def count(layer: str) -> Callable[[nn.Module, Any, Any], None]:
            return lambda _module, _inputs, _output: calls.update([layer])

        handles = [
            part.register_forward_hook(count(layer)) for layer, part in self.module.named_modules() if layer
        ]
        try:
            with torch.no_grad(), suppress(Exception):
                self.module(self.prepare(self._grey()))
        finally:
            for handle in handles:
                handle.remove()
        return frozenset(layer for layer, times in calls.items() if times > 1)

    def _grey(self) -> Tensor:
        return torch.full((1, 3, 96, 96), 0.5, device=self.device)


def _channels(order: str) -> int:
    if order != "l" and sorted(order) != ["b", "g", "r"]:
        raise PhospheneError("E_PARAM", f"channel_order is {order!r}, expected 'rgb', 'bgr' or 'l'")
    return len(order)


def _numbers(name: str, given: Sequence[float], channels: int) -> list[float]:
    """`given` as one finite number for each channel, none of what is divided by being 0; else E_PARAM."""
    try:
        numbers = [float(number) for number in given]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (1, channels):
        wanted = "a number" if channels == 1 else f"{channels} numbers, one for each channel, or 1"
        raise PhospheneError("E_PARAM", f"{name} is {str(given)[:100]}, expected {wanted}")
    if not all(map(math.isfinite, numbers)) or (name != "mean" and 0 in numbers):
        raise PhospheneError(
            "E_PARAM",
            f"{name} is {str(given)[:100]}, expected finite numbers"
            + ("" if name == "mean" else " that aren't 0"),
        )
    return numbers * channels if len(numbers) == 1 else numbers


def _shape(output: Any) -> str:
    return str(list(output.shape)) if isinstance(output, Tensor) else type(output).__name__


def _ambiguous(layer: str) -> PhospheneError:
    return PhospheneError("E_LAYER", f"layer {layer!r} runs more than once; choose the block around it")


def _explained(error: RuntimeError, image: Tensor, name: str) -> Exception:
    """What a network's own error means for a picture that is too small or too large for it."""
    height, width = image.shape[-2:]
    words = str(error).lower()
    if (
        isinstance(error, torch.OutOfMemoryError)
        or "can't allocate memory" in words
        or "not enough memory" in words
    ):
        return PhospheneError(
            "E_MEMORY",
            f"{width}×{height} px at once don't fit into memory; give a smaller --tile or --max-size",
        )
    if min(height, width) < 64:
        return PhospheneError(
            "E_TOO_SMALL",
            f"{name} can't look at {width}×{height} px; give a larger photo, --scale or fewer --octaves",
        )
    return error
