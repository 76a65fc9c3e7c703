"""The chunks of a PNG file: checked before anybody decodes them, and ours put in.

Pillow doesn't look at the checksums of the image data and stops at a colour profile that is too
large; libvips passes over compressed text of any size. So the chunks are walked here, once.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from phosphene.errors import PhospheneError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT = 2**20  # bytes of a compressed text chunk, as Pillow's own limit
MAX_TEXTS = 2**26  # bytes of all text chunks together
BLOCK = 2**20


class Chunk(NamedTuple):
    """One chunk: its four-letter kind, where its data starts in the file, and their length."""

    kind: bytes
    start: int
    length: int


def chunks(file: IO[bytes]) -> Iterator[Chunk]:
    """The chunks up to IEND; a file that ends before it is refused. Seeks, and reads only the headers."""
    position = len(SIGNATURE)
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            raise PhospheneError("E_DECODE", "the PNG file is cut short")
        length, kind = struct.unpack(">I4s", head)
        if length >= 2**31 or not kind.isalpha():
            raise PhospheneError("E_DECODE", f"the PNG file has a broken chunk at byte {position}")
        yield Chunk(kind, position + 8, length)
        if kind == b"IEND":
            return
        position += 12 + length


def inspect(file: IO[bytes], max_profile: int) -> tuple[int, bool]:
    """Check every checksum and every text of a PNG file; returns (bits per sample, the profile can be read).

    Raises E_DECODE for a file that is cut short, has a wrong checksum or a text chunk that unpacks
    to more than a megabyte. The profile can't be read when it is damaged or larger than `max_profile`.
    """
    bits, readable, texts = 0, True, 0
    for chunk in chunks(file):
        verify(file, chunk)
        if chunk.kind == b"IHDR":
            bits = at(file, chunk, 13)[8] if chunk.length >= 13 else 0
        elif chunk.kind == b"iCCP":
            readable = profile_fits(at(file, chunk), max_profile)
        elif chunk.kind in (b"tEXt", b"zTXt", b"iTXt"):
            texts += chunk.length
            if texts > MAX_TEXTS or text_of(at(file, chunk), chunk.kind) is None:
                raise PhospheneError("E_DECODE", "the PNG file has a text chunk that is far too large")
    return bits, readable


def verify(file: IO[bytes], chunk: Chunk) -> None:
    """Refuse a chunk whose checksum is wrong or that the end of the file cuts."""
    file.seek(chunk.start)
    crc, left = zlib.crc32(chunk.kind), chunk.length
    while left:
        block = file.read(min(left, BLOCK))
        if not block:
            raise PhospheneError("E_DECODE", "the PNG file is cut short")
        crc, left = zlib.crc32(block, crc), left - len(block)
    if file.read(4) != struct.pack(">I", crc):
        raise PhospheneError(
            "E_DECODE", f"the PNG file is damaged: the checksum of a {chunk.kind.decode()} chunk is wrong"
        )


def at(file: IO[bytes], chunk: Chunk, length: int | None = None) -> bytes:
    """The data of a chunk, or their first `length` bytes."""
    file.seek(chunk.start)
    return file.read(chunk.length if length is None else length)


def unpack(packed: bytes, limit: int) -> bytes | None:
    """zlib data unpacked, None where they hold more than `limit` bytes; zlib.error where they are damaged."""
    data = zlib.decompressobj().decompress(packed, limit + 1)
    return data if len(data) <= limit else None


def profile_fits(data: bytes, limit: int) -> bool:
    """Whether the profile in the iCCP chunk `data` unpacks, to at most `limit` bytes."""
    _, _, packed = data.partition(b"\0")
    try:
        return unpack(packed[1:], limit) is not None
    except zlib.error:
        return False


def text_of(data: bytes, kind: bytes, limit: int = MAX_TEXT) -> bytes | None:
    """The text in a tEXt, zTXt or iTXt chunk; b"" where it is malformed, None where it is over `limit`."""
    _, _, rest = data.partition(b"\0")
    packed = kind == b"zTXt" or (kind == b"iTXt" and rest[:1] != b"\0")
    if kind == b"iTXt":
        _, _, rest = rest[2:].partition(b"\0")  # the language
        _, _, text = rest.partition(b"\0")  # the translated keyword
    else:
        text = rest[1:] if packed else rest
    try:
        return unpack(text, limit) if packed else text
    except zlib.error:
        return b""


def find_text(file: IO[bytes], keyword: bytes, limit: int) -> bytes | None:
    """The text of the first iTXt, zTXt or tEXt chunk that goes by `keyword`; None where there is none.

    Raises E_DECODE where it is larger than `limit` bytes.
    """
    for chunk in chunks(file):
        if (
            chunk.kind not in (b"iTXt", b"zTXt", b"tEXt")
            or at(file, chunk, len(keyword) + 1) != keyword + b"\0"
        ):
            continue
        verify(file, chunk)
        text = text_of(at(file, chunk), chunk.kind, limit) if chunk.length <= limit + 1024 else None
        if text is None:
            raise PhospheneError("E_DECODE", "the text in the PNG file is far too large")
        return text
    return None


def without(file: IO[bytes], kind: bytes) -> bytes:
    """The whole file less its chunks of one kind."""
    parts = [SIGNATURE]
    for chunk in chunks(file):
        if chunk.kind != kind:
            file.seek(chunk.start - 8)
            parts.append(file.read(chunk.length + 12))
    return b"".join(parts)


def with_text(data: bytes, keyword: str, text: str) -> bytes:
    """The PNG file `data` with `text` as an iTXt chunk straight after its header."""
    body = keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
    kind = b"iTXt"
    crc = zlib.crc32(body, zlib.crc32(kind))
    after = len(SIGNATURE) + 12 + 13
    return b"".join(
        (
            data[:after],
            struct.pack(">I", len(body)),
            kind,
            body,
            struct.pack(">I", crc),
            memoryview(data)[after:],
        )
    )
