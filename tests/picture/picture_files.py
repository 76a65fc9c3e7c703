"""Picture files made on the spot: photo-like pixels, and every kind of file that the tests open."""

import io
import struct
import zlib
from functools import cache

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from phosphene.errors import PhospheneError
from phosphene.picture import open_picture

WRITTEN = ("png", "jpeg", "webp", "avif", "tiff")


@cache
def photo(height=40, width=56):
    """uint8 [H, W, 3]: smooth ramps, each corner of another colour, so that no turn looks like another."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = (x, y, (1 - x) * y * 0.7 + 0.2 * np.sin(7 * x) ** 2)
    array = np.rint(np.stack(planes, axis=-1) * 255).astype(np.uint8)
    array.flags.writeable = False
    return array


def saved(pixels, kind, **options):
    """`pixels` (an array or a Pillow image) as a file that Pillow wrote."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(pixels, **options):
    """`pixels` of any dtype as a TIFF file that tifffile wrote."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels, *, before=b"", after=b"", size=None):
    """A PNG file straight from the specification: uint8 or uint16 [H, W, C], chunks around the data.

    `size` (width, height) makes the header lie.
    """
    height, width, channels = pixels.shape
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    depth = 8 * pixels.dtype.itemsize
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", *(size or (width, height)), depth, color, 0, 0, 0)
    data = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def text_bomb(megabytes=80):
    """A chunk of a few kB with a text of many MB in it."""
    return chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(megabytes << 20), 9))


def exif(orientation=1, gps=False):
    tags = Image.Exif()
    tags[0x0112] = orientation
    if gps:
        tags.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 0.0), 3: "E", 4: (8.0, 32.0, 0.0)})
    return tags


@cache
def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@cache
def built_in_profile(name):
    """One of libvips' own profiles: "cmyk" or "p3"."""
    import pyvips

    return pyvips.Image.profile_load(name)


@cache
def grey_profile(gamma=1.0):
    """The smallest ICC profile for grey with a gamma, from the ICC's specification."""
    white = struct.pack(">4sIiii", b"XYZ ", 0, 63190, 65536, 54061)
    curve = struct.pack(">4sIIH", b"curv", 0, 1, round(gamma * 256)) + b"\0\0"
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(78 + 1)
    parts, table, place = [], b"", 128 + 4 + 12 * 3
    for tag, data in ((b"desc", name), (b"wtpt", white), (b"kTRC", curve)):
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", tag, place, len(data))
        parts.append(data)
        place += len(data)
    header = struct.pack(">I4sI4s4s4s", place, b"test", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    return header + struct.pack(">I", 3) + table + b"".join(parts)


RAMP = photo()
GREY = np.ascontiguousarray(RAMP[..., 0])
DEEP = RAMP.astype(np.uint16) * 256 + 255 - RAMP  # low bytes that no 8-bit path could guess


def levels(picture, top=255):
    return picture.pixels * top


def assert_same(picture, expected, top=255, within=0.01):
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.flags.c_contiguous
    expected = np.broadcast_to(np.atleast_3d(expected).astype(float), picture.pixels.shape)
    assert np.abs(levels(picture, top) - expected).max() <= within


def alpha_levels(picture, top=255):
    assert picture.alpha.dtype == np.float32
    assert picture.alpha.flags.c_contiguous
    return np.rint(picture.alpha * top)


def turned(pixels, orientation):
    """What EXIF's table says: the row 0 and the column 0 of the file are which sides of the picture."""
    moves = {
        1: lambda p: p,  # top, left
        2: np.fliplr,  # top, right
        3: lambda p: np.rot90(p, 2),  # bottom, right
        4: np.flipud,  # bottom, left
        5: lambda p: p.transpose(1, 0, 2),  # left, top
        6: lambda p: np.rot90(p, -1),  # right, top
        7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),  # right, bottom
        8: np.rot90,  # left, bottom
    }
    return moves[orientation](pixels)


def refused(data, *codes):
    """The message of the one-line error that opening `data` ends in."""
    with pytest.raises(PhospheneError) as error:
        open_picture(data)
    assert error.value.code in (codes or ("E_DECODE", "E_FORMAT"))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    return str(error.value)
