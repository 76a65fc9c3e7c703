"""`phosphene config`: the settings in force."""

from __future__ import annotations

import json
from typing import Annotated

from phosphene import settings
from phosphene.cli.flags import DreamFlags, Sources, Talk, given, option
from phosphene.cli.report import Report, printable


def config(
    *,
    flags: DreamFlags = DreamFlags(),  # noqa: B008
    sources: Sources = Sources(),  # noqa: B008
    show_origin: Annotated[bool, option("say where each value comes from")] = False,
    talk: Talk = Talk(),  # noqa: B008
) -> None:
    """The settings in force, as TOML.

    Flags come before --preset, the environment (PHOSPHENE_STEPS=20), ./phosphene.toml, your own file
    and the defaults.
    """
    found = settings.gather(given(flags), look=sources.preset, config=sources.config)
    values = found.dream.model_dump()
    if talk.json:
        report = Report(events=True)
        for name, value in values.items():
            report.event("setting", name=name, value=value, origin=found.origins[name])
        return
    width = max(len(toml(name, value)) for name, value in values.items() if len(toml(name, value)) < 60)
    for name, value in values.items():
        line = toml(name, value)
        print(f"{line:<{width}}  # {printable(found.origins[name])}" if show_origin else line)


def toml(name: str, value: object) -> str:
    """One setting as a line of TOML; a setting without a value is a comment."""
    return f"# {name}: none" if value is None else f"{name} = {json.dumps(value)}"
