"""Where each dream goes: a file, a folder or a template; everything that can be refused is refused early."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phosphene.config import Dream
from phosphene.errors import PhospheneError, nearest

STDOUT = "-"
DEFAULT = "{stem}-dream.{ext}"
FIELDS = ("stem", "name", "ext", "layer", "model", "preset", "seed", "index", "width", "height")
BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
FIELD = re.compile(r"(\w+)(?::(0?\d{1,2}))?")
UNSAFE = re.compile(r"[^\w.,+=#@-]+")
LONGEST = 80  # characters of an objective in a file's name
Size = Callable[[str], tuple[int, int]]  # a photo's name -> width and height of its dream, in pixels


@dataclass(frozen=True)
class Job:
    """A photo and where its dream goes; `-` is stdin or stdout."""

    photo: str
    output: str
    checkpoint: str = ""  # the file of the run's state; '' = none
    unfinished: bool = False  # the output is there, but only as far as an interrupted run came


def jobs(
    photos: Sequence[str],
    out: str,
    dream: Dream,
    size: Size,
    *,
    preset: str = "",
    default: str = DEFAULT,
    overwrite: bool = False,
    skip_existing: bool = False,
    also: Sequence[str] = (),
) -> tuple[list[Job], list[str]]:
    """What to do, and the outputs that are skipped as they exist. `also` are inputs besides the photos.

    A folder that `out` names with a slash at its end may be missing: `make_folder` makes it.
    E_PARAM, E_OUTPUT, E_EXISTS or E_FORMAT before anything has happened.
    """
    template = _template(out, default)
    if out == STDOUT and len(photos) > 1:
        raise PhospheneError(
            "E_PARAM", f"-o - is for one photo, got {len(photos)}; give a folder or a template"
        )
    planned = [
        Job(photo, STDOUT if out == STDOUT else fill(template, values))
        for photo, values in zip(photos, _values(photos, template, dream, preset, size), strict=True)
    ]
    if out == STDOUT:
        return planned, []
    _refuse_collisions(planned)
    used = [*photos, *also, dream.guide, dream.mask, dream.weights]
    for job in planned:
        _check(job.output, used, makes_folder=is_folder(out))
    present = [job for job in planned if os.path.lexists(job.output)]
    if present and not overwrite and not skip_existing:
        raise PhospheneError(
            "E_EXISTS", f"{present[0].output} exists; give --overwrite, --skip-existing or another output"
        )
    skipped = {job.output for job in present} if skip_existing else set()
    return [job for job in planned if job.output not in skipped], sorted(skipped)


def _template(out: str, default: str) -> str:
    """`out` as a template for a path."""
    if out.startswith("-") and out != STDOUT:
        raise PhospheneError(
            "E_PARAM", f"-o is {out[:80]!r}, expected a path; write ./{out[:80]} for such a file"
        )
    if "\0" in out:
        raise PhospheneError("E_OUTPUT", "the output's name has a NUL in it; give another name")
    if not out:
        return default
    if is_folder(out) or os.path.isdir(out):  # noqa: PTH112 (Path's raises for names that are too long)
        return str(Path(_literal(out), default))
    if BRACES.search(out) and ".." in re.split(r"[/\\]", out):
        raise PhospheneError("E_OUTPUT", f"template {out[:200]!r} has '..' in it; give the folder's own path")
    return out


def _literal(path: str) -> str:
    return path.replace("{", "{{").replace("}", "}}")


def _values(
    photos: Sequence[str], template: str, dream: Dream, preset: str, size: Size
) -> Iterator[dict[str, str | int]]:
    """The value of each field for each photo; those that cost something or may fail only if they are used."""
    used = {match[1].split(":")[0] for match in BRACES.finditer(template) if match[1]}
    common: dict[str, str | int] = {
        "layer": _slug("layer", dream.objective) if "layer" in used else "",
        "model": _slug("model", dream.model) if "model" in used else "",
        "preset": preset or "none",
        "seed": dream.seed or 0,
    }
    for index, photo in enumerate(photos, 1):
        path = Path("stdin" if photo == "-" else photo)
        width, height = size(photo) if used & {"width", "height"} else (0, 0)
        own = {"stem": path.stem, "name": path.name, "ext": _extension(path)}
        yield {**own, **common, "index": index, "width": width, "height": height}


def _slug(field: str, text: str) -> str:
    """A setting as part of a file's name: `inception_4c/output` becomes `inception_4c-output`."""
    if ".." in re.split(r"[/\\]", text):
        raise PhospheneError("E_OUTPUT", f"{{{field}}} is {text[:80]!r}, which leads out of the folder")
    return UNSAFE.sub("-", text)[:LONGEST].strip("-") or "none"


def fill(template: str, values: Mapping[str, str | int]) -> str:
    """The path that `template` gives; `{{` is a brace, `{index:03}` pads a number with zeros."""

    def value(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        field = FIELD.fullmatch(match[1] or "")
        if not field or field[1] not in values:
            near = ", ".join(nearest(match[1] or "", list(values), 3))
            raise PhospheneError(
                "E_PARAM",
                f"output template: there is no field {match[0][:80]}; the nearest are {near}",
            )
        found = values[field[1]]
        if field[2] and isinstance(found, str):
            raise PhospheneError("E_PARAM", f"output template: {match[0]} pads text; only numbers are padded")
        text = format(found, field[2] or "")
        if text in ("", ".", "..") or "/" in text or os.sep in text:
            raise PhospheneError(
                "E_OUTPUT", f"{{{field[1]}}} is {text[:80]!r}, which can't be part of a file's name"
            )
        return text

    return BRACES.sub(value, template)


def _extension(photo: Path) -> str:
    """The photo's own ending if pictures can be saved with it, else png."""
    from phosphene.picture import output_format

    try:
        output_format(f"x{photo.suffix}")
    except PhospheneError:
        return "png"
    return photo.suffix[1:]


def _refuse_collisions(planned: Sequence[Job]) -> None:
    first: dict[str, str] = {}
    for job in planned:
        key = os.path.normcase(Path(job.output).absolute())
        if key in first:
            raise PhospheneError(
                "E_OUTPUT",
                f"{first[key]} and {job.photo} would both become {job.output}; "
                "give a folder, or a template with {stem} or {index}",
            )
        first[key] = job.photo


def is_folder(out: str) -> bool:
    return out.endswith(("/", os.sep))


def make_folder(out: str) -> None:
    """The folder `out`, if it is named as one by a slash at its end."""
    if is_folder(out):
        try:
            Path(out).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PhospheneError("E_OUTPUT", f"{out}: {error.strerror}; give another folder") from None


def _check(output: str, inputs: Sequence[str], makes_folder: bool) -> None:
    """Refuse what can't become a picture: the wrong ending, no folder, a device, one of the inputs."""
    from phosphene.picture import atomic, output_format

    output_format(output)
    if makes_folder and not os.path.lexists(Path(output).parent):
        return
    atomic.check(output, overwrite=True)
    if not Path(output).exists():
        return
    if not os.access(output, os.W_OK):
        raise PhospheneError("E_OUTPUT", f"{output} is read-only; give another output")
    for path in inputs:
        if os.path.exists(path) and os.path.samefile(path, output):  # noqa: PTH110, PTH121 (as above)
            raise PhospheneError(
                "E_OUTPUT", f"{output} is an input, which is never replaced; give another output"
            )
