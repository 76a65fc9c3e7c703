"""Files that are damaged, lying or not pictures at all: one line and a code each."""

import random
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from picture_files import DEEP, RAMP, WRITTEN, chunk, png, refused, saved, text_bomb, tiff

from phosphene.picture import decode, open_picture


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"\x89", "no picture"),
        (random.Random(0).randbytes(5000), "no picture"),
        (b"<!DOCTYPE html><html><body>no</body></html>", "web page"),
        (b"\n <html>", "web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(40), "EPS"),
        (b"8BPS\0\1" + bytes(40), "Photoshop"),
        (b"PK\x03\x04" + bytes(40), "zip"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "film"),
        (b"P6\n1 1\n255\nabc", "no picture"),
        (b"qoif" + bytes(20), "no picture"),
        (b"SIMPLE  =                    T" + bytes(60), "no picture"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "no picture"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_picture(data, what):
    assert what in refused(data)


@pytest.mark.parametrize("kind", [*WRITTEN, "gif", "bmp", "mpo"])
def test_a_bare_start(kind):
    data = saved(RAMP, kind.upper())
    for length in (1, 2, 3, 4, 8, 12, 16, 20, 30):
        refused(data[:length])


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"IEND", b"tEXt"])
def test_png_with_a_wrong_checksum(kind, deep):
    data = bytearray(png(DEEP if deep else RAMP, after=chunk(b"tEXt", b"a\0b")))
    place = data.index(kind)
    length = struct.unpack(">I", data[place - 4 : place])[0]
    data[place + 4 + length] ^= 1
    message = refused(bytes(data), "E_DECODE")
    assert "checksum" in message
    assert kind.decode() in message


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_80_megabytes_of_text(kind, where, deep):
    head = b"x\0\0" if kind == b"zTXt" else b"x\0\1\0\0\0"
    bomb = chunk(kind, head + zlib.compress(bytes(80 << 20), 9))
    assert "too large" in refused(png(DEEP if deep else RAMP, **{where: bomb}), "E_DECODE")


def test_many_texts_of_a_megabyte():
    assert "too large" in refused(png(RAMP, before=chunk(b"tEXt", b"x\0" + bytes(2**20)) * 65), "E_DECODE")


def lying_headers(width=60_000, height=60_000):
    """Small files that announce 3.6 gigapixels."""
    row = np.zeros((1, 1, 3), np.uint8)
    yield "png", png(row, size=(width, height))
    yield "png16", png(row.astype(np.uint16), size=(width, height))
    short = struct.pack("<HH", width, height)
    yield "gif", b"GIF89a" + short + saved(RAMP, "GIF")[10:]
    bmp = bytearray(saved(RAMP, "BMP"))
    bmp[18:26] = struct.pack("<ii", width, height)
    yield "bmp", bytes(bmp)
    jpeg = bytearray(saved(RAMP, "JPEG"))
    place = jpeg.index(b"\xff\xc0")
    jpeg[place + 5 : place + 9] = struct.pack(">HH", height, width)
    yield "jpeg", bytes(jpeg)
    for name, pixels in (("tiff", RAMP), ("tiff16", DEEP)):
        yield name, retagged(retagged(tiff(pixels, photometric="rgb"), 256, width), 257, height)


def retagged(data, tag, value):
    """A little-endian TIFF file with another number in one of its tags."""
    data = bytearray(data)
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    for place in range(first + 2, first + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, place)[0] == tag:
            struct.pack_into("<HHII", data, place, tag, 4, 1, value)
    return bytes(data)


BOMBS = dict(lying_headers())


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_by_their_header(name):
    assert "megapixels" in refused(BOMBS[name], "E_TOO_LARGE")


def test_bombs_take_no_memory(tmp_path):
    """Peak memory of a process that opens them, above what importing and opening a small picture takes."""
    pytest.importorskip("resource", reason="memory is measured with the resource module")
    (tmp_path / "small.png").write_bytes(png(DEEP))
    for name, data in BOMBS.items():
        (tmp_path / f"bomb-{name}").write_bytes(data)
    (tmp_path / "bomb-text").write_bytes(png(RAMP, before=text_bomb()))
    program = """
import pathlib, resource, sys
from phosphene.errors import PhospheneError
from phosphene.picture import open_picture
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
open_picture(sys.argv[1] + "/small.png")
before = peak()
for path in pathlib.Path(sys.argv[1]).glob("bomb-*"):
    try:
        open_picture(path)
    except PhospheneError as error:
        assert error.code in ("E_TOO_LARGE", "E_DECODE"), error
    else:
        raise SystemExit(f"{path} was opened")
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 100e6


def test_a_tiff_whose_pages_go_in_circles():
    data = bytearray(tiff(DEEP, photometric="rgb"))
    (first,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[first : first + 2])
    after = first + 2 + 12 * count
    data[after : after + 4] = struct.pack("<I", first)
    assert open_picture(bytes(data)).size == RAMP.shape[:2]


def test_a_tiff_of_countless_tiles():
    wide = np.zeros((16, 80_000, 3), np.uint16)
    message = refused(tiff(wide, photometric="rgb", tile=(16, 16), compression="zlib"), "E_FORMAT")
    assert "tiles" in message


def test_a_lab_tiff_that_lacks_strips():
    data = tiff(RAMP, photometric="cielab", rowsperstrip=RAMP.shape[0])
    assert open_picture(data).size == RAMP.shape[:2]
    assert "missing" in refused(retagged(data, 257, 5000), "E_DECODE")


def test_what_memory_errors_become(monkeypatch):
    def broke(*_):
        raise MemoryError

    monkeypatch.setattr(decode, "read_raster", broke)
    assert "memory" in refused(saved(RAMP, "PNG"), "E_MEMORY")


@pytest.mark.parametrize(
    "error", [OSError, RuntimeError, SyntaxError, ValueError, struct.error, zlib.error, KeyError]
)
def test_what_other_errors_become(monkeypatch, error):
    def broke(*_):
        raise error("what\nwhy \x1b[31m")

    monkeypatch.setattr(decode, "read_raster", broke)
    message = refused(saved(RAMP, "PNG"), "E_DECODE")
    assert "damaged" in message
    assert "\x1b" not in message
