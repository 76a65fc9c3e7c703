"""Objectives that only transformers have: class and register tokens, single attention heads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from phosphene import checks
from phosphene.address import quoted
from phosphene.errors import PhospheneError
from phosphene.objective import Measure, Objective, Term
from phosphene.words import unbound

if TYPE_CHECKING:
    from phosphene.lens import Lens

PREFIX = "@prefix"  # after a layer's name: its class and register tokens [N, C, P], not its grid
HEADS = ".heads"  # the last part of a layer that gives what an attention's heads give, side by side


def cls(name: str, channel: int | None = None) -> Objective:
    """½·Σa² of a layer's class token, or one channel of it."""
    return _token(f"cls({quoted(name)}{_then(channel)})", name, 0, channel)


def token(name: str, number: int, channel: int | None = None) -> Objective:
    """½·Σa² of one of the tokens before the patches', or one channel; 0 is the class token."""
    return _token(
        f"token({quoted(name)}, {checks.whole('token', number)}{_then(channel)})", name, number, channel
    )


def _then(channel: int | None) -> str:
    return "" if channel is None else f", {checks.whole('channel', channel)}"


def _token(text: str, name: str, number: int, channel: int | None) -> Objective:
    def in_range(term: Term, lens: Lens) -> Term:
        lens.check(name)
        if not lens.prefix:
            raise PhospheneError(
                "E_PARAM", f"{text}: {lens.name} has no class or register tokens; watch the layer itself"
            )
        grey = torch.full((1, 3, 96, 96), 0.5, device=lens.device)
        with torch.no_grad(), lens.watching([name + PREFIX]) as look:
            _, channels, tokens = look(grey)[name + PREFIX].shape
        if not 0 <= number < tokens:
            raise PhospheneError(
                "E_PARAM", f"{text}: token is {number}, expected 0 to {tokens - 1} in {name}"
            )
        if channel is not None and not 0 <= channel < channels:
            raise PhospheneError(
                "E_PARAM", f"{text}: channel is {channel}, expected 0 to {channels - 1} in {name}"
            )
        return term

    def measure(act: Tensor) -> Tensor:
        values = act[:, :, number]
        score = values.square().sum(1) / 2 if channel is None else values[:, channel]
        return score[:, None, None]

    return Objective((Term(text, name + PREFIX, measure, spread=False, resolve=in_range),))


def head(name: str, number: int) -> Objective:
    """½·Σa² of one attention head: what it gives before the heads are projected together."""
    text = f"head({quoted(name)}, {checks.whole('head', number)})"

    def find(term: Term, lens: Lens) -> Term:
        lens.check(name)
        found = [layer for layer in lens.layers if layer.startswith(f"{name}.") and layer.endswith(HEADS)]
        if len(found) != 1:
            having = sorted({layer.rsplit(".", 2)[0] for layer in lens.layers if layer.endswith(HEADS)})
            some = ", ".join(having[:3]) or "none of this network's"
            raise PhospheneError(
                "E_PARAM",
                f"{text}: {name} has {len(found)} layers with attention heads, expected one: {some}",
            )
        count = int(lens.module.get_submodule(found[0]).count)  # type: ignore[arg-type]
        if not 0 <= number < count:
            raise PhospheneError("E_PARAM", f"{text}: head is {number}, expected 0 to {count - 1} in {name}")
        return replace(term, layer=found[0], measure=_of_head(number, count))

    return Objective((Term(text, "", unbound(text), resolve=find),))


def _of_head(number: int, count: int) -> Measure:
    def measure(act: Tensor) -> Tensor:
        own = act.chunk(count, 1)[number]
        return own.square().sum(1) / 2

    return measure
