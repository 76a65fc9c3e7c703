"""How a network wants its input: as the user says, as the file says, as its architecture has it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from phosphene import checks
from phosphene.errors import PhospheneError
from phosphene.models.sources import Built, Given

NUMBER = r"[-+]?\d*\.?\d+(?:[eE][-+]?\d{1,3})?"
RANGE = re.compile(rf"\s*({NUMBER})\s*(?:\.\.|[,:\s]|-|–)\s*({NUMBER})\s*")
MOST = 1e6  # no network wants larger numbers
KEYS = ("mean", "std", "range", "channel_order")  # of Dream, and of a safetensors file's metadata
FLAGS = (
    "give --mean and --std, as in `--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225`, or "
    "`--range` for the values that it wants, as in `--range=-1,1`, and `--channel-order` if it isn't rgb"
)

Numbers = str | float | Sequence[float]


def given(
    mean: Numbers = "",
    std: Numbers = "",
    range: Numbers = "",  # noqa: A002
    channel_order: str = "",
    untrained: bool = False,
    code: str = "E_PARAM",
) -> Given:
    """The same as numbers; an error with `code` says what isn't one, or can't be."""
    means, stds = numbers(mean, "mean", code), numbers(std, "std", code)
    low_high = span(range, code)
    if not all(value > 0 for value in stds):
        raise PhospheneError(code, f"std is {shown(stds)}, expected numbers above 0")
    channel_order = checks.text("channel_order", channel_order).strip().lower()
    if channel_order not in ("", "rgb", "bgr", "l"):
        raise PhospheneError(code, f"channel_order is {channel_order[:80]!r}, expected rgb, bgr or l (grey)")
    return Given(means, stds, low_high, channel_order, untrained)


def numbers(value: Numbers, name: str, code: str) -> tuple[float, ...]:
    """One number for all channels or one for each: '0.485,0.456,0.406', '[0.5 0.5 0.5]', (0.5,)."""
    split = re.split(r"[,;\s]+", value.strip(" \t()[]")) if isinstance(value, str) else None
    found = _floats(value if split is None else [part for part in split if part])
    if len(found) not in (0, 1, 3) or not all(abs(number) <= MOST for number in found):
        raise PhospheneError(
            code, f"{name} is {str(value)[:80]!r}, expected one number or three, as in 0.485,0.456,0.406"
        )
    return found


def _floats(given: object) -> tuple[float, ...]:
    """The numbers in it; what isn't one gives (NaN,), which is in no range."""
    try:
        return tuple(map(float, given if isinstance(given, Sequence) else [given]))
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return (math.nan,)


def span(value: Numbers, code: str) -> tuple[float, ...]:
    """(low, high) of '0,255', '0..255' or (0, 255); () of ''."""
    if isinstance(value, str):
        text = value.strip(" \t()[]")
        match = RANGE.fullmatch(text)
        found = tuple(float(number) for number in match.groups()) if match else ()
        if not text:
            return ()
    else:
        found = _floats(value)
    if len(found) != 2 or not all(abs(number) <= MOST for number in found) or not found[0] < found[1]:
        raise PhospheneError(
            code, f"range is {str(value)[:80]!r}, expected the lowest and the highest value, as in 0,255"
        )
    return found


def applied(built: Built, user: Given, file: Mapping[str, str], name: str, weights: str) -> Built:
    """`built` with the user's word over the file's over the architecture's, and a note if it is the last.

    `file` is what the metadata of a weights file say. E_PARAM where nobody says anything.
    """
    said = {key: file[key] for key in KEYS if file.get(key)}
    if said:
        mean, std, span_, order = (file.get(key, "") for key in KEYS)
        built = _over(built, given(mean, std, span_, order, code="E_WEIGHTS"))
    mine = user != Given(untrained=user.untrained)
    if mine:
        built = _over(built, user)
    if user.untrained:
        built = replace(built, mean=built.mean or (0.0,), std=built.std or (1.0,))
    if not built.mean or not built.std:
        raise PhospheneError("E_PARAM", f"nothing says how {name} wants its input; {FLAGS}")
    channels = 1 if built.channel_order == "l" else 3
    for key, values in {"mean": built.mean, "std": built.std}.items():
        if len(values) not in (1, channels):
            raise PhospheneError(
                "E_PARAM",
                f"{name} has {key} {shown(values)} for {channels} channel{'s'[: channels > 1]}; "
                f"give --{key} with {'one number' if channels == 1 else 'three numbers'}",
            )
    built = replace(
        built,
        mean=built.mean * (channels // len(built.mean)),
        std=built.std * (channels // len(built.std)),
    )
    if weights and not (said or mine or built.exact):
        note = f"{weights} doesn't say how its input was prepared; taken is what {name} has: {words(built)}"
        built = replace(built, notes=(*built.notes, note))
    return built


def _over(built: Built, said: Given) -> Built:
    """`built` with what was said. Another range has other means, so those of the old one don't outlive it."""
    low, high = said.range or (0.0, built.scale)
    known = (low, high) == (0.0, built.scale)
    mean = said.mean or (built.mean if known else (0.0,))
    return replace(
        built,
        mean=tuple(value - low for value in mean),
        std=said.std or (built.std if known else (1.0,)),
        scale=high - low,
        channel_order=said.channel_order or built.channel_order,
    )


def words(built: Built) -> str:
    """The preparation for people: 'rgb, 0 to 1, mean 0.485,0.456,0.406, std 0.229,0.224,0.225'."""
    top = f"{built.scale:g}"
    return f"{built.channel_order}, 0 to {top}, mean {shown(built.mean)}, std {shown(built.std)}"


def shown(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
