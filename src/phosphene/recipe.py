"""Recipe: everything that is needed to make a picture again; it travels inside the picture.

A recipe that comes from a file is a stranger's: it is read as bounded, typed data and nothing
else, and the files that it names are used only where their hashes are the recorded ones.
"""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phosphene import plugins
from phosphene.config import Dream, check_names, explain
from phosphene.errors import PhospheneError
from phosphene.folder import pictures

MAX_CHARACTERS = 500_000
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, Field(max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Picture(_Part):
    """The photo that was dreamed on: its file's name, hash and size in pixels."""

    name: str = Field("", max_length=1000)
    sha256: Sha256
    width: int = Field(ge=1, lt=2**31)
    height: int = Field(ge=1, lt=2**31)


class Start(_Part):
    """Pictures that grew without a photo of their size: a batch's size, and which of its images this is."""

    width: int = Field(ge=1, lt=2**31)
    height: int = Field(ge=1, lt=2**31)
    image: int = Field(ge=-1, le=1000)  # -1: all, on a sheet
    batch: int = Field(0, ge=0, le=1000)  # how many of a mosaic or a sheet were made at once; 0: all


class Stop(_Part):
    """Where a run ended before its time, as its last frame counts octaves and steps."""

    octave: int = Field(ge=0, le=1000)
    step: int = Field(ge=0, le=1_000_000)


class Software(_Part):
    """What made the picture; the same bits are promised where all of this is the same."""

    phosphene: Word = ""
    python: Word = ""
    torch: Word = ""
    timm: Word = ""
    numpy: Word = ""
    platform: Word = ""
    plugins: Word = ""  # packages of others that had a part in it


class Recipe(_Part):
    """The settings with nothing left open, the hashes of all files, the software.

    Seed, octaves, device and threads are those of the run; with the same software they give the
    same bits.
    """

    recipe: Literal[1] = 1
    dream: Dream
    input: Picture | None = None  # none: from noise
    start: Start | None = None  # of `visualize`
    weights_sha256: Sha256 | Literal[""] = ""
    files: dict[Annotated[str, Field(max_length=4096)], Sha256] = Field({}, max_length=300)
    interrupted: Stop | None = None
    deterministic: bool = False
    software: Software = Software()

    def to_text(self) -> str:
        """One line of ASCII JSON."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), ensure_ascii=True)

    @classmethod
    def from_text(cls, text: str) -> Recipe:
        """A recipe from untrusted text; E_RECIPE or E_PARAM where it isn't one."""
        if len(text) > MAX_CHARACTERS:
            raise PhospheneError("E_RECIPE", f"recipe of {len(text)} characters, at most {MAX_CHARACTERS}")
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise PhospheneError(
                "E_RECIPE", "the recipe isn't JSON; the picture's metadata are damaged"
            ) from None
        if not isinstance(values, dict):
            raise PhospheneError("E_RECIPE", f"the recipe is {text[:20]!r}, expected an object")
        if values.get("recipe") != 1:
            got = repr(values.get("recipe"))[:40]
            raise PhospheneError("E_RECIPE", f"recipe format {got}, expected 1; it needs another phosphene")
        if values.get("input") is None and values.get("start") is None:
            raise PhospheneError(
                "E_RECIPE", "the recipe has no input: neither a photo nor noise to start from"
            )
        try:
            dream = _dream(values.get("dream"))
        except PhospheneError as error:
            software = values.get("software")
            told = software.get("plugins") if isinstance(software, dict) else ""
            if not isinstance(told, str) or not told:
                raise
            raise PhospheneError(error.code, f"{error}; it was made with {told[:200]}") from None
        try:
            return cls.model_validate({**values, "dream": dream}, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part)[:80] for part in first["loc"]) or "recipe"
            raise PhospheneError(
                "E_RECIPE", f"recipe: {place} is {repr(first.get('input'))[:80]}: {first['msg']}"
            ) from None


def _dream(values: Any) -> Dream:
    if not isinstance(values, dict):
        raise PhospheneError("E_RECIPE", "the recipe has no settings; expected an object named dream")
    check_names(values, "recipe")
    try:
        return Dream.model_validate(values, strict=True)
    except ValidationError as error:
        raise PhospheneError("E_PARAM", f"recipe: {explain(error)}") from None


def software(dream: Dream | None = None) -> Software:
    """The software that runs now, with the packages of others that have a part in `dream`."""
    return Software(
        phosphene=installed("phosphene"),
        python=platform.python_version(),
        torch=installed("torch"),
        timm=installed("timm"),
        numpy=installed("numpy"),
        platform=f"{platform.system()} {platform.machine()}"[:200],
        plugins=plugins.behind(dream.param, dream.model, dream.objective)[:200] if dream else "",
    )


def installed(package: str) -> str:
    """A package's version without importing it; '' where it isn't installed."""
    try:
        return version(package)[:200]
    except PackageNotFoundError:
        return ""


def missing(recorded: Software) -> list[str]:
    """Packages of others that had a part in a picture and aren't installed: 'inks 1.0'."""
    return [one for one in _told(recorded) if not installed(one.rpartition(" ")[0] or one)]


def _told(recorded: Software) -> list[str]:
    return [one for one in recorded.plugins.split(", ") if one not in ("", "this program")]


def differences(recorded: Software) -> list[str]:
    """What is other software here than what made a picture: 'torch 2.10.0, here 2.15.0'."""
    then, now = (each.model_dump(exclude={"plugins"}) for each in (recorded, software()))
    found = [f"{name} {then[name] or '(none)'}, here {now[name]}" for name in then if then[name] != now[name]]
    for package, _, made in (one.rpartition(" ") for one in _told(recorded)):
        if installed(package) != made:
            found.append(f"{package} {made}, here {installed(package) or '(none)'}")
    return found


def sha256_of(name: str | Path) -> str:
    """The SHA-256 of a file's bytes; of a folder, that of its pictures' names and hashes. E_INPUT."""
    if not Path(name).is_dir():
        return file_sha256(name)
    lines = (f"{file_sha256(path)} {path.name}\n" for path in pictures(name))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a regular file's bytes; E_INPUT where it can't be read."""
    try:
        if not Path(path).is_file():
            raise PhospheneError("E_INPUT", f"{path}: not a file; give the path of a readable file")
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhospheneError("E_INPUT", f"{path}: {reason}; give the path of a readable file") from None
