"""Pictures written row by row, and read in strips."""

import io
import struct
import zlib

import numpy as np
import pytest
import pyvips
from PIL import Image

from phosphene.errors import PhospheneError
from phosphene.picture import Picture, large, open_picture, read_recipe, rows, save_picture
from phosphene.picture.large import header_size, open_large
from phosphene.picture.rows import save_rows

HEIGHT, WIDTH = 211, 307
RECIPE = '{"recipe": 1}'


def picture(height=HEIGHT, width=WIDTH):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x / width, y / height, (x + y) / (width + height)], -1)


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    monkeypatch.setattr(rows, "STRIP", 7 * WIDTH)
    monkeypatch.setattr(large, "STRIP", 7 * WIDTH)


def save(path, kind, **how):
    return save_rows(path, lambda top, end: picture()[top:end], (HEIGHT, WIDTH), kind, **how)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["tiff", "png"])
def test_without_loss(tmp_path, kind, bits):
    path = tmp_path / f"a.{kind}"
    assert save(path, kind, bits=bits, recipe=RECIPE) == ()
    found = open_picture(path)
    assert found.bits == bits and np.abs(found.pixels - picture()).max() <= 0.51 / (2**bits - 1)
    assert read_recipe(path) == RECIPE


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_with_loss(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    assert save(path, kind, recipe=RECIPE, bits=16)[0].endswith("keep 16")
    assert np.abs(open_picture(path).pixels - picture()).mean() < 0.01
    assert read_recipe(path) == RECIPE


def test_tiff_is_a_tiled_pyramid_in_a_bigtiff(tmp_path):
    save(tmp_path / "a.tif", "tiff")
    assert (tmp_path / "a.tif").read_bytes()[:4] == b"II+\0"
    image = pyvips.Image.new_from_file(str(tmp_path / "a.tif"))
    assert image.get("tile-width") == 256 and image.get("n-pages") == 2


def test_deep_zoom_is_whole_or_not_there(tmp_path):
    save(tmp_path / "a.dzi", "dzi", recipe=RECIPE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dzi", "a_files"]
    assert f'Height="{HEIGHT}"' in (tmp_path / "a.dzi").read_text()
    assert len(list((tmp_path / "a_files").iterdir())) >= 10  # levels, from one pixel on
    with pytest.raises(PhospheneError, match="exists"):
        save(tmp_path / "a.dzi", "dzi")
    save(tmp_path / "a.dzi", "dzi", overwrite=True)

    def broken(top, end):
        if top > 100:
            raise PhospheneError("E_DISK", "full")
        return picture()[top:end]

    with pytest.raises(PhospheneError, match="full"):
        save_rows(tmp_path / "b.dzi", broken, (HEIGHT, WIDTH), "dzi")
    with pytest.raises(PhospheneError, match="full"):
        save_rows(tmp_path / "b.tif", broken, (HEIGHT, WIDTH), "tiff")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dzi", "a_files"]


def test_a_picture_in_memory_as_deep_zoom(tmp_path):
    save_picture(tmp_path / "a.dzi", Picture(picture()))
    with Image.open(tmp_path / "a_files" / "9" / "0_0.jpg") as tile:
        assert tile.size == (255, 211)


def test_other_formats_say_what_to_do():
    with pytest.raises(PhospheneError, match=r"\.tif"):
        save(io.BytesIO(), "avif")


def read(path):
    opened = open_large(path)
    out = np.full((*opened.size, 3), np.nan, np.float32)
    for top, left, pixels in opened.strips():
        out[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return opened, out


@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_is_read_as_open_picture_reads(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    levels = np.rint(picture() * 255).astype(np.uint8)
    for name in ("a.jpg", "a.png", "a.tif"):
        Image.fromarray(levels).save(tmp_path / name, exif=exif)
        expected = open_picture(tmp_path / name)
        opened, found = read(tmp_path / name)
        assert opened.size == expected.size and opened.sha256 == expected.sha256
        assert np.abs(found - expected.pixels).max() < 0.01, name


def test_large_reads_pyramids_of_16_bits(tmp_path):
    save(tmp_path / "a.tif", "tiff", bits=16)
    opened, found = read(tmp_path / "a.tif")
    assert opened.bits == 16 and np.abs(found - picture()).max() < 1e-4
    assert header_size(tmp_path / "a.tif") == (HEIGHT, WIDTH)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK"])
def test_large_makes_rgb_of_anything(tmp_path, mode):
    image = Image.fromarray(np.rint(picture() * 255).astype(np.uint8)).convert(mode)
    image.save(tmp_path / "a.tif")
    opened, found = read(tmp_path / "a.tif")
    assert np.isfinite(found).all() and found.shape == (HEIGHT, WIDTH, 3)
    assert any("transparency" in note for note in opened.notes) == (mode in ("LA", "RGBA"))
    if mode != "CMYK":
        assert np.abs(found - open_picture(tmp_path / "a.tif").pixels).max() < 0.01


def test_large_refuses_bombs_and_damage(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    bomb = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10_000_000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bomb)
    with pytest.raises(PhospheneError) as error:
        open_large(tmp_path / "bomb.png")
    assert error.value.code == "E_TOO_LARGE"
    Image.fromarray(np.rint(picture() * 255).astype(np.uint8)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(PhospheneError) as error:
        read(tmp_path / "a.jpg")
    assert error.value.code == "E_DECODE"
