"""What is in a file comes out as RGB floats: every kind of samples, from every format."""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import pyvips
from picture_files import (
    DEEP,
    GREY,
    RAMP,
    WRITTEN,
    alpha_levels,
    assert_same,
    chunk,
    heic,
    levels,
    png,
    saved,
    tiff,
    turned,
)
from PIL import Image, ImageFile

from phosphene.errors import PhospheneError
from phosphene.picture import open_picture


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_lossless_8_bits_are_exact(kind):
    picture = open_picture(saved(RAMP, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert_same(picture, RAMP)
    assert (picture.bits, picture.alpha, picture.icc, picture.notes) == (8, None, None, ())
    assert picture.format == kind.lower()


@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_lossy_pictures_are_close(kind):
    picture = open_picture(saved(RAMP, kind, quality=95))
    assert np.abs(levels(picture) - RAMP).mean() < 3
    assert picture.format == kind.lower()


def test_values_are_levels_over_255():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    expected = np.arange(256, dtype=np.float32) / np.float32(255)
    assert (open_picture(png(every)).pixels[..., 1].ravel() == expected).all()


def test_sha256_is_that_of_the_bytes():
    data = saved(RAMP, "PNG")
    assert open_picture(data).sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_every_kind(channels, deep):
    random = np.random.default_rng(channels)
    pixels = random.integers(0, 65536 if deep else 256, (9, 7, channels), np.uint16 if deep else np.uint8)
    picture = open_picture(png(pixels))
    top = 65535 if deep else 255
    color = pixels[..., :1] if channels < 3 else pixels[..., :3]
    assert picture.bits == (16 if deep else 8)
    assert_same(picture, color, top)
    if channels in (2, 4):
        assert (alpha_levels(picture, top) == pixels[..., -1]).all()
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("shape", ["grey", "grey alpha", "rgb", "rgba"])
def test_tiff_of_every_kind(shape, deep, order):
    channels = {"grey": 1, "grey alpha": 2, "rgb": 3, "rgba": 4}[shape]
    pixels = np.random.default_rng(channels).integers(0, 256, (11, 6, channels), np.uint8)
    pixels = pixels.astype(np.uint16) * 257 if deep else pixels
    options = {"photometric": "rgb" if channels > 2 else "minisblack", "byteorder": order}
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    picture = open_picture(tiff(pixels if channels > 1 else pixels[..., 0], **options))
    assert picture.bits == (16 if deep else 8)
    assert_same(picture, (pixels[..., :1] if channels < 3 else pixels[..., :3]) // (257 if deep else 1))
    assert (picture.alpha is not None) == (channels in (2, 4))


@pytest.mark.parametrize(
    "options",
    [
        {"tile": (16, 16)},
        {"compression": "zlib", "predictor": True},
        {"planarconfig": "separate"},
        {"bigtiff": True},
        {"rowsperstrip": 3},
    ],
    ids=str,
)
def test_tiff_layouts(options):
    pixels = DEEP.transpose(2, 0, 1) if "planarconfig" in options else DEEP
    assert_same(open_picture(tiff(pixels, photometric="rgb", **options)), DEEP, 65535)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"])
def test_tiff_compressions(compression):
    assert_same(open_picture(saved(RAMP, "TIFF", compression=compression)), RAMP)


def test_premultiplied_alpha_is_divided_out():
    half = np.full((*RAMP.shape[:2], 1), 128, np.uint8)
    data = tiff(np.concatenate((RAMP // 2, half), axis=-1), photometric="rgb", extrasamples=["assocalpha"])
    assert_same(open_picture(data), RAMP, within=2.01)


def test_a_fourth_channel_that_is_no_alpha_is_left_out():
    data = tiff(
        np.concatenate((RAMP, RAMP[..., :1] * 0), axis=-1), photometric="rgb", extrasamples=["unspecified"]
    )
    picture = open_picture(data)
    assert picture.alpha is None
    assert_same(picture, RAMP)


def test_white_is_zero():
    assert_same(open_picture(tiff(255 - GREY, photometric="miniswhite")), GREY)


def test_1_bit():
    bits = Image.fromarray(GREY).convert("1")
    for data in (saved(bits, "PNG"), saved(bits, "TIFF", compression="group4"), saved(bits, "BMP")):
        assert_same(open_picture(data), np.asarray(bits) * 255)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
def test_palette(kind):
    image = Image.fromarray(RAMP).quantize(64)
    picture = open_picture(saved(image, kind))
    assert_same(picture, np.asarray(image.convert("RGB")))
    assert picture.alpha is None


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_color(kind):
    image = Image.fromarray(RAMP).quantize(64)
    picture = open_picture(saved(image, kind, transparency=5))
    assert (alpha_levels(picture) == np.where(np.asarray(image) == 5, 0, 255)).all()


def test_palette_with_an_alpha_for_each_color():
    image = Image.fromarray(RAMP).quantize(64)
    table = np.arange(64, dtype=np.uint8) * 4
    picture = open_picture(saved(image, "PNG", transparency=table.tobytes()))
    assert (alpha_levels(picture) == table[np.asarray(image)]).all()


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_color_that_stands_for_transparent(channels, deep):
    pixels = (DEEP if deep else RAMP)[..., :channels]
    key = pixels[20, 30]
    picture = open_picture(png(pixels, before=chunk(b"tRNS", key.astype(">u2").tobytes())))
    expected = np.where((pixels == key).all(axis=-1), 0, 1)
    assert (picture.alpha == expected).all()


def test_float_tiff():
    values = (RAMP / 255).astype(np.float32)
    for pixels, photometric in ((values, "rgb"), (values[..., 0], "minisblack")):
        picture = open_picture(tiff(pixels, photometric=photometric))
        assert_same(picture, np.atleast_3d(pixels), top=1, within=1e-7)
        assert (picture.bits, picture.notes) == (16, ())


def test_float_tiff_outside_0_to_1_is_clipped_and_told():
    values = (RAMP / 255).astype(np.float32) * 3 - 1
    picture = open_picture(tiff(values, photometric="rgb"))
    assert_same(picture, values.clip(0, 1), top=1, within=1e-7)
    assert picture.notes == ("its values from -1 to 2 are clipped to 0..1",)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_tiff_with_nan_or_infinity(bad):
    values = (RAMP / 255).astype(np.float32)
    values[3, 4, 1] = bad
    with pytest.raises(PhospheneError, match="NaN or infinite") as error:
        open_picture(tiff(values, photometric="rgb"))
    assert error.value.code == "E_NONFINITE"


@pytest.mark.parametrize(
    "pixels",
    [
        GREY.astype(np.uint32),
        GREY.astype(np.int16),
        GREY.astype(np.float64),
        GREY.astype(np.complex64),
        np.zeros((9, 9, 12), np.uint8),
    ],
    ids=lambda pixels: str(pixels.dtype),
)
def test_samples_that_no_picture_has(pixels):
    options = {"planarconfig": "contig", "photometric": "minisblack"} if pixels.ndim == 3 else {}
    with pytest.raises(PhospheneError, match="expected") as error:
        open_picture(tiff(pixels, **options))
    assert error.value.code == "E_FORMAT"


@pytest.mark.parametrize(
    ("kind", "word"),
    [("GIF", "moves"), ("PNG", "moves"), ("WEBP", "moves"), ("TIFF", "pages"), ("MPO", "several")],
)
def test_the_first_of_many_frames_is_used_and_told(kind, word):
    image = Image.fromarray(RAMP)
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "MPO" else {}
    data = saved(image, kind, save_all=True, append_images=[image.rotate(180)] * 2, **options)
    picture = open_picture(data)
    assert np.abs(levels(picture) - RAMP).mean() < 9  # GIF has a palette
    assert any(word in note and "first" in note for note in picture.notes)


def test_a_wrong_ending_works_and_is_told(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(saved(RAMP, "JPEG"))
    picture = open_picture(path)
    assert (picture.format, picture.notes) == ("jpeg", ("named .png but a JPEG file: read as what it is",))


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 20_000), (7, 13)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_odd_sizes(kind, size):
    assert open_picture(saved(np.zeros((*size, 3), np.uint8), kind)).size == size


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic(orientation):
    picture = open_picture(heic(orientation))
    assert picture.format == "heic"
    assert np.abs(levels(picture) - turned(RAMP, orientation)).mean() < 4


def test_10_bit_heic_is_told():
    assert open_picture(heic(bits=10)).notes == ("its 10 bits per channel are read as 8",)


def test_10_bit_avif_is_told():
    image = pyvips.Image.new_from_array(DEEP).copy(interpretation="rgb16")
    picture = open_picture(image.heifsave_buffer(compression="av1", bitdepth=10, lossless=True))
    assert_same(picture, DEEP / 257, within=1.5)
    assert picture.notes == ("its 10 bits per channel are read as 8",)


def test_heic_without_the_extra_says_what_to_install(monkeypatch):
    data = heic()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhospheneError, match=r"pip install 'phosphene\[heic\]'") as error:
        open_picture(data)
    assert error.value.code == "E_FORMAT"


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_budget_is_exact(kind):
    data = saved(RAMP, kind.upper())
    height, width = RAMP.shape[:2]
    assert open_picture(data, max_pixels=height * width).size == (height, width)
    with pytest.raises(PhospheneError, match="megapixels") as error:
        open_picture(data, max_pixels=height * width - 1)
    assert error.value.code == "E_TOO_LARGE"


@pytest.mark.parametrize("data", [png(DEEP), tiff(DEEP, photometric="rgb")], ids=["png", "tiff"])
def test_a_budget_is_exact_for_16_bits(data):
    height, width = RAMP.shape[:2]
    assert open_picture(data, max_pixels=height * width).bits == 16
    with pytest.raises(PhospheneError, match="megapixels"):
        open_picture(data, max_pixels=height * width - 1)


def test_many_threads_at_once():
    files = [
        saved(RAMP, "PNG"),
        png(DEEP),
        tiff(DEEP, photometric="rgb"),
        saved(GREY, "WEBP", lossless=True),
    ] * 6
    before = Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(open_picture, files))
    for data, picture in zip(files, pictures, strict=True):
        assert (picture.pixels == open_picture(data).pixels).all()
    assert before == Image.MAX_IMAGE_PIXELS


def test_pillow_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1234)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert open_picture(saved(RAMP, "PNG")).size == RAMP.shape[:2]
    with pytest.raises(PhospheneError):
        open_picture(saved(RAMP, "JPEG")[:-200])
    assert Image.MAX_IMAGE_PIXELS == 1234
    assert ImageFile.LOAD_TRUNCATED_IMAGES
