"""Picture files made on the spot: photo-like pixels, and every kind of file that the tests open."""

import io
import struct
import zlib
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from phosphene.errors import PhospheneError
from phosphene.picture import Picture, open_picture
from phosphene.picture.encode import encode

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


def heic(orientation=1, bits=8):
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is an extra")
    file = io.BytesIO()
    if bits == 8:
        image = pillow_heif.from_pillow(Image.fromarray(RAMP))
        image.save(file, quality=95, exif=exif(orientation).tobytes())
    else:
        pillow_heif.encode("RGB;16", (RAMP.shape[1], RAMP.shape[0]), DEEP.tobytes(), file, quality=95)
    return file.getvalue()


ALPHA = np.linspace(0, 1, RAMP.shape[0] * RAMP.shape[1], dtype=np.float32).reshape(RAMP.shape[:2])


def written(kind, bits=8, alpha=None):
    floats = (RAMP / 255).astype(np.float32)
    recipe = '{"seed": 1, "text": "ü€😀"}' * 3
    return encode(Picture(floats, alpha, bits, srgb_profile()), kind, recipe=recipe)[0]


IMAGE = Image.fromarray(RAMP)
MORE = {"save_all": True, "append_images": [IMAGE.rotate(180)]}
SEEDS = {
    "png": lambda: written("png"),
    "png with alpha": lambda: written("png", alpha=ALPHA),
    "png of 16 bits": lambda: written("png", 16),
    "png of 16 bits with alpha": lambda: written("png", 16, ALPHA),
    "jpeg": lambda: written("jpeg"),
    "webp": lambda: written("webp"),
    "webp with alpha": lambda: written("webp", alpha=ALPHA),
    "avif": lambda: written("avif"),
    "avif with alpha": lambda: written("avif", alpha=ALPHA),
    "tiff": lambda: written("tiff"),
    "tiff with alpha": lambda: written("tiff", alpha=ALPHA),
    "tiff of 16 bits": lambda: written("tiff", 16),
    "gif": lambda: saved(IMAGE.quantize(32), "GIF", transparency=3),
    "bmp": lambda: saved(IMAGE, "BMP"),
    "palette": lambda: saved(IMAGE.quantize(32), "PNG"),
    "cmyk": lambda: saved(IMAGE.convert("CMYK"), "JPEG"),
    "exif": lambda: saved(IMAGE, "JPEG", exif=exif(6, gps=True), progressive=True),
    "fax": lambda: saved(IMAGE.convert("1"), "TIFF", compression="group4"),
    "tiles": lambda: tiff(DEEP, photometric="rgb", tile=(16, 16), compression="zlib"),
    "floats": lambda: tiff((RAMP / 255).astype(np.float32), photometric="rgb"),
    "lab": lambda: tiff(RAMP, photometric="cielab"),
    "lab of 16 bits": lambda: tiff(DEEP, photometric="cielab"),
    "moving gif": lambda: saved(IMAGE, "GIF", **MORE),
    "moving png": lambda: saved(IMAGE, "PNG", **MORE),
    "moving webp": lambda: saved(IMAGE, "WEBP", **MORE),
    "mpo": lambda: saved(IMAGE, "MPO", **MORE),
    "pages": lambda: tiff(np.stack([RAMP] * 3), photometric="rgb", compression="zlib"),
}
"""A file of every kind that goes its own way through the decoders."""
if find_spec("pillow_heif"):
    SEEDS["heic"] = lambda: heic()


@cache
def seed(name):
    return SEEDS[name]()


def mutant(data, rng):
    """`data` with one thing wrong, or a few: flipped bits, bytes lost or put in, the end cut off."""
    data = bytearray(data)
    if rng.random() < 0.15:
        return bytes(data[: rng.randrange(len(data))])
    for _ in range(1 if rng.random() < 0.6 else rng.randrange(2, 20)):
        place = rng.randrange(
            len(data) if rng.random() < 0.5 else min(len(data), 300)
        )  # headers are near the start
        match rng.randrange(8):
            case 0:
                del data[place : place + rng.randrange(1, 9)]
            case 1:
                data[place:place] = rng.randbytes(rng.randrange(1, 9))
            case 2:
                data[place] = rng.choice((0, 1, 127, 128, 255))
            case _:
                data[place] ^= 1 << rng.randrange(8)
        if not data:
            break
    return bytes(data)
