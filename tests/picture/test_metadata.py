"""The recipe comes back exactly as it went in, from every format; hostile metadata does no harm."""

import hashlib
import io
import json
import struct
import xml.etree.ElementTree
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from picture_files import WRITTEN, chunk, photo, png, saved
from PIL import Image

from phosphene.errors import PhospheneError
from phosphene.picture import Picture, open_picture, read_recipe, save_picture
from phosphene.picture.encode import encode
from phosphene.picture.metadata import MAX_RECIPE, recipe_in_xmp

RAMP = photo()
PICTURE = Picture((RAMP / 255).astype(np.float32))
SMALL = Picture(PICTURE.pixels[:2, :3])
RECIPE = json.dumps(
    {"seed": 7, "objective": 'class:"tabby" <&> ü € 😀 ]]>', "x": [1, 2.5, None]}, ensure_ascii=False
)


def with_recipe(kind, recipe, picture=SMALL):
    return encode(picture, kind, recipe=recipe)[0]


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("bits", [8, 16])
def test_the_recipe_travels(tmp_path, kind, bits):
    path = tmp_path / f"dream.{kind}"
    save_picture(path, Picture(PICTURE.pixels, bits=bits), recipe=RECIPE)
    assert read_recipe(path) == RECIPE
    assert read_recipe(path.read_bytes()) == RECIPE
    with path.open("rb") as stream:
        assert read_recipe(stream) == RECIPE
    assert open_picture(path).size == PICTURE.size


