"""Colour: CMYK, Lab and grey become sRGB, RGB keeps its profile, and bad profiles are told."""

import io
import zlib

import numpy as np
import pytest
from picture_files import (
    DEEP,
    GREY,
    RAMP,
    assert_same,
    built_in_profile,
    chunk,
    grey_profile,
    levels,
    png,
    saved,
    srgb_profile,
    tiff,
)
from PIL import Image, ImageCms

from phosphene.picture import open_picture


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
