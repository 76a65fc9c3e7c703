"""What is in a file comes out as RGB floats: every mode, depth, orientation and colour space."""

import hashlib
import io
import sys
import zlib

import numpy as np
import pytest
import pyvips
from picture_files import (
    WRITTEN,
    built_in_profile,
    chunk,
    exif,
    grey_profile,
    photo,
    png,
    saved,
    srgb_profile,
    tiff,
)
from PIL import Image, ImageCms, ImageFile

from phosphene.errors import PhospheneError
from phosphene.picture import open_picture

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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation(kind, orientation):
    options = {"WEBP": {"lossless": True}, "PNG": {}, "TIFF": {}}.get(kind, {"quality": 95})
    picture = open_picture(saved(RAMP, kind, exif=exif(orientation), **options))
    expected = turned(RAMP, orientation)
    assert picture.size == expected.shape[:2]
    assert np.abs(levels(picture) - expected).mean() < (4 if "quality" in options else 1e-4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_orientation_of_16_bits_and_alpha(kind, orientation):
    pixels = np.concatenate((DEEP, DEEP[..., 1:2]), axis=-1)
    if kind == "png":
        data = png(pixels, before=chunk(b"eXIf", exif(orientation).tobytes()[6:]))
    else:
        tag = (274, 3, 1, orientation, True)
        data = tiff(pixels, photometric="rgb", extrasamples=["unassalpha"], extratags=[tag])
    picture = open_picture(data)
    expected = turned(pixels, orientation)
    assert_same(picture, expected[..., :3], 65535)
    assert (alpha_levels(picture, 65535) == expected[..., 3]).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientations_that_do_not_exist_are_ignored(kind, value):
    assert open_picture(saved(RAMP, kind, exif=exif(value))).size == RAMP.shape[:2]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40]
)
def test_damaged_exif_is_ignored(kind, junk):
    assert open_picture(saved(RAMP, kind, exif=b"Exif\0\0" + junk)).size == RAMP.shape[:2]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_gps_position_is_told(kind):
    assert "its GPS position will not be copied" in open_picture(saved(RAMP, kind, exif=exif(gps=True))).notes
    assert not open_picture(saved(RAMP, kind, exif=exif())).notes


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


def test_cmyk_without_a_profile_is_converted_by_the_plain_formula():
    image = Image.fromarray(RAMP).convert("CMYK")
    picture = open_picture(saved(image, "TIFF"))
    assert_same(picture, RAMP)
    assert any("CMYK" in note for note in picture.notes)
    ink = np.asarray(image).astype(np.uint16) * 257
    assert_same(open_picture(tiff(ink, photometric="separated")), RAMP)


def test_cmyk_jpeg():
    picture = open_picture(saved(Image.fromarray(RAMP).convert("CMYK"), "JPEG", quality=98))
    assert np.abs(levels(picture) - RAMP).mean() < 3


def by_littlecms(image, profile):
    """The conversion to sRGB that Little CMS makes, called through Pillow."""
    return np.asarray(
        ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    )


@pytest.mark.parametrize("deep", [False, True])
def test_cmyk_with_a_profile(deep):
    profile = built_in_profile("cmyk")
    image = Image.fromarray(RAMP).convert("CMYK")
    ink = np.asarray(image).astype(np.uint16) * 257 if deep else np.asarray(image)
    picture = open_picture(tiff(ink, photometric="separated", iccprofile=profile))
    assert_same(picture, by_littlecms(image, profile), within=1.6)
    assert picture.icc is None
    assert "CMYK converted to sRGB by its colour profile" in picture.notes


@pytest.mark.parametrize("deep", [False, True])
def test_grey_with_a_grey_profile(deep):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    pixels = pixels.astype(np.uint16) * 257 if deep else pixels
    picture = open_picture(png(pixels, before=chunk(b"iCCP", b"grey\0\0" + zlib.compress(grey_profile(1.8)))))
    linear = (np.arange(256) / 255) ** 1.8
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(levels(picture)[..., 1].ravel() - srgb).max() < 2
    assert "grey converted to sRGB by its colour profile" in picture.notes


