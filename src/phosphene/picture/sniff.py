"""What kind of file it is, told by its first bytes and never by its name."""

from __future__ import annotations

from phosphene.errors import PhospheneError

SUFFIXES = {
    "png": (".png", ".apng"),
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "webp": (".webp",),
    "avif": (".avif", ".avifs"),
    "tiff": (".tif", ".tiff"),
    "heic": (".heic", ".heif", ".hif"),
    "gif": (".gif",),
    "bmp": (".bmp", ".dib"),
}
"""The formats that are read, and the endings that their files go by."""

READABLE = "PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP or HEIC"

STARTS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
)

REFUSED = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"8BPS", "a Photoshop file"),
    (b"\xff\x0a", "a JPEG XL file"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a film"),
    (b"\0\0\x01\0", "an icon file"),
    (b"v/1\x01", "an OpenEXR file"),
)

AVIF_BRANDS = {b"avif", b"avis"}
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def sniff(head: bytes, name: str) -> str:
    """The format (a key of `SUFFIXES`) of the file that starts with `head`, of which 64 bytes are enough.

    Raises E_DECODE for an empty file and E_FORMAT for anything that isn't read, saying what it is.
    """
    if not head:
        raise PhospheneError("E_DECODE", f"{name} is empty, expected a {READABLE} picture")
    for start, found in STARTS:
        if head.startswith(start):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, min(len(head), box_length(head)), 4))}
        if brands & AVIF_BRANDS:
            return "avif"
        if brands & HEIC_BRANDS:
            return "heic"
    raise PhospheneError("E_FORMAT", f"{name} is {describe(head)}, expected a {READABLE} picture")


def box_length(head: bytes) -> int:
    """The length that the first box of an ISO media file declares."""
    return int.from_bytes(head[:4], "big")


def describe(head: bytes) -> str:
    """What a file that isn't read seems to be."""
    for start, kind in REFUSED:
        if head.startswith(start):
            return kind
    if head[4:8] == b"ftyp" or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return "a film"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml")):
        return "an SVG or XML file"
    if text.startswith((b"<!doctype", b"<html", b"<")):
        return "a web page"
    return "no picture of a known kind"
