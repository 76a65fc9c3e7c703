"""The one error that users see."""

from __future__ import annotations


class PhospheneError(Exception):
    """What was got, what was expected and what to do next, in one line.

    `code` is stable and machine readable (`E_PARAM`, `E_DECODE`, …); `str(error)` is the line
    for people. The command line prints it and exits with 2; Python code catches it.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(" ".join(message.split()))


def nearest(name: str, names: list[str] | tuple[str, ...], count: int = 5) -> list[str]:
    """The `count` entries of `names` that are spelled most like `name`, best first."""
    from difflib import SequenceMatcher

    name = name[:200]  # comparing takes time with the square of the length

    def likeness(other: str) -> float:
        bonus = 0.5 if name and (name.lower() in other.lower() or other.lower() in name.lower()) else 0.0
        return SequenceMatcher(None, name.lower(), other.lower()).ratio() + bonus

    return sorted(names, key=likeness, reverse=True)[:count]
