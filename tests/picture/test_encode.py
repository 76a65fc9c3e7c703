"""What is saved is what was there: values, depth, alpha, profile; and what is lost is told."""

import io
import os
import sys

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import WRITTEN, built_in_profile, exif, photo, saved
from PIL import Image

from phosphene.errors import PhospheneError
from phosphene.picture import (
    Picture,
    check_output_size,
    open_picture,
    output_format,
    png_bytes,
    read_recipe,
    save_picture,
)
from phosphene.picture.encode import encode

RAMP = photo()
PIXELS = (RAMP / 255).astype(np.float32)
ALPHA = np.linspace(0, 1, RAMP.shape[0] * RAMP.shape[1], dtype=np.float32).reshape(RAMP.shape[:2])
LOSSLESS = ("png", "tiff")


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(LOSSLESS),
    bits=st.sampled_from([8, 16]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    alpha=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_every_size_and_value_comes_back(kind, bits, height, width, alpha, seed):
    top = 2**bits - 1
    levels = np.random.default_rng(seed).integers(0, top + 1, (height, width, 4))
    values = (levels / top).astype(np.float32)
    picture = Picture(values[..., :3], values[..., 3] if alpha else None, bits)
    data, notes = encode(picture, kind)
    again = open_picture(data)
    assert notes == ()
    assert again.bits == bits
    assert (np.rint(again.pixels.astype(float) * top) == levels[..., :3]).all()
    assert (again.pixels == picture.pixels).all()
    assert (again.alpha is not None) == alpha
    assert not alpha or (again.alpha == picture.alpha).all()


@pytest.mark.parametrize("kind", LOSSLESS)
def test_other_programs_read_the_same_values(kind):
    data = encode(Picture(PIXELS, ALPHA), kind)[0]
    image = np.asarray(Image.open(io.BytesIO(data)))
    assert (image[..., :3] == RAMP).all()
    assert (image[..., 3] == np.rint(ALPHA * 255)).all()


def test_tifffile_reads_16_bits():
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), np.uint16)
    data = encode(Picture((deep / 65535).astype(np.float32), bits=16), "tiff")[0]
    assert (tifffile.imread(io.BytesIO(data)) == deep).all()


def test_values_are_rounded_to_the_nearest_level_and_clipped():
    values = np.float32([[-1, -0.001, 0.49 / 255, 0.51 / 255, 127.4 / 255, 127.6 / 255, 1.001, 9]])
    pixels = np.repeat(values[..., None], 3, axis=-1)
    image = np.asarray(Image.open(io.BytesIO(encode(Picture(pixels), "png")[0])))
    assert image[0, :, 0].tolist() == [0, 0, 0, 1, 127, 128, 255, 255]
    assert image[0, :, 2].tolist() == image[0, :, 0].tolist()


def test_strips_join(monkeypatch):
    """A picture of more pixels than one strip has is the same."""
    tall = np.random.default_rng(0).random((700, 2000, 3), np.float32)
    image = np.asarray(Image.open(io.BytesIO(encode(Picture(tall), "png")[0])))
    assert (image == np.rint(tall * 255)).all()


@pytest.mark.parametrize(("kind", "within"), [("jpeg", 1.5), ("webp", 3), ("avif", 1.5)])
def test_lossy_formats_are_close(kind, within):
    data, notes = encode(Picture(PIXELS), kind)
    assert np.abs(open_picture(data).pixels * 255 - RAMP).mean() < within
    assert notes == ()


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_quality_matters(kind):
    noise = Picture(np.random.default_rng(0).random((64, 64, 3), np.float32))
    assert len(encode(noise, kind, quality=20)[0]) < len(encode(noise, kind, quality=95)[0])


@pytest.mark.parametrize("kind", WRITTEN)
def test_alpha(kind):
    data, notes = encode(Picture(PIXELS, ALPHA), kind)
    again = open_picture(data)
    if kind == "jpeg":
        assert notes == ("JPEG has no transparency; it is laid on white",)
        assert again.alpha is None
        white = PIXELS * ALPHA[..., None] + (1 - ALPHA[..., None])
        assert np.abs(again.pixels - white).mean() < 0.01
    else:
        assert notes == ()
        assert np.abs(again.alpha - ALPHA).max() < 0.03


def test_opaque_alpha_needs_no_note():
    assert encode(Picture(PIXELS, np.ones_like(ALPHA)), "jpeg")[1] == ()


@pytest.mark.parametrize("kind", WRITTEN)
def test_16_bits(kind):
    data, notes = encode(Picture(PIXELS, bits=16), kind)
    assert open_picture(data).bits == (16 if kind in LOSSLESS else 8)
    assert bool(notes) == (kind not in LOSSLESS)


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("bits", [8, 16])
def test_the_profile_is_embedded(kind, bits):
    profile = built_in_profile("p3")
    data = encode(Picture(PIXELS, ALPHA, bits, profile), kind, recipe="{}")[0]
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == profile
    assert open_picture(data).icc == profile
    assert open_picture(encode(Picture(PIXELS), kind)[0]).icc is None


