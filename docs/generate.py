"""Writes what of the docs is made from the code: options, presets, the drawing. `make docs` runs this."""

from __future__ import annotations

import json
from pathlib import Path

import gallery
from drawing import drawing

from phosphene import models
from phosphene.config import Dream, bounds
from phosphene.presets import PRESETS

HERE = Path(__file__).parent
MADE = "<!-- made by docs/generate.py: `make docs` writes it again -->\n"

OPTIONS = """# Options

Every setting that determines a picture. Each has one name in four spellings:

| place | spelling |
|---|---|
| command line | `--octave-scale 1.5`; yes or no: `--keep-color`, `--no-clip` |
| environment | `PHOSPHENE_OCTAVE_SCALE=1.5` |
| `phosphene.toml` | `octave_scale = 1.5` |
| Python | `phosphene.Dream(octave_scale=1.5)` |

Which of them wins is told in [commands](commands.md#where-settings-come-from). The command line's other
flags, those for files and messages, are in `phosphene dream --help`.

| setting | default | range | what it is |
|---|---|---|---|
"""

PRESETS_PAGE = """# Presets

A preset is a named look: some settings that are good together. Flags change it further.

```bash
phosphene dream photo.jpg -o scales.png --preset scales --strength 1.3
```

| `--preset` | what it does | settings |
|---|---|---|
"""

NETWORKS = """
## The networks

Where nobody names an objective, it is the network's own; with `--guide`, the guide is compared at the
network's layer for guides.

| `--model` | its own objective | layer for guides | what it is |
|---|---|---|---|
"""


def options() -> str:
    """The table of `Dream`'s fields."""
    rows = [
        f"| `{name}` | {shown(name, field.default)} | {bounds(name)} | {cell(field.description or '')} |\n"
        for name, field in Dream.model_fields.items()
    ]
    return MADE + OPTIONS + "".join(rows)


def shown(name: str, value: object) -> str:
    """A default as a person would write it."""
    if name == "seed":
        return "random"
    return f"`{json.dumps(value).strip(chr(34))}`" if value != "" else ""


def presets() -> str:
    """The looks with their settings, and the networks."""
    looks = "".join(
        f"| `{name}` | {cell(text)} | {settings(values)} |\n" for name, (text, values) in PRESETS.items()
    )
    networks = "".join(
        f"| `{one.name}` | {named(one.objective)} | {named(one.guide_layer)} | {cell(one.summary)} |\n"
        for one in models.available()
    )
    return MADE + PRESETS_PAGE + looks + NETWORKS + networks


def named(name: str) -> str:
    """A layer that a network's card names, if it does."""
    return f"`{name}`" if name else "found by looking"


def settings(values: dict[str, object]) -> str:
    """What a look changes, as a TOML file says it."""
    return ", ".join(f"`{name} = {json.dumps(value)}`" for name, value in values.items())


def cell(text: str) -> str:
    """`text` inside a table."""
    return text.replace("|", "\\|")


PAGES = {
    "options.md": options,
    "presets.md": presets,
    "images/rooms.svg": drawing,
    "gallery.md": gallery.page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
