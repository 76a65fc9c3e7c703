"""The weights in a `.caffemodel`: just the fields that are needed of Caffe's protocol buffers.

Field numbers are those of BVLC's caffe.proto: NetParameter { layers = 2 (V1), layer = 100 },
LayerParameter { name = 1, type = 2, blobs = 7 }, V1LayerParameter { name = 4, type = 5, blobs = 6 },
BlobProto { num, channels, height, width = 1..4, data = 5, shape = 7 }, BlobShape { dim = 1 }.
The file may come from anywhere: every length is checked, nothing is ever recursed into by its own wish.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from phosphene.errors import PhospheneError

STARTS = (b"\x0a", b"\x12", b"\x1a", b"\xa2\x06")  # tags of name, layers (V1), input, layer
MAX_BYTES = 2**31 - 1  # protocol buffers end here
MAX_FIELDS = 100_000
V1, V2 = 2, 100
LAYER_FIELDS = {V1: (4, 5, 6), V2: (1, 2, 7)}  # name, type, blobs
INNER_PRODUCT = (14, b"InnerProduct")
KEYS = ("weight", "bias")

Field = tuple[int, int | memoryview]


class BrokenError(ValueError):
    """Not what protocol buffers look like."""


def read(path: Path) -> dict[str, Tensor]:
    """`<layer>.weight` and `<layer>.bias`, float32, of every layer with weights; E_WEIGHTS if broken."""
    if path.stat().st_size > MAX_BYTES:
        raise PhospheneError(
            "E_WEIGHTS", f"{path}: {path.stat().st_size} bytes, a caffemodel has at most {MAX_BYTES}"
        )
    state: dict[str, Tensor] = {}
    budget = iter(range(MAX_FIELDS))
    try:
        for number, value in fields(memoryview(path.read_bytes()), budget):
            if number in LAYER_FIELDS:
                state.update(layer(message(value), budget, LAYER_FIELDS[number]))
    except (BrokenError, UnicodeDecodeError) as error:
        raise PhospheneError(
            "E_WEIGHTS", f"{path}: a broken or truncated caffemodel ({error}); get the file again"
        ) from None
    return state


def layer(view: memoryview, budget: Iterator[int], numbers: tuple[int, int, int]) -> dict[str, Tensor]:
    """The blobs of one layer under the names that a state dict gives them."""
    name, kind, blobs = "", None, []
    for number, value in fields(view, budget):
        if number == numbers[0]:
            name = str(message(value), "utf-8")
        elif number == numbers[1]:
            kind = value if isinstance(value, int) else bytes(value)
        elif number == numbers[2]:
            blobs.append(blob(message(value), budget))
    found = {f"{name}.{key}": array for key, array in zip(KEYS, blobs, strict=False)}
    if kind in INNER_PRODUCT and blobs:
        found[f"{name}.weight"] = matrix(found[f"{name}.weight"])
    if len(blobs) > 1:
        found[f"{name}.bias"] = found[f"{name}.bias"].flatten()
    return found


def matrix(array: Tensor) -> Tensor:
    """The old 1 × 1 × out × in as out × in."""
    return array[0, 0] if array.dim() == 4 and array.shape[:2] == (1, 1) else array


def blob(view: memoryview, budget: Iterator[int]) -> Tensor:
    """One array; its shape is either `shape` or the four old numbers."""
    old, shape, data = [0, 0, 0, 0], None, []
    for number, value in fields(view, budget):
        if 1 <= number <= 4:
            old[number - 1] = whole(value)
        elif number == 5:
            data.append(message(value))
        elif number == 7:
            shape = dims(message(value), budget)
    shape = old if shape is None else shape
    size = sum(len(part) for part in data)
    if len(shape) > 8 or size != 4 * math.prod(shape):
        raise BrokenError(f"{size} bytes of numbers for the shape {shape[:8]}")
    return torch.from_numpy(np.frombuffer(b"".join(data), "<f4").astype(np.float32).reshape(shape))


def dims(view: memoryview, budget: Iterator[int]) -> list[int]:
    """The numbers of a BlobShape, packed or one by one."""
    found: list[int] = []
    for number, value in fields(view, budget):
        if number == 1 and isinstance(value, int):
            found.append(value)
        elif number == 1:
            at, packed = 0, message(value)
            while at < len(packed):
                spend(budget)
                dim, at = varint(packed, at)
                found.append(dim)
    return found


def fields(view: memoryview, budget: Iterator[int]) -> Iterator[Field]:
    """The fields of a message: number, and an integer or the bytes of a longer value."""
    at = 0
    while at < len(view):
        spend(budget)
        tag, at = varint(view, at)
        wire = tag & 7
        if wire == 0:
            number, at = varint(view, at)
            yield tag >> 3, number
            continue
        if wire == 2:
            size, at = varint(view, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise BrokenError(f"wire type {wire} at byte {at}")
        if size > len(view) - at:
            raise BrokenError(f"a field of {size} bytes where {len(view) - at} are left")
        yield tag >> 3, view[at : at + size]
        at += size


def spend(budget: Iterator[int]) -> None:
    if next(budget, None) is None:
        raise BrokenError(f"more than {MAX_FIELDS} fields")


def varint(view: memoryview, at: int) -> tuple[int, int]:
    """The number at `at` and where it ends: seven bits a byte, lowest first, at most ten bytes."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            break
        byte = view[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
    raise BrokenError(f"a number without end at byte {at}")


def message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise BrokenError("a number where bytes are expected")
    return value


def whole(value: int | memoryview) -> int:
    if isinstance(value, int):
        return value
    raise BrokenError("bytes where a number is expected")
