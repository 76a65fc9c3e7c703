"""The directory of a TIFF file: nothing that it points to may lie past the end of the file.

libtiff only warns about values that are cut off, and reads on without them.
"""

from __future__ import annotations

import os
import struct
from typing import IO

from phosphene.errors import PhospheneError

TYPES = {1: (1, 2, 6, 7), 2: (3, 8), 4: (4, 9, 11, 13), 8: (5, 10, 12, 16, 17, 18)}
SIZES = {kind: size for size, kinds in TYPES.items() for kind in kinds}
"""Bytes of one value of each type."""

MOST = 65_536  # entries that are looked at; a BigTIFF can claim any number


def check_directory(file: IO[bytes]) -> None:
    """Raise E_DECODE where the first directory of a TIFF or BigTIFF file, or a value in it, is cut off."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(4)
    order = "<" if head.startswith(b"I") else ">"
    big = b"+" in head
    number = "Q" if big else "I"
    (start,) = read(file, 8 if big else 4, order + number)
    (count,) = read(file, start, order + ("Q" if big else "H"))
    entry = struct.Struct(f"{order}HH{number}{number}")
    for index in range(min(count, MOST)):
        place = start + (8 if big else 2) + index * entry.size
        _, kind, values, value = read(file, place, entry.format)
        size = SIZES.get(kind, 0) * values
        if size > struct.calcsize(order + number) and value + size > end:
            raise PhospheneError("E_DECODE", "the TIFF file is cut short")


def read(file: IO[bytes], place: int, form: str) -> tuple[int, ...]:
    """Numbers at a place in the file."""
    length = struct.calcsize(form)
    file.seek(place)
    data = file.read(length)
    if len(data) < length:
        raise PhospheneError("E_DECODE", "the TIFF file is cut short")
    return struct.unpack(form, data)
