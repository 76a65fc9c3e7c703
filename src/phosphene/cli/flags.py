"""Flags: those of a dream are made from `Dream`'s fields, the others are declared here once."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, get_args

from cyclopts import Group, Parameter
from pydantic.fields import FieldInfo

from phosphene.cli.dash import plain
from phosphene.config import Dream, bounds
from phosphene.errors import PhospheneError

METAVARS = {int: "N", float: "X"}
DREAM = Group("Settings of the dream", sort_key=3)
RUN = Group("How to run", sort_key=2)
OUTPUT = Group("Where to", sort_key=1)


def _flag(name: str, field: FieldInfo) -> tuple[str, Any, None]:
    """One setting as a flag. Its value stays text: `settings` checks it like every other source's."""
    types = get_args(field.annotation) or (field.annotation,)
    default = "random" if name == "seed" else field.default
    range_ = "" if bool in types else bounds(name)
    notes = ", ".join(part for part in (range_, f"default {default}" if default != "" else "") if part)
    return (
        name,
        Annotated[
            bool | None if bool in types else str | None,
            Parameter(
                help=f"{field.description}" + (f" ({notes})" if notes else ""),
                metavar=next((METAVARS[kind] for kind in types if kind in METAVARS), "TEXT"),
                group=DREAM,
                allow_leading_hyphen=True,
            ),
        ],
        None,
    )


if TYPE_CHECKING:

    class DreamFlags:
        """One optional flag for each field of `Dream`."""

else:
    DreamFlags = Parameter(name="*")(
        make_dataclass(
            "DreamFlags",
            [_flag(name, field) for name, field in Dream.model_fields.items()],
            kw_only=True,
            namespace={"__module__": __name__},
        )
    )


def given(flags: DreamFlags) -> dict[str, Any]:
    """The settings that were typed: field -> text, or true or false."""
    values = {name: getattr(flags, name) for name in Dream.model_fields}
    return {
        name: plain(value) if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None
    }


def option(help_: str, *names: str, group: Group = RUN, **more: Any) -> Parameter:
    return Parameter(name=names, help=help_, group=group, negative="", show_default=False, **more)


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class Sources:
    """Where settings come from besides flags."""

    preset: Annotated[str, option("a named look; `phosphene models` lists them", group=DREAM)] = ""
    config: Annotated[
        str, option("a TOML file of settings, in place of ./phosphene.toml and your own", group=DREAM)
    ] = ""


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class Talk:
    """What is said, and how."""

    json: Annotated[bool, option("one JSON object per line for each event")] = False
    quiet: Annotated[bool, option("say nothing but errors", "--quiet", "-q")] = False
    verbose: Annotated[bool, option("say more", "--verbose", "-v")] = False
    debug: Annotated[bool, option("show tracebacks")] = False


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class Target:
    """Where a picture goes."""

    output: Annotated[
        str,
        option(
            "a file, a folder, a template such as {stem}-{layer}-{seed}.{ext}, or - for stdout",
            "--output",
            "-o",
            group=OUTPUT,
            metavar="OUT",
            allow_leading_hyphen=True,
        ),
    ] = ""
    overwrite: Annotated[bool, option("replace files that exist", group=OUTPUT)] = False
    skip_existing: Annotated[bool, option("leave out photos whose dream exists", group=OUTPUT)] = False
    quality: Annotated[int, option("of JPEG, WebP and AVIF, 1 to 100 (default 95)", group=OUTPUT)] = 95
    no_metadata: Annotated[bool, option("leave the recipe out of the picture", group=OUTPUT)] = False
    deterministic: Annotated[bool, option("only algorithms that always give the same bits")] = False
    checkpoint: Annotated[
        str,
        option("keep the run's state in FILE (or in a folder) while it lasts", metavar="FILE"),
    ] = ""
    checkpoint_every: Annotated[
        float, option("at most so many seconds between checkpoints (default 30)", metavar="X")
    ] = 30.0
    resume: Annotated[
        bool, option("go on from the checkpoint, .OUT.checkpoint if no other is named; skip what is finished")
    ] = False
    dry_run: Annotated[bool, option("print the plan and a time estimate; write nothing")] = False

    def typed(self) -> Target:
        """The same with `-` as it was typed, and without contradictions."""
        if self.overwrite and self.skip_existing:
            raise PhospheneError(
                "E_PARAM", "--overwrite and --skip-existing contradict each other; give one of them"
            )
        if not 1 <= self.quality <= 100:
            raise PhospheneError("E_PARAM", f"--quality is {self.quality}, expected 1 to 100")
        if not self.checkpoint_every >= 0:
            raise PhospheneError(
                "E_PARAM", f"--checkpoint-every is {self.checkpoint_every}, expected seconds, 0 or more"
            )
        return replace(self, output=plain(self.output))
