"""What Python code gives, looked at before it is used: each gives the value back, or raises E_PARAM."""

from __future__ import annotations

import math
from typing import Any

from phosphene.errors import PhospheneError


def text(what: str, value: Any) -> str:
    """Some text."""
    if not isinstance(value, str):
        raise _wrong(what, value, "text")
    return value


def whole(what: str, value: Any, least: int = 0, most: int = 2**31 - 1) -> int:
    """A whole number from `least` to `most`; NumPy's are taken too."""
    try:
        number = None if isinstance(value, bool) else value.__index__()
    except (AttributeError, TypeError, ValueError):
        number = None
    if number is None or not least <= number <= most:
        raise _wrong(what, value, f"a whole number from {least} to {most}")
    return int(number)


def finite(what: str, value: Any) -> float:
    """A finite number."""
    try:
        number = math.nan if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(what, value, "a finite number")
    return number


def _wrong(what: str, value: Any, expected: str) -> PhospheneError:
    shown = repr(value) if isinstance(value, (str, bytes, int, float)) else type(value).__name__
    return PhospheneError("E_PARAM", f"{what} is {shown[:80]}, expected {expected}")
