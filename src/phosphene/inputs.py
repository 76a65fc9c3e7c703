"""How a network wants its input, as Python code says it: each part checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from phosphene import ascent, checks
from phosphene.errors import PhospheneError


def network(module: Any) -> nn.Module:
    """The network itself. E_MODEL."""
    if not isinstance(module, nn.Module):
        raise PhospheneError(
            "E_MODEL", f"the network is a {type(module).__name__}, expected a torch.nn.Module"
        )
    return module


def device_of(device: Any) -> torch.device:
    """A device by its name. E_DEVICE."""
    try:
        return torch.device(device)
    except (RuntimeError, TypeError, ValueError, AssertionError):
        raise PhospheneError(
            "E_DEVICE", f"device is {str(device)[:80]!r}, expected cpu, cuda, cuda:N or mps"
        ) from None


def dtype_of(dtype: Any) -> str:
    """What to calculate in."""
    if checks.text("dtype", dtype) not in ascent.DTYPES:
        raise PhospheneError(
            "E_PARAM", f"dtype is {dtype[:80]!r}, expected one of {', '.join(ascent.DTYPES)}"
        )
    return str(dtype)


def words(what: str, given: Any) -> tuple[str, ...]:
    """Some texts."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise PhospheneError("E_PARAM", f"{what} is a {type(given).__name__}, expected a list of texts")
    return tuple(checks.text(f"one of {what}", each) for each in given)


def order_of(module: nn.Module) -> str:
    """ "l" of a network whose first convolution takes one channel, else "rgb"."""
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    return "l" if first is not None and first.in_channels == 1 else "rgb"


def channels_of(order: str) -> int:
    """How many channels the input has."""
    if checks.text("channel_order", order) != "l" and sorted(order) != ["b", "g", "r"]:
        raise PhospheneError("E_PARAM", f"channel_order is {order[:80]!r}, expected 'rgb', 'bgr' or 'l'")
    return len(order)


def numbers(name: str, given: Sequence[float], channels: int) -> list[float]:
    """`given` as one finite number for each channel, none of what is divided by being 0; else E_PARAM."""
    try:
        found = [float(number) for number in given]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        found = []
    if len(found) not in (1, channels):
        wanted = "a number" if channels == 1 else f"{channels} numbers, one for each channel, or 1"
        raise PhospheneError("E_PARAM", f"{name} is {str(given)[:100]}, expected {wanted}")
    if not all(map(math.isfinite, found)) or (name != "mean" and 0 in found):
        raise PhospheneError(
            "E_PARAM",
            f"{name} is {str(given)[:100]}, expected finite numbers"
            + ("" if name == "mean" else " that aren't 0"),
        )
    return found * channels if len(found) == 1 else found
