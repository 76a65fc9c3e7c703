"""A picture on disk, and what is worked out of one whenever it is read."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from phosphene.canvas.base import Canvas, Rows, Span, pieces, shape_of, strips
from phosphene.canvas.held import Held
from phosphene.errors import PhospheneError

BLOCK = 2**24  # bytes
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class View(Canvas):
    """A picture that is worked out whenever it is read; what is made of it lies beside `disk`."""

    def __init__(self, shape: Sequence[int], rows: Rows, disk: Disk) -> None:
        self.shape = shape_of(shape)
        self.device = disk.device
        self._rows, self._disk = rows, disk

    def strips(self) -> Sequence[Span]:
        return strips(*self.size)

    def rows(self, top: int, bottom: int) -> Tensor:
        return self._rows(top, bottom)

    def view(self, shape: Sequence[int], rows: Rows) -> Canvas:
        return View(shape, rows, self._disk)

    def made(self, shape: Sequence[int], rows: Rows) -> Disk:
        return self._disk.made(shape, rows)

    def empty(self) -> Disk:
        return Disk.new(self._disk.folder, self.shape, self.device)


class _Open:
    """A file that is closed with the last canvas that reads it: `number` is its descriptor."""

    def __init__(self, file: IO[bytes]) -> None:
        self.number = os.dup(file.fileno())

    def __del__(self) -> None:
        os.close(self.number)


class Disk(Canvas):
    """A picture in an open file, from `offset` on; the file is closed with the last use of it.

    Raises E_DISK where the disk is full, before anything is written.
    """

    def __init__(
        self,
        file: IO[bytes],  # of which a descriptor is kept
        shape: Sequence[int],
        folder: str | Path,
        *,
        offset: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.file = _Open(file)
        self.number = self.file.number
        self.shape = shape_of(shape)
        self.folder = Path(folder)
        self.offset = offset
        self.device = torch.device(device)

    @classmethod
    def new(cls, folder: str | Path, shape: Sequence[int], device: torch.device | str = "cpu") -> Disk:
        """An empty picture in `folder`, in a file without a name: however the process ends, it is gone."""
        with reported(folder), tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            made = cls(file, shape, folder, device=device)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(made.number, 0, bytes_of(shape))
            else:
                os.truncate(made.number, bytes_of(shape))
        return made

    @classmethod
    def of(cls, folder: str | Path, image: Tensor) -> Disk:
        """A copy of `image` `[N, C, H, W]` on disk."""
        made = cls.new(folder, image.shape, image.device)
        for top, bottom in made.strips():
            made.put(top, image[..., top:bottom, :])
        return made

    def strips(self) -> Sequence[Span]:
        return strips(*self.size)

    def rows(self, top: int, bottom: int) -> Tensor:
        return self.crop(top, 0, bottom - top, self.shape[-1])

    def put(self, top: int, rows: Tensor) -> None:
        """Write whole rows."""
        self.paste(top, 0, rows)

    def view(self, shape: Sequence[int], rows: Rows) -> Canvas:
        return View(shape, rows, self)

    def made(self, shape: Sequence[int], rows: Rows) -> Disk:
        made = Disk.new(self.folder, shape, self.device)
        for top, bottom in made.strips():
            made.put(top, rows(top, bottom))
        return made

    def become(self, other: Disk) -> None:
        """Be that picture from now on."""
        self.file, self.number, self.offset = other.file, other.number, other.offset

    def empty(self) -> Disk:
        return Disk.new(self.folder, self.shape, self.device)

    def crop(self, top: int, left: int, height: int, width: int) -> Tensor:
        """A window of the picture, which goes on at its other side: `[N, C, height, width]`."""
        count, channels = self.shape[:2]
        window = torch.empty(count, height, width, channels)
        for run, place in self._runs(window, top, left):
            with reported(self.folder, "read"):
                while len(run):
                    got = os.preadv(self.number, [run], place)
                    if not got:
                        raise OSError(errno.EIO, "the file has become shorter")
                    run, place = run[got:], place + got
        planes = window.permute(0, 3, 1, 2)
        return planes.contiguous().to(self.device)

    def paste(self, top: int, left: int, window: Tensor) -> None:
        """Write a window that `crop` would give."""
        planes = window.detach().to("cpu", torch.float32).permute(0, 2, 3, 1).contiguous()
        for run, place in self._runs(planes, top, left):
            with reported(self.folder):
                while len(run):
                    put = os.pwritev(self.number, [run], place)
                    run, place = run[put:], place + put

    def expect(self, top: int, height: int) -> None:
        """Those rows will be read soon: the system may begin to, as windows are slow to read one by one."""
        if hasattr(os, "posix_fadvise"):
            for (_, _), (rows, _) in pieces(self, top, 0, height, 1):
                for image in range(self.shape[0]):
                    start, end = (self._place(image, row, 0) for row in rows)
                    os.posix_fadvise(self.number, start, end - start, os.POSIX_FADV_WILLNEED)

    def blocks(self) -> Iterator[memoryview]:
        """All bytes of the picture, as they lie in the file."""
        place, end = self.offset, self.offset + bytes_of(self.shape)
        while place < end:
            with reported(self.folder, "read"):
                block = os.pread(self.number, min(BLOCK, end - place), place)
            if not block:
                raise PhospheneError("E_DISK", f"the picture's copy in {self.folder} has become shorter")
            place += len(block)
            yield memoryview(block)

    def _place(self, image: int, row: int, column: int) -> int:
        _, channels, height, width = self.shape
        return self.offset + 4 * channels * ((image * height + row) * width + column)

    def _runs(self, window: Tensor, top: int, left: int) -> Iterator[tuple[memoryview, int]]:
        """Bytes of `window` `[N, h, w, C]` that lie together in the file, and where they do."""
        channels, whole = self.shape[1], self.shape[-1]
        height, width = window.shape[1:3]
        data = window.view(-1).numpy().data.cast("B")
        for (y, x), (rows, columns) in pieces(self, top, left, height, width):
            for image in range(self.shape[0]):
                together = rows[1] - rows[0] if columns[1] - columns[0] == whole == width else 1
                for row in range(rows[0], rows[1], together):
                    start = 4 * channels * ((image * height + y + row - rows[0]) * width + x)
                    length = 4 * channels * together * (columns[1] - columns[0])
                    yield data[start : start + length], self._place(image, row, columns[0])


Kept = Held | Disk


def bytes_of(shape: Sequence[int]) -> int:
    """What a picture of that shape takes on disk."""
    return 4 * shape[0] * shape[1] * shape[2] * shape[3]


@contextmanager
def reported(folder: str | Path, did: str = "written") -> Iterator[None]:
    """What the system says about a picture on disk, in one line."""
    try:
        yield
    except OSError as error:
        place = str(folder)[:200]
        if error.errno in FULL:
            raise PhospheneError(
                "E_DISK",
                f"the disk of {place} is full: the picture doesn't fit into memory, and its copies need "
                "room beside the output; make room, or give a smaller --scale or --max-size",
            ) from None
        raise PhospheneError(
            "E_DISK", f"the picture's copy in {place} can't be {did}: {error.strerror or error}"
        ) from None
