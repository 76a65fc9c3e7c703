"""Pictures come out upright, whatever their EXIF says and however damaged it is."""

import numpy as np
import pytest
from picture_files import DEEP, RAMP, alpha_levels, assert_same, chunk, exif, levels, png, saved, tiff, turned

from phosphene.picture import open_picture


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
