"""The effective settings, and where each comes from.

Strongest first: flags, `--preset`, the environment (`PHOSPHENE_STEPS=20`), the project's
`./phosphene.toml`, the user's `phosphene/config.toml`, defaults. `--config FILE` takes the place
of both TOML files.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from phosphene import homes, models
from phosphene.config import Dream, check_names, explain
from phosphene.errors import PhospheneError, nearest
from phosphene.presets import preset

PREFIX = "PHOSPHENE_"
PROJECT_FILE = "phosphene.toml"
FILES = ("weights", "guide", "mask")  # settings that name a file
NOT_A_DREAMS = {"PHOSPHENE_OFFLINE"}  # what else is told through the environment
MAX_TOML_BYTES = 1_000_000
DEFAULT = "default"


@dataclass(frozen=True)
class Settings:
    """A `Dream`, and for each of its fields the words that say where the value comes from."""

    dream: Dream
    origins: Mapping[str, str]
    preset: str = ""


@dataclass(frozen=True)
class Source:
    """Some settings from one place; a look doesn't insist on its objective, a person does."""

    origin: str
    values: Mapping[str, Any]
    explicit: bool = True


def gather(
    flags: Mapping[str, Any],
    *,
    look: str = "",
    config: str = "",
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    base: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings in force for `flags` (field -> value or its text) in the working `folder`.

    `base` are a command's own defaults, `look` is a preset's name, `config` a TOML file in place of
    the usual two. E_PARAM names the source, the field and its range.
    """
    files = [Path(config)] if config else [user_file(environment), (folder or Path()) / PROJECT_FILE]
    sources = [Source(DEFAULT, base or {}, explicit=False)]
    sources += [_toml(path, must_exist=bool(config)) for path in files]
    sources += _environment(environment)
    chosen = preset(look) if look else {}
    sources.append(Source(f"--preset {look}", chosen, explicit=False))
    sources += [Source(_flag(name), {name: value}) for name, value in typed(flags).items()]

    values: dict[str, Any] = {}
    origins = dict.fromkeys(Dream.model_fields, DEFAULT)
    explicit: set[str] = set()
    for source in sources:
        values |= source.values
        origins |= dict.fromkeys(source.values, source.origin)
        explicit |= set(source.values) if source.explicit else set()
    if "model" not in flags:
        models.refuse_code(values.get("model", ""), origins["model"])
    if "objective" not in explicit:
        _choose_objective(values, origins, chosen)
    return Settings(Dream.read(values), origins, look)


def _choose_objective(values: dict[str, Any], origins: dict[str, str], look: Mapping[str, Any]) -> None:
    """Nobody asked for an objective: the look's, if it is for this network, else the network's own."""
    default = Dream.model_fields["model"].default
    model = values.get("model", default)
    if values.get("guide"):
        values["objective"] = models.find(model).guide_layer
        origins["objective"] = f"{model}'s layer for guides"
    elif model != look.get("model", default):
        values["objective"] = models.find(model).objective
        origins["objective"] = f"{model}'s own"


def user_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where this user's own settings are looked for on this platform."""
    return homes.config(environment) / "config.toml"


def _toml(path: Path, must_exist: bool) -> Source:
    """The settings in a TOML file; file names in it are relative to its own folder."""
    if not path.is_file() and not must_exist:
        return Source(str(path), {})
    checked = _checked(read_toml(path, "E_PARAM"), str(path), strict=True)
    for name in FILES:
        if checked.get(name):
            checked[name] = str(path.parent / Path(checked[name]).expanduser())
    return Source(str(path), checked)


def read_toml(path: Path, code: str) -> dict[str, Any]:
    """The content of a small TOML file; an error with `code` where it can't be read, else E_PARAM."""
    try:
        if path.exists() and not path.is_file():  # a pipe may never end, a device neither
            raise PhospheneError(code, f"{path}: not a file; give a readable TOML file")
        with path.open("rb") as file:
            text = file.read(MAX_TOML_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhospheneError(code, f"{path}: {reason}; give a readable TOML file") from None
    if len(text) > MAX_TOML_BYTES:
        raise PhospheneError("E_PARAM", f"{path}: more than {MAX_TOML_BYTES} bytes, expected some settings")
    try:
        return tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise PhospheneError("E_PARAM", f"{path}: not TOML: {str(error)[:200]}") from None


def _environment(environment: Mapping[str, str]) -> list[Source]:
    """`PHOSPHENE_FIELD` variables; an empty one counts as absent."""
    sources = []
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX) or not text or variable in NOT_A_DREAMS:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in Dream.model_fields:
            near = ", ".join(PREFIX + other.upper() for other in nearest(name, list(Dream.model_fields), 3))
            raise PhospheneError(
                "E_PARAM", f"environment: there is no setting {variable[:80]}; the nearest are {near}"
            )
        sources.append(Source(variable, _checked({name: text}, variable)))
    return sources


def typed(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Flags (field -> value or its text) as values in range; E_PARAM names the flag."""
    values: dict[str, Any] = {}
    for name, value in flags.items():
        values |= _checked({name: value}, _flag(name))
    return values


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _checked(values: Mapping[str, Any], where: str, strict: bool = False) -> dict[str, Any]:
    """`values` in their fields' types; only a source without types of its own may give text for all."""
    check_names(values, where)
    try:
        dream = Dream.model_validate(dict(values), strict=strict)
    except ValidationError as error:
        raise PhospheneError("E_PARAM", f"{where}: {explain(error)}") from None
    return {name: getattr(dream, name) for name in values}
