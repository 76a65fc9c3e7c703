"""Renders the gallery by its own commands, and writes its page. `make gallery` runs this.

python docs/gallery.py [--check] [NAME...]: all pictures that are missing, or those; --check replays each in
the gallery and compares the bytes, which only the machine that made them can promise.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
PICTURES, WORK = HERE / "images" / "gallery", HERE.parent / "build" / "gallery"
LIST = tomllib.loads((HERE / "gallery.toml").read_text(encoding="utf-8"))
SIDE = {"PHOSPHENE_MAX_SIZE": "480"}  # px, of dreams

PAGE = """<!-- made by docs/gallery.py: `make gallery` writes it again -->
# Gallery

Twenty pictures, each with its command. The photos are `examples/photo.jpg` and some that come with
scikit-image; the dreams were made with `PHOSPHENE_MAX_SIZE=480`. Every picture carries its recipe: save it,
and `phosphene replay` makes it again, `phosphene show` tells how it was made.
"""


def name_of(command: str) -> str:
    words = shlex.split(command)
    return words[words.index("-o") + 1]


def desk() -> None:
    """The folder in which the commands run, with the photos."""
    import skimage.data

    WORK.mkdir(parents=True, exist_ok=True)
    for name, source in LIST["photos"].items():
        kind, _, rest = source.rpartition(":")
        folder = Path(skimage.data.__file__).parent if kind else HERE.parent
        shutil.copy(folder / rest, WORK / name)


def phosphene(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "phosphene", *words], cwd=WORK, env=os.environ | SIDE, check=True)


def render(command: str) -> None:
    """One picture, into the docs."""
    phosphene(*shlex.split(command)[1:], "--overwrite")
    shutil.copy(WORK / name_of(command), PICTURES / name_of(command))


def same(command: str) -> bool:
    """Whether a replay of the gallery's picture has the gallery's bytes."""
    name = name_of(command)
    shutil.copy(PICTURES / name, WORK / name)
    phosphene("replay", name, "-o", f"again-{name}", "--overwrite")
    return (WORK / f"again-{name}").read_bytes() == (PICTURES / name).read_bytes()


def octaves() -> None:
    """The picture of the idea: the same photo after each of four octaves."""
    import phosphene
    from phosphene.picture import Picture
    from phosphene.picture.sheet import contact_sheet

    photo = phosphene.open_picture(WORK / "photo.jpg")
    config = phosphene.Dream(max_size=480, octaves=4, seed=1)
    after = {}
    for frame in phosphene.dream(photo.tensor(), "blocks.4.1", phosphene.load("efficientnet_lite2"), config):
        height, width = frame.image.shape[-2:]
        after[frame.octave] = f"after {width} by {height} px", frame.full()[0].permute(1, 2, 0).numpy()
    sheet = Picture(contact_sheet(list(after.values()), columns=2))
    phosphene.save_picture(PICTURES.parent / "octaves.webp", sheet, quality=85, overwrite=True)


def page() -> str:
    """The gallery's page."""
    parts = [PAGE]
    for each in LIST["picture"]:
        name = name_of(each["command"])
        parts.append(f"## {each['title']}\n\n![{each['title']}](images/gallery/{name})\n")
        parts.append(f"```bash\n{each['command']}\n```\n")
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*")
    chosen = parser.parse_args()
    desk()
    PICTURES.mkdir(parents=True, exist_ok=True)
    if not (PICTURES.parent / "octaves.webp").exists():
        octaves()
    other = 0
    for each in LIST["picture"]:
        name = name_of(each["command"])
        if chosen.names and Path(name).stem not in chosen.names:
            continue
        if chosen.check:
            good = same(each["command"])
            other += not good
            print("the same bytes" if good else "OTHER BYTES", name, flush=True)
        elif chosen.names or not (PICTURES / name).exists():
            render(each["command"])
    (HERE / "gallery.md").write_text(page(), encoding="utf-8")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
