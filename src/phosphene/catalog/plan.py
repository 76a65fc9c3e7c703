"""Which units of a network, and what is to be made of each: from patterns and ranges to a `Plan`."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from phosphene import evidence, plugins
from phosphene.catalog.record import KINDS, Atlas, Layer, Plan
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.layers import Row, maps
from phosphene.lens import Lens
from phosphene.param import kind_of
from phosphene.picture import open_picture
from phosphene.recipe import file_sha256, software

MATTERS = ("phosphene", "torch", "timm")  # of the software: told, but no part of a key
SLICE = re.compile(r"(\d{0,7}):(\d{0,7})(?::(\d{1,7}))?")


def chosen(rows: Sequence[Row], pattern: str) -> list[Row]:
    """The layers whose name fits one of the patterns, as in `conv_stem,blocks.[0-2].?`; with "" the
    innermost blocks, or all where there are none. E_LAYER for none.
    """
    if pattern:
        patterns = [part.strip() for part in pattern.split(",") if part.strip()]
        found = [row for row in rows if any(fnmatchcase(row.name, one) for one in patterns)]
    else:
        names = {row.name for row in rows}
        inside = {row.name.rpartition(".")[0] for row in rows} & names
        outer = {name.rpartition(".")[0] for name in inside}
        found = [row for row in rows if row.name in inside - outer] or list(rows)
    if not found:
        raise PhospheneError("E_LAYER", f"no layer fits {pattern[:200]!r}; `phosphene layers` lists all")
    return found


def units(text: str, every: int = 1) -> tuple[int, int | None, int]:
    """`0:16`, `7`, `:100:3` or "" (all) as start, stop (None = to the end) and step."""
    if every < 1:
        raise PhospheneError("E_PARAM", f"--every is {every}, expected 1 or more")
    if text.isdigit():
        return int(text), int(text) + 1, 1
    found = SLICE.fullmatch(text or ":")
    if not found or found[3] == "0":
        raise PhospheneError("E_PARAM", f"--units is {text[:40]!r}, expected a range, such as 0:16 or ::4")
    return int(found[1] or 0), int(found[2]) if found[2] else None, int(found[3] or 1) * every


def kinds(text: str) -> tuple[str, ...]:
    """`noise,photos` as names."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if bad := [one for one in found if one not in KINDS]:
        raise PhospheneError("E_PARAM", f"--kinds has {bad[0][:40]!r}, expected some of {', '.join(KINDS)}")
    if not found:
        raise PhospheneError("E_PARAM", f"--kinds is empty, expected some of {', '.join(KINDS)}")
    return tuple(one for one in KINDS if one in found)


def layers(rows: Sequence[Row], wanted: tuple[int, int | None, int]) -> tuple[Layer, ...]:
    """These rows with their planned units; layers that have none of them are left out."""
    start, stop, step = wanted
    found = [
        Layer(
            name=row.name,
            kind=row.kind,
            channels=row.channels,
            height=row.height,
            width=row.width,
            depth=row.depth,
            start=start,
            stop=min(row.channels, row.channels if stop is None else stop),
            step=step,
        )
        for row in rows
    ]
    if not (left := tuple(layer for layer in found if layer.units)):
        raise PhospheneError("E_PARAM", f"no layer has units {start} and up; give other --units")
    return left


def make(
    lens: Lens,
    noise: Dream,
    dream: Dream,
    *,
    pattern: str = "",
    which: tuple[int, int | None, int] = (0, None, 1),
    wanted: Sequence[str] = ("noise", "photos"),
    size: int = 224,
    variants: int = 4,
    crops: int = 2048,
    folder: str = "",
    picture: str = "",
    atlases: Sequence[Atlas] = (),
) -> Plan:
    """The plan for a network that is loaded. `picture` is the photo for `dream`, the folder's first if ''.

    Files are named in it by their whole paths, as its workers may run in other folders.
    """
    folder, picture, weights = (whole(name) for name in (folder, picture, noise.weights))
    about_photos = {"photos", "dream"} & set(wanted)
    files = evidence.photo_files(folder) if about_photos else []
    if about_photos and not files:
        raise PhospheneError("E_INPUT", f"{folder}: no photo in it; give another folder with --photos")
    if "dream" in wanted:
        picture = picture or str(files[0])
        open_picture(picture)  # rather than to fail with every item
    known = software().model_dump()
    return Plan(
        model=noise.model,
        weights_sha256=lens.weights_sha256 or fingerprint(lens),
        layers=layers(chosen(maps(lens), pattern), which),
        kinds=tuple(wanted),
        size=size,
        atlases=tuple(atlases),
        variants=variants,
        crops=crops,
        noise=noise.but(weights=weights),
        dream=dream.but(weights=weights),
        folder=folder if about_photos else "",
        photos=of_photos(files) if "photos" in wanted else "",
        picture=picture,
        photo=file_sha256(picture) if picture else "",
        software={name: known[name] for name in MATTERS},
        plugins=others(noise),
    )


def others(settings: Dream) -> dict[str, str]:
    """The packages of others that a picture depends on, with their versions: `{"param": "inks 1.0"}`."""
    kind_of(settings.param)  # loads it, or says what is wrong
    found = {
        "param": plugins.behind(settings.param, "", ""),
        "model": plugins.behind("", settings.model, ""),
    }
    return {name: package for name, package in found.items() if package}


def whole(name: str) -> str:
    """A file's or folder's whole path; '' stays."""
    return os.path.abspath(name) if name else ""  # noqa: PTH100


def of_photos(files: Sequence[Path]) -> str:
    """The hash of photos and their names."""
    lines = (f"{path.name} {file_sha256(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprint(lens: Lens) -> str:
    """The hash of a network's numbers, where no file has one."""
    found = hashlib.sha256()
    for name, tensor in lens.module.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return found.hexdigest()
