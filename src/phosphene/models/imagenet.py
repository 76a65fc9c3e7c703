"""ImageNet's thousand classes by number and by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from phosphene.errors import PhospheneError, nearest


@cache
def names() -> tuple[str, ...]:
    """What the classes 0 to 999 are called, each as 'synonym, synonym, …', from timm's list."""
    timm = find_spec("timm")
    assert timm is not None and timm.origin is not None
    folder = Path(timm.origin).parent / "data" / "_info"
    lemmas = dict(
        line.split("\t", 1) for line in (folder / "imagenet_synset_to_lemma.txt").read_text().splitlines()
    )
    return tuple(lemmas[synset] for synset in (folder / "imagenet_synsets.txt").read_text().split())


def class_number(text: str, classes: Sequence[str]) -> int:
    """The class that `text` means: a number in range, or a name ('tabby', 'Tiger_cat').

    A whole synonym comes before a part of one. E_PARAM with the candidates or the nearest names.
    """
    if re.fullmatch(r"\d{1,9}", text.strip()):
        number = int(text)
        if classes and number >= len(classes):
            raise PhospheneError("E_PARAM", f"class is {number}, expected 0 to {len(classes) - 1} or a name")
        return number
    if not classes:
        raise PhospheneError(
            "E_PARAM", f"class is {text[:80]!r}, but this network's classes have no names; give a number"
        )
    wanted = plain(text)
    synonyms = [[plain(word) for word in name.split(",")] for name in classes]
    exact = [i for i, name in enumerate(classes) if wanted in (*synonyms[i], plain(name))]
    partial = [i for i, words in enumerate(synonyms) if wanted and any(wanted in word for word in words)]
    found = exact or partial
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(f"{i} ({classes[i]})" for i in found[:8]) + (", …" if len(found) > 8 else "")
        raise PhospheneError("E_PARAM", f"class {text[:80]!r} may be any of {some}; give the number")
    near = nearest(wanted[:80], sorted({word for words in synonyms for word in words}))
    raise PhospheneError("E_PARAM", f"there is no class {text[:80]!r}; the nearest are {', '.join(near)}")


def plain(name: str) -> str:
    """Lower case, underscores and runs of blanks as one blank."""
    return " ".join(name.replace("_", " ").casefold().split())