def srgb_of_lab(lab):
    """CIE 15 and IEC 61966-2-1: L*a*b* under D50, adapted to D65 with Bradford's matrix, as sRGB levels."""
    light = (lab[..., 0] + 16) / 116
    cubed = np.stack((light + lab[..., 1] / 500, light, light - lab[..., 2] / 200), axis=-1)
    ratio = np.where(cubed > 6 / 29, cubed**3, 3 * (6 / 29) ** 2 * (cubed - 4 / 29))
    xyz = ratio * (0.9642, 1.0, 0.8249)
    matrix = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = (xyz @ np.transpose(matrix)).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


def test_lab():
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(RAMP), srgb, lab, outputMode="LAB")
    values = np.asarray(image)
    back = srgb_of_lab(np.concatenate((values[..., :1] / 2.55, values[..., 1:].view(np.int8)), axis=-1))
    assert_same(open_picture(saved(image, "TIFF")), back, within=2)
    light, color = np.asarray(image)[..., :1], np.asarray(image)[..., 1:].view(np.int8)
    deep = np.concatenate(
        (light.astype(np.uint16) * 257, (color.astype(np.int16) * 256).view(np.uint16)), axis=-1
    )
    picture = open_picture(tiff(deep, photometric="cielab"))
    assert_same(picture, back, within=2)
    assert picture.notes == ("Lab converted to sRGB",)


def test_ycbcr_tiff():
    assert_same(open_picture(saved(Image.fromarray(RAMP).convert("YCbCr"), "TIFF")), RAMP, within=3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_an_rgb_profile_is_kept_and_the_pixels_left_alone(kind):
    profile = built_in_profile("p3")
    with_profile = open_picture(saved(RAMP, kind, icc_profile=profile))
    assert with_profile.icc == profile
    assert (with_profile.pixels == open_picture(saved(RAMP, kind)).pixels).all()
    assert open_picture(saved(GREY, kind, icc_profile=profile)).icc == profile


def damaged_profiles():
    good = srgb_profile()
    yield "junk", b"x" * 500
    yield "cut", good[:200]
    yield "short", good[:20]
    yield "tags", good[:128] + b"\xff" * 4 + good[132:]
    yield "no tags", good[:128] + bytes(4) + good[132:]
    yield "huge", good + bytes(5_000_000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("name", "profile"), list(damaged_profiles()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_damaged_and_huge_profiles_are_ignored_and_told(kind, name, profile):
    picture = open_picture(
        saved(RAMP, kind, icc_profile=profile, **({"lossless": True} if kind == "WEBP" else {}))
    )
    assert picture.icc is None
    assert any("sRGB is assumed" in note for note in picture.notes)
    if kind != "JPEG":
        assert_same(picture, RAMP)


@pytest.mark.parametrize("deep", [False, True])
def test_a_profile_chunk_that_is_a_bomb_or_broken(deep):
    for packed in (zlib.compress(bytes(30_000_000)), b"no zlib data"):
        data = png(DEEP if deep else RAMP, before=chunk(b"iCCP", b"x\0\0" + packed))
        picture = open_picture(data)
        assert_same(picture, DEEP if deep else RAMP, 65535 if deep else 255)
        assert any("sRGB is assumed" in note for note in picture.notes)


def test_a_profile_of_another_space_is_ignored_and_told():
    picture = open_picture(saved(RAMP, "PNG", icc_profile=built_in_profile("cmyk")))
    assert_same(picture, RAMP)
    assert picture.notes == ("its colour profile is for CMYK, not RGB, and is ignored",)
    picture = open_picture(saved(Image.fromarray(RAMP).convert("CMYK"), "TIFF", icc_profile=srgb_profile()))
    assert_same(picture, RAMP)
    assert picture.icc is None


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 20_000), (7, 13)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_odd_sizes(kind, size):
    assert open_picture(saved(np.zeros((*size, 3), np.uint8), kind)).size == size


def heic(orientation=1, bits=8):
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is an extra")
    file = io.BytesIO()
    if bits == 8:
        image = pillow_heif.from_pillow(Image.fromarray(RAMP))
        image.save(file, quality=95, exif=exif(orientation).tobytes())
    else:
        pillow_heif.encode("RGB;16", (RAMP.shape[1], RAMP.shape[0]), DEEP.tobytes(), file, quality=95)
    return file.getvalue()


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


def test_pillow_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1234)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert open_picture(saved(RAMP, "PNG")).size == RAMP.shape[:2]
    with pytest.raises(PhospheneError):
        open_picture(saved(RAMP, "JPEG")[:-200])
    assert Image.MAX_IMAGE_PIXELS == 1234
    assert ImageFile.LOAD_TRUNCATED_IMAGES
