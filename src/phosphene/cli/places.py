"""Where a dream's picture is while it is made: in memory, or on disk beside the output."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phosphene.cli.outputs import STDOUT
from phosphene.config import Dream
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from torch import Tensor

    from phosphene.canvas import Disk
    from phosphene.cli.dreaming import Setup
    from phosphene.frame import Frame
    from phosphene.memory import Planned
    from phosphene.picture import Picture
    from phosphene.picture.large import Large

SMALL = 8_000_000  # px: a photo that is opened in memory whatever its budget is
DECODED = 30  # bytes that a pixel takes while its file is decoded
SHARE = 0.4  # of the budget that this may take


def opened(name: Path, dream: Dream) -> Picture | Large:
    """The photo; by its header alone where it would take too much memory."""
    from phosphene.picture import open_picture
    from phosphene.picture.large import header_size, open_large

    height, width = header_size(name)
    if height * width > SMALL:
        import torch

        from phosphene import budget

        device = torch.device("cpu")
        room = budget.limit(dream.max_memory, device) - budget.held(device)
        if DECODED * height * width > SHARE * room:
            return open_large(name)
    return open_picture(name)


def planned(
    setup: Setup,
    picture: Picture | Large,
    octaves: Sequence[tuple[int, int]],
    *,
    kept: str = "",
    measure: bool = True,
) -> Planned:
    """The tiles that a dream will take, where its picture will be, and the most memory expected.

    `kept` is "disk" or "memory" for a run that goes on from where it was. Without `measure`, nothing
    is measured that needn't be, and the memory may be 0.
    """
    from phosphene import memory
    from phosphene.picture.large import Large

    width, height = octaves[-1]
    what = setup.objective, setup.lens, setup.dream, (1, height, width)
    if isinstance(picture, Large) or kept:
        on_disk = isinstance(picture, Large) or kept == "disk"
        return memory.plan(*what, on_disk=on_disk, measure=measure)
    held = picture.size == (height, width)  # then the dream needs no copy of it
    return memory.placed(*what, photo_held=held, measure=measure)


def photo_of(picture: Picture | Large, planned: Planned, output: str) -> Tensor | Disk:
    """The photo at its own size, for the engine: on disk where the dream will be."""
    from phosphene.picture.large import Large

    if not planned.on_disk:
        import torch

        assert not isinstance(picture, Large)
        return torch.from_numpy(picture.pixels.transpose(2, 0, 1))[None]  # no copy
    from phosphene.canvas import Disk

    folder = scratch(output)
    canvas = Disk.new(folder, (1, 3, *picture.size))
    if isinstance(picture, Large):
        import torch

        for top, left, pixels in picture.strips():
            canvas.paste(top, left, torch.from_numpy(pixels).permute(2, 0, 1)[None])
    else:
        for top, bottom in canvas.strips():
            canvas.put(top, replace(picture, pixels=picture.pixels[top:bottom], alpha=None).tensor())
    return canvas


def ready(planned: Planned) -> AbstractContextManager[None]:
    """Memory is kept from strip to strip while a picture is on disk, as from step to step anyway."""
    from phosphene import ascent

    return ascent.kept() if planned.on_disk else nullcontext()


def scratch(output: str) -> Path:
    """The folder for pictures on disk: the output's, as the temporary folder may be memory."""
    return Path(tempfile.gettempdir()) if output == STDOUT else Path(os.path.realpath(output)).parent


def check_room(plan: Mapping[str, Any], photo: tuple[int, int], setup: Setup, output: str) -> None:
    """E_DISK now if the pictures that a dream keeps on disk at once have no room there."""
    octaves, size = plan["octaves"], (plan["height"], plan["width"])
    copies = 3 if setup.dream.steps == len(octaves) == 1 else 5
    copies += len(setup.objective.by_layer()) - 1 if setup.dream.balance else 0
    pixels = copies * size[0] * size[1] + (photo[0] * photo[1] if photo != size else 0)
    pixels += sum(width * height for width, height in octaves[:-1])
    folder = scratch(output)
    free = shutil.disk_usage(folder).free
    if 12 * pixels > free:
        raise PhospheneError(
            "E_DISK",
            f"a dream of {size[1]}×{size[0]} px takes {12 * pixels / 1e9:.1f} GB of disk beside its output "
            f"while it lasts, {free / 1e9:.1f} GB are free; make room, or give a smaller --scale",
        )


def saved(output: str, picture: Picture | Large, last: Frame, **how: Any) -> tuple[str, ...]:
    """Write a dream that is on disk; gives what could not be kept."""
    from phosphene.picture import output_format
    from phosphene.picture.rows import save_rows

    def rows(top: int, bottom: int) -> Any:
        return last.rows(top, bottom)[0].permute(1, 2, 0).cpu().numpy()

    how |= {"bits": picture.bits, "icc": picture.icc}
    if output != STDOUT:
        return save_rows(output, rows, last.photo.size, output_format(output), **how)
    with tempfile.TemporaryFile() as file:
        notes = save_rows(file, rows, last.photo.size, "png", **how)
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    return notes
