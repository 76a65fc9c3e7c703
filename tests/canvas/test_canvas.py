"""Pictures in windows: one on disk is the one in memory."""

import errno
import os

import pytest
import torch

from phosphene.canvas import Disk, Held, base
from phosphene.errors import PhospheneError

SHAPE = (2, 3, 13, 17)


def noise(*shape):
    return torch.rand(shape or SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    monkeypatch.setattr(base, "STRIP", 17 * 3)


@pytest.mark.parametrize(
    "window", [(0, 0, 13, 17), (3, 4, 5, 6), (-4, 11, 9, 10), (12, -1, 3, 2), (7, 16, 13, 17)]
)
def test_a_window_goes_on_at_the_other_side(tmp_path, window):
    top, left, height, width = window
    image = noise()
    expected = image.roll((-top, -left), (2, 3))[..., :height, :width]
    for canvas in (Held(image.clone()), Disk.of(tmp_path, image)):
        assert torch.equal(canvas.crop(*window), expected)
        canvas.expect(top, height)
        other = noise(2, 3, height, width) + 1
        canvas.paste(top, left, other)
        assert torch.equal(canvas.crop(*window), other)
        untouched = (canvas.rows(0, 13) == image).sum().item()
        assert untouched == image.numel() - other.numel()


def test_strips_cover_a_picture_on_disk(tmp_path):
    image = noise()
    disk = Disk.of(tmp_path, image)
    assert disk.strips() == [(0, 3), (3, 6), (6, 9), (9, 12), (12, 13)]
    assert Held(image).strips() == [(0, 13)]
    assert torch.equal(torch.cat([disk.rows(*strip) for strip in disk.strips()], 2), image)


def test_what_is_made_of_a_picture_is_kept_as_it_is(tmp_path):
    image = noise()
    for canvas in (Held(image), Disk.of(tmp_path, image)):
        twice = canvas.made(SHAPE, canvas.plus(canvas).rows)
        assert type(twice) is type(canvas)
        assert torch.equal(twice.rows(2, 11), 2 * image[..., 2:11, :])
        assert not canvas.minus(canvas).rows(0, 13).any()


def test_nothing_is_worked_out_before_a_view_on_disk_is_read(tmp_path):
    asked = []

    def rows(top, bottom):
        asked.append((top, bottom))
        return noise()[..., top:bottom, :]

    view = Disk.of(tmp_path, noise()).view(SHAPE, rows)
    assert not asked
    assert torch.equal(view.rows(4, 6), noise()[..., 4:6, :]) and asked == [(4, 6)]
    assert isinstance(view.made(SHAPE, view.rows), Disk)


def test_files_have_no_name(tmp_path):
    disk = Disk.of(tmp_path, noise())
    assert not list(tmp_path.iterdir())
    assert os.fstat(disk.number).st_size == noise().numel() * 4


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(PhospheneError, match="is full") as error:
        Disk.new(tmp_path, SHAPE)
    assert error.value.code == "E_DISK" and not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_no_crash(tmp_path):
    with pytest.raises(PhospheneError) as error:
        Disk.new(tmp_path / "none", SHAPE)
    assert error.value.code == "E_DISK"


def test_blocks_are_the_interleaved_bytes(tmp_path):
    data = b"".join(Disk.of(tmp_path, noise()).blocks())
    assert data == noise().permute(0, 2, 3, 1).contiguous().numpy().tobytes()
