"""The recipe: a text that travels inside the picture it made.

PNG has it as an iTXt chunk called `phosphene`; JPEG, WebP, AVIF and TIFF as the property
`phosphene:recipe` of an XMP packet. What is read back may come from anywhere: it is looked for
with plain searches, never with an XML parser, and anything over a megabyte is refused.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator

from phosphene import checks
from phosphene.errors import PhospheneError
from phosphene.picture import png
from phosphene.picture.decode import reported
from phosphene.picture.pillow import bounded, open_header
from phosphene.picture.raster import MAX_PIXELS
from phosphene.picture.sniff import sniff
from phosphene.picture.source import Source, opened

MAX_RECIPE = 2**20  # bytes of UTF-8
MAX_PACKET = 8 * MAX_RECIPE
KEYWORD = "phosphene"

NAMESPACE = "urn:phosphene:xmp#"
PROPERTY = b"phosphene:recipe"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
MAX_SEGMENT = 65533  # bytes in a JPEG segment after its length field
MAX_PART = 65400  # of an extended packet in one segment, as Adobe's specification asks

META = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:{prefix}="{namespace}">
<{prefix}:{name}>{value}</{prefix}:{name}>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
WRAPPER = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n{meta}\n<?xpacket end="r"?>'


def check_recipe(recipe: str) -> None:
    """Raise E_RECIPE for a text that can't be embedded: over a megabyte, or not encodable as UTF-8."""
    try:
        size = len(checks.text("the recipe", recipe).encode())
    except UnicodeEncodeError:
        raise PhospheneError(
            "E_RECIPE", "the recipe has half a surrogate pair in it, expected Unicode text"
        ) from None
    if size > MAX_RECIPE or "\0" in recipe:
        raise PhospheneError(
            "E_RECIPE", f"the recipe has {size} bytes, expected at most {MAX_RECIPE} and no NUL"
        )


def recipe_meta(recipe: str) -> str:
    """`recipe` as the XML of an XMP packet, without the wrapper."""
    return META.format(prefix="phosphene", namespace=NAMESPACE, name="recipe", value=escaped(recipe))


def xmp_packet(meta: str) -> bytes:
    """The XML as a packet that programs find in any file."""
    return WRAPPER.format(meta=meta).encode()


def escaped(text: str) -> str:
    """`text` inside XML: markup, line ends and what XML has no characters for as references."""
    return re.sub('[&<>"\\x01-\\x1f\\x7f-\\x9f\ufffe\uffff]', lambda found: f"&#{ord(found[0])};", text)


def unescaped(text: str) -> str:
    """The text that `escaped`, or another program's XML writer, made; unknown references are left alone."""
    named = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

    def character(found: re.Match[str]) -> str:
        name = found[1]
        if name in named:
            return named[name]
        code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else found[0]

    return re.sub("&(amp|lt|gt|quot|apos|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});", character, text)


def recipe_in_xmp(packet: bytes) -> str | None:
    """The recipe in an XMP packet, as an element or an attribute; None where there is none."""
    packet = packet[:MAX_PACKET]
    _, element, rest = packet.partition(b"<" + PROPERTY)
    if element:
        value, end, _ = rest.partition(b">")[2].partition(b"</" + PROPERTY)
    else:
        _, _, rest = packet.partition(PROPERTY + b"=")
        value, end, _ = rest[1:].partition(rest[:1] if rest[:1] in (b'"', b"'") else b'"')
    return checked(unescaped(decoded(value))) if end else None


def decoded(value: bytes) -> str:
    """UTF-8 from a file; E_RECIPE where it isn't, or is too large."""
    if len(value) > MAX_PACKET:
        raise PhospheneError("E_RECIPE", "the recipe in it is far too large")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise PhospheneError("E_RECIPE", "the recipe in it is damaged: it is no UTF-8 text") from None


def checked(recipe: str) -> str | None:
    """`recipe`, None for an empty one; E_RECIPE for one that is larger than any we write."""
    if len(recipe) > MAX_RECIPE or len(recipe.encode()) > MAX_RECIPE:
        raise PhospheneError("E_RECIPE", "the recipe in it is far too large")
    return recipe or None


def with_recipe(jpeg: bytes, recipe: str) -> bytes:
    """The JPEG file `jpeg` with the recipe as XMP after its header; as extended XMP if over 64 kB."""
    at = 2
    if jpeg[2:4] == b"\xff\xe0":  # JFIF stays first
        at += 2 + int.from_bytes(jpeg[4:6], "big")
    parts = [segment(part) for part in xmp_parts(recipe_meta(recipe))]
    return b"".join((jpeg[:at], *parts, memoryview(jpeg)[at:]))


def xmp_parts(meta: str) -> Iterator[bytes]:
    """The contents of the APP1 segments that carry the XML `meta`."""
    packet = XMP + xmp_packet(meta)
    if len(packet) <= MAX_SEGMENT:
        yield packet
        return
    data = meta.encode()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest().upper()
    note = META.format(
        prefix="xmpNote", namespace="http://ns.adobe.com/xmp/note/", name="HasExtendedXMP", value=digest
    )
    yield XMP + xmp_packet(note)
    for start in range(0, len(data), MAX_PART):
        place = struct.pack(">II", len(data), start)
        yield EXTENSION + digest.encode() + place + data[start : start + MAX_PART]


def segment(content: bytes) -> bytes:
    """A JPEG APP1 segment."""
    return b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content


def joined(segments: list[bytes]) -> bytes:
    """The XMP of a JPEG file from the contents of its APP1 segments: its packet, then its extended packet."""
    packets = [s.removeprefix(XMP) for s in segments if s.startswith(XMP)]
    head = len(EXTENSION) + 32
    extended = [s[head:] for s in segments if s.startswith(EXTENSION) and len(s) > head + 8]
    extended.sort(key=lambda s: s[4:8])  # the offset, big-endian
    return b"".join(packets) + b"".join(s[8:] for s in extended)


def read_recipe(source: Source) -> str | None:
    """The recipe in a picture's metadata, exactly as it was embedded; None where there is none.

    No pixel is decoded. The text comes from a file and can be anything: validate it like any
    untrusted input. Raises what `open_picture` raises for files that are no pictures, and E_RECIPE
    for a recipe that is damaged or larger than a megabyte.
    """
    with opened(source) as (file, name, _), reported(name):
        kind = sniff(file.read(64), name)
        if kind == "png":
            text = png.find_text(file, KEYWORD.encode(), MAX_RECIPE)
            if text is not None:
                return checked(decoded(text))
            return recipe_in_xmp(png.find_text(file, b"XML:com.adobe.xmp", MAX_PACKET) or b"")
        with bounded(MAX_PIXELS):
            image = open_header(file, kind)
            if kind == "jpeg":
                return recipe_in_xmp(joined([content for app, content in image.applist if app == "APP1"]))  # type: ignore[attr-defined]
            packet = image.info.get("xmp")
        return recipe_in_xmp(packet) if isinstance(packet, bytes) else None
