"""Files with a few bits or bytes wrong, or cut, end in a PhospheneError or a proper picture."""

import io
import random
from contextlib import suppress
from functools import cache

import numpy as np
import pytest
from picture_files import DEEP, RAMP, built_in_profile, exif, refused, saved, srgb_profile, tiff
from PIL import Image

from phosphene.errors import PhospheneError
from phosphene.picture import Picture, open_picture, read_recipe
from phosphene.picture.encode import encode

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


@pytest.mark.parametrize("name", SEEDS)
def test_mutants(name):
    """Only a PhospheneError escapes, and what opens is a proper picture."""
    rng = random.Random(name)
    assert sorted(open_picture(seed(name)).size) == sorted(RAMP.shape[:2])
    for _ in range(200):
        data = mutant(seed(name), rng)
        try:
            picture = open_picture(data, max_pixels=1_000_000)  # so that lying headers are quick
        except PhospheneError as error:
            assert "\n" not in str(error)
        else:
            assert picture.pixels.shape == (*picture.size, 3)
            assert picture.pixels.min() >= 0
            assert picture.pixels.max() <= 1
            assert picture.alpha is None or picture.alpha.shape == picture.size
        try:
            recipe = read_recipe(data)
        except PhospheneError as error:
            assert "\n" not in str(error)
        else:
            assert recipe is None or isinstance(recipe, str)


@pytest.mark.parametrize("percent", [10, 50, 99])
@pytest.mark.parametrize(
    "name", [name for name in SEEDS if name not in ("pages", "mpo", "moving gif", "moving webp")]
)
def test_cut_short(name, percent):
    data = seed(name)
    refused(data[: len(data) * percent // 100])


def test_nothing_reaches_stderr(capfd):
    for name in ("fax", "tiles", "exif", "png of 16 bits", "lab of 16 bits"):
        rng = random.Random(1)
        for _ in range(60):
            with suppress(PhospheneError):
                open_picture(mutant(seed(name), rng))
    assert capfd.readouterr() == ("", "")


def test_hostile_profiles_do_not_crash():
    rng = random.Random(2)
    image = Image.fromarray(RAMP).convert("CMYK")
    for _ in range(20):
        profile = mutant(built_in_profile("cmyk"), rng)
        if profile:
            file = io.BytesIO()
            image.save(file, "TIFF", icc_profile=profile)
            assert open_picture(file.getvalue()).size == RAMP.shape[:2]