@pytest.mark.parametrize("kind", WRITTEN)
def test_nothing_of_the_exif_is_carried_over(kind):
    picture = open_picture(saved(RAMP, "JPEG", exif=exif(6, gps=True)))
    assert picture.size == RAMP.shape[1::-1]
    image = Image.open(io.BytesIO(encode(picture, kind)[0]))
    assert image.size == RAMP.shape[:2]
    assert image.getexif().get(0x0112, 1) == 1
    assert not image.getexif().get_ifd(0x8825)
    assert "exif" not in image.info


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("size", [(1, 1), (1, 9000), (9000, 1)])
def test_odd_sizes(kind, size):
    data = encode(Picture(np.full((*size, 3), 0.5, np.float32)), kind, recipe="{}")[0]
    again = open_picture(data)
    assert again.size == size
    assert np.abs(again.pixels - 0.5).max() < 0.03


@pytest.mark.parametrize(("kind", "longest"), [("webp", 16_383), ("jpeg", 65_500), ("avif", 32_768)])
def test_sizes_that_a_format_has_no_room_for(kind, longest):
    check_output_size(kind, longest, 1)
    for size in ((longest + 1, 1), (1, longest + 1)):
        with pytest.raises(PhospheneError, match=str(longest)) as error:
            check_output_size(kind, *size)
        assert error.value.code == "E_FORMAT"
    assert open_picture(encode(Picture(np.zeros((1, longest, 3), np.float32)), kind)[0]).size == (1, longest)
    with pytest.raises(PhospheneError, match="write a"):
        encode(Picture(np.zeros((1, longest + 1, 3), np.float32)), kind)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_is_never_written(tmp_path, bad):
    pixels = PIXELS.copy()
    pixels[-1, -1, 1] = bad
    with pytest.raises(PhospheneError) as error:
        save_picture(tmp_path / "x.png", Picture(pixels))
    assert error.value.code == "E_NONFINITE"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_quality_out_of_range(quality):
    with pytest.raises(PhospheneError, match="from 1 to 100") as error:
        encode(Picture(PIXELS), "jpeg", quality=quality)
    assert error.value.code == "E_PARAM"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "png"),
        ("a.JPG", "jpeg"),
        ("a.b.jpeg", "jpeg"),
        ("dir.png/a.webp", "webp"),
        ("a.avif", "avif"),
        ("a.tif", "tiff"),
        ("a.TIFF", "tiff"),
        ("-", "png"),
        ("png", "png"),
        ("jpg", "jpeg"),
    ],
)
def test_output_format(name, expected):
    assert output_format(name) == expected


@pytest.mark.parametrize("format_", ["webp", "WebP", ".webp"])
def test_output_format_given(format_):
    assert output_format("a.png", format_) == "webp"
    assert output_format("-", format_) == "webp"


@pytest.mark.parametrize(
    "arguments", [("a.gif",), ("a",), ("a.heic",), ("a.png", "psd"), ("a.svg\n.x",), ("",), ("a.",)]
)
def test_output_formats_that_are_not_written(arguments):
    with pytest.raises(PhospheneError, match=r"\.png, \.jpg, \.jpeg, \.webp, \.avif, \.tif, \.tiff") as error:
        output_format(*arguments)
    assert error.value.code == "E_FORMAT"
    assert "\n" not in str(error.value)


def test_an_unknown_ending_is_refused_before_any_work(tmp_path):
    with pytest.raises(PhospheneError) as error:
        save_picture(tmp_path / "x.gif", Picture(PIXELS * np.nan))
    assert error.value.code == "E_FORMAT"


def test_saving_over_a_file(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")
    with pytest.raises(PhospheneError, match="--overwrite") as error:
        save_picture(path, Picture(PIXELS))
    assert error.value.code == "E_EXISTS"
    assert path.read_bytes() == b"old"
    save_picture(path, Picture(PIXELS), overwrite=True)
    assert (open_picture(path).pixels == PIXELS).all()
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


def test_the_format_may_differ_from_the_ending(tmp_path):
    save_picture(tmp_path / "x.dat", Picture(PIXELS), format="webp")
    assert open_picture(tmp_path / "x.dat").format == "webp"


@pytest.mark.parametrize("format_", ["", *WRITTEN])
def test_streams(format_):
    stream = io.BytesIO()
    save_picture(stream, Picture(PIXELS), format=format_, recipe="{}")
    assert not stream.closed
    assert open_picture(stream.getvalue()).format == (format_ or "png")
    assert read_recipe(stream.getvalue()) == "{}"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
def test_a_stream_that_is_full():
    with open("/dev/full", "wb", buffering=0) as stream:  # noqa: PTH123, SIM117
        with pytest.raises(PhospheneError) as error:
            save_picture(stream, Picture(PIXELS))
    assert error.value.code == "E_DISK"


def test_what_encoders_raise_is_reported(monkeypatch, tmp_path):
    for error, code in (
        (OSError("two\nlines"), "E_OUTPUT"),
        (ValueError("x"), "E_OUTPUT"),
        (MemoryError(), "E_MEMORY"),
    ):

        def broke(*_, error=error):
            raise error

        monkeypatch.setattr(sys.modules[save_picture.__module__], "file_of", broke)
        with pytest.raises(PhospheneError) as found:
            save_picture(tmp_path / "x.jpg", Picture(PIXELS))
        assert found.value.code == code
        assert "\n" not in str(found.value)
        assert list(tmp_path.iterdir()) == []


def test_png_bytes():
    torch = pytest.importorskip("torch")
    image = torch.from_numpy(PIXELS).permute(2, 0, 1)
    for tensor in (image, image[None], image.double(), image.clone().requires_grad_()):
        assert (np.asarray(Image.open(io.BytesIO(png_bytes(tensor)))) == RAMP).all()