@pytest.mark.parametrize("kind", WRITTEN)
@settings(deadline=None, max_examples=40)
@given(recipe=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@example(recipe="&amp;&#65;&lt;")
@example(recipe="<phosphene:recipe>x</phosphene:recipe>")
@example(recipe='phosphene:recipe="x"')
@example(recipe="\r\n\t \x01\x1f\x7f\x85\ufffe\uffff\U0010ffff ]]> --> ?>")
@example(recipe=" spaces around ")
def test_any_text_comes_back(kind, recipe):
    assert read_recipe(with_recipe(kind, recipe)) == (recipe or None)


@pytest.mark.parametrize("kind", WRITTEN)
def test_no_recipe(kind):
    assert read_recipe(with_recipe(kind, "")) is None
    assert read_recipe(saved(RAMP, kind.upper())) is None


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_formats_without_recipes(kind):
    assert read_recipe(saved(RAMP, kind)) is None


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("length", [65_000, 65_400, 65_533, 200_000, MAX_RECIPE - 8])
def test_long_recipes(kind, length):
    recipe = json.dumps({"x": "ü" * ((length - 8) // 2)}, ensure_ascii=False)
    data = with_recipe(kind, recipe)
    assert read_recipe(data) == recipe
    assert open_picture(data).size == SMALL.size


def test_every_length_around_a_jpeg_segment():
    for length in range(64_800, 65_600, 7):
        recipe = "x" * length
        assert read_recipe(with_recipe("jpeg", recipe)) == recipe


@pytest.mark.parametrize("kind", WRITTEN)
def test_recipes_that_are_too_long(kind):
    with pytest.raises(PhospheneError, match="at most") as error:
        with_recipe(kind, "x" * (MAX_RECIPE + 1))
    assert error.value.code == "E_RECIPE"


@pytest.mark.parametrize("recipe", ["\ud800", "a\0b"])
def test_texts_that_no_file_can_hold(recipe):
    with pytest.raises(PhospheneError) as error:
        with_recipe("png", recipe)
    assert error.value.code == "E_RECIPE"


def xmp_of(kind, recipe):
    image = Image.open(io.BytesIO(with_recipe(kind, recipe)))
    return image.info["xmp"]


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif", "tiff"])
def test_the_packet_is_xml_that_other_programs_read(kind):
    """Pillow finds it, an XML parser reads the same text out of it."""
    root = xml.etree.ElementTree.fromstring(xmp_of(kind, RECIPE).decode())
    (found,) = root.iter("{urn:phosphene:xmp#}recipe")
    assert found.text == RECIPE
    assert root.tag == "{adobe:ns:meta/}xmpmeta"


def test_the_png_text_is_what_pillow_reads():
    image = Image.open(io.BytesIO(with_recipe("png", RECIPE)))
    assert image.text == {"phosphene": RECIPE}


def test_extended_xmp_is_as_adobe_specifies():
    """XMP specification part 3, 1.1.3.1: a note with the MD5 of the rest, which follows in numbered parts."""
    recipe = "y" * 200_000
    image = Image.open(io.BytesIO(with_recipe("jpeg", recipe)))
    start = b"http://ns.adobe.com/xmp/extension/\0"
    parts = [data[len(start) :] for kind, data in image.applist if kind == "APP1" and data.startswith(start)]
    assert len(parts) > 3
    whole = b""
    for part in parts:
        digest, total, offset, data = part[:32], *struct.unpack(">II", part[32:40]), part[40:]
        assert offset == len(whole)
        whole += data
        assert digest.decode() in image.info["xmp"].decode()
    assert len(whole) == total
    assert hashlib.md5(whole).hexdigest().upper() == digest.decode()
    root = xml.etree.ElementTree.fromstring(whole.decode())
    assert next(root.iter("{urn:phosphene:xmp#}recipe")).text == recipe


@pytest.mark.parametrize(
    "packet",
    [
        b'<rdf:Description xmlns:phosphene="urn:phosphene:xmp#" phosphene:recipe="{&quot;a&quot;: 1}"/>',
        b"<rdf:Description phosphene:recipe='{\"a\": 1}'/>",
        b"<phosphene:recipe>{&#34;a&#x22;: 1}</phosphene:recipe>",
        b'<phosphene:recipe rdf:parseType="x">{"a": 1}</phosphene:recipe>',
    ],
)
def test_packets_that_other_programs_wrote_again(packet):
    assert recipe_in_xmp(b"<x:xmpmeta>" + packet + b"</x:xmpmeta>") == '{"a": 1}'


def test_a_png_converted_by_another_program_keeps_its_recipe():
    """From a JPEG's XMP into the XMP of a PNG file."""
    packet = xmp_of("jpeg", RECIPE)
    assert read_recipe(png(RAMP, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))) == RECIPE


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"phosphene:recipe",
        b"<phosphene:recipe",
        b"<phosphene:recipe>no end",
        b"<phosphene:recipe/>",
        b"<phosphene:recipe></phosphene:recipe>",
        b'phosphene:recipe="no end',
        b"phosphene:recipe=",
        b"phosphene:recipe=unquoted",
        b"<x:xmpmeta>" * 100_000,
        b"phosphene:recipe=" * 100_000,
        b"<phosphene:recipe>" * 100_000,
        b"\xff\xfe\0\xd8" * 1000,
    ],
)
def test_packets_without_a_recipe(packet):
    assert recipe_in_xmp(packet) is None


def test_entities_are_never_expanded():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    assert recipe_in_xmp(bomb + b"<phosphene:recipe>&b;&f;</phosphene:recipe>") == "&b;&f;"
    for text in (b"&#xFFFFFF;", b"&#0999999999;", b"&#xD800;", b"&#;", b"&#x;", b"&"):
        assert recipe_in_xmp(b"<phosphene:recipe>" + text + b"</phosphene:recipe>") == text.decode()


def fault(data):
    with pytest.raises(PhospheneError) as error:
        read_recipe(data)
    assert "\n" not in str(error.value)
    return error.value.code


def test_recipes_that_are_damaged_or_far_too_large():
    packet = b"<phosphene:recipe>%s</phosphene:recipe>"
    assert fault(saved(RAMP, "WEBP", xmp=packet % b"\xff\xfe")) == "E_RECIPE"
    assert fault(saved(RAMP, "WEBP", xmp=packet % (b"x" * (MAX_RECIPE + 1)))) == "E_RECIPE"
    itxt = b"phosphene\0%b\0\0"
    assert fault(png(RAMP, before=chunk(b"iTXt", itxt % b"\0\0" + b"\xff\xfe"))) == "E_RECIPE"
    assert fault(png(RAMP, before=chunk(b"iTXt", itxt % b"\0\0" + b"x" * (2 << 20)))) == "E_DECODE"
    bomb = zlib.compress(bytes(80 << 20), 9)
    assert fault(png(RAMP, before=chunk(b"iTXt", itxt % b"\1\0" + bomb))) == "E_DECODE"
    wrong = bytearray(png(RAMP, before=chunk(b"iTXt", itxt % b"\0\0" + b"recipe")))
    wrong[wrong.index(b"recipe")] ^= 1
    assert fault(bytes(wrong)) == "E_DECODE"


def test_a_png_whose_text_is_compressed_or_plain():
    itxt = chunk(b"iTXt", b"phosphene\0\1\0en\0Rezept\0" + zlib.compress("ü".encode()))
    assert read_recipe(png(RAMP, before=itxt)) == "ü"
    assert read_recipe(png(RAMP, after=chunk(b"tEXt", b"phosphene\0plain"))) == "plain"
    assert (
        read_recipe(png(RAMP, after=chunk(b"zTXt", b"phosphene\0\0" + zlib.compress(b"packed")))) == "packed"
    )
    assert (
        read_recipe(
            png(RAMP, before=chunk(b"iTXt", b"phosphenes\0\0\0\0\0no") + chunk(b"iTXt", b"phosphene"))
        )
        is None
    )


def test_jpeg_segments_in_any_order_and_halves():
    start = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32
    one = start + struct.pack(">II", 40, 0) + b"<phosphene:recipe>first "
    two = start + struct.pack(">II", 40, 24) + b"second</phosphene:recipe>"

    def jpeg(*parts):
        data = saved(RAMP, "JPEG")
        segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
        return data[:2] + segments + data[2:]

    assert read_recipe(jpeg(two, one)) == "first second"
    assert read_recipe(jpeg(one)) is None
    assert read_recipe(jpeg(start, start[:40], b"http://ns.adobe.com/xap/1.0/\0")) is None


def test_what_is_no_picture_is_refused_like_in_open_picture():
    assert fault(b"") == "E_DECODE"
    assert fault(b"<html>") == "E_FORMAT"
    assert fault(saved(RAMP, "PNG")[:40]) == "E_DECODE"
