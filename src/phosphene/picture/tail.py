"""What follows a picture in its file: cameras leave more pictures or a film there, polyglots another file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import IO

from phosphene.errors import PhospheneError
from phosphene.picture import png
from phosphene.picture.sniff import STARTS, box_length

MOST = 2**28  # bytes of a file that is read to find the picture's end
LOOK = 1024  # bytes after it
SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)  # the marker after a JPEG's compressed data
OTHERS = (
    (rb"PK\x03\x04|PK\x05\x06", "a zip archive"),
    (rb"Rar!|7z\xbc\xaf\x27\x1c|\x1f\x8b\x08", "an archive"),
    (rb"%PDF-|%!PS-", "a document"),
    (rb"(?i:<html|<!doctype|<script|<svg|<body|<iframe|javascript:)", "a web page"),
    (rb"<\?php|#!/|\x7fELF|\xca\xfe\xba\xbe", "a program"),
)


def check_tail(file: IO[bytes], kind: str, name: str) -> None:
    """E_FORMAT for a picture that has another kind of file behind it; `file` is left where it was."""
    here = file.tell()
    try:
        end = _end(file, kind)
        file.seek(0 if end is None else end)
        rest = b"" if end is None else file.read(LOOK)
    finally:
        file.seek(here)
    found = next((what for sign, what in OTHERS if re.search(sign, rest)), "")
    picture = next(
        (one for start, one in STARTS if len(start) > 2 and rest.lstrip(b"\0").startswith(start)), ""
    )
    if picture and (kind, picture) != ("jpeg", "jpeg"):
        found = found or f"a {picture.upper()} picture"
    if found:
        raise PhospheneError(
            "E_FORMAT",
            f"{name} is a {kind.upper()} picture and {found} in one, expected a picture alone; save it anew",
        )


def _end(file: IO[bytes], kind: str) -> int | None:
    """Where the picture's own data end; None where that can't be told: what is damaged is the decoder's."""
    try:
        if kind == "png":
            *_, last = png.chunks(file)
            return last.start + last.length + 4
        if file.seek(0, os.SEEK_END) > MOST or kind not in ENDS:
            return None
        file.seek(0)
        return ENDS[kind](file.read())
    except (PhospheneError, IndexError):
        return None


def _jpeg(data: bytes) -> int | None:
    at = 2
    while data[at] == 0xFF:
        while data[at] == 0xFF:
            at += 1
        marker, at = data[at], at + 1
        if marker == 0xD9:
            return at
        at += int.from_bytes(data[at : at + 2], "big")
        if marker == 0xDA:
            found = SCAN_END.search(data, at)
            at = found.start() if found else len(data)
    return None


def _gif(data: bytes) -> int | None:
    def colours(flags: int) -> int:
        return 6 << (flags & 7) if flags & 0x80 else 0

    at = 13 + colours(data[10])
    while data[at] in b"!,":
        at += 2 if data[at] == 0x21 else 11 + colours(data[at + 9])
        while data[at]:
            at += 1 + data[at]
        at += 1
    return at + 1 if data[at] == 0x3B else None


def _boxes(data: bytes) -> int | None:
    at = 0
    while data[at + 4 : at + 8].isalnum():
        length = box_length(data[at : at + 4])
        if length < 8:  # as far as the file goes, or longer than 32 bits can say
            return None
        at += length
    return at


ENDS: dict[str, Callable[[bytes], int | None]] = {
    "jpeg": _jpeg,
    "gif": _gif,
    "avif": _boxes,
    "heic": _boxes,
    "webp": lambda data: 8 + int.from_bytes(data[4:8], "little"),
    "bmp": lambda data: int.from_bytes(data[2:6], "little") or None,
}
