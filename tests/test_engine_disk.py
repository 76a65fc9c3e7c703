"""A dream on disk is the dream in memory, with the same tiles."""

import numpy as np
import pytest
import torch

from networks import photo, strided
from phosphene import checkpoint, octave
from phosphene.canvas import Disk, Held, base
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = Dream(octaves=3, steps=1, seed=5, halo=32, tile=64, jitter=40)
SIZE = (131, 103)
MASK = torch.linspace(0, 1, 77).expand(55, 77)
DETAIL = photo(1, 3, 40, 50, seed=4) * 0.1
SETTINGS = {
    "plain": {},
    "whole": {"tile": 0},
    "smooth": {"smooth": 4},
    "not smooth": {"smooth": 0},
    "laplacian": {"laplacian": 4},
    "laplacian to the last pixel": {"laplacian": 12, "smooth": 0},
    "unbalanced": {"balance": False},
    "mask": {"mask": MASK},
    "colours": {"keep_color": True},
    "unclipped": {"clip": False, "step_size": 30},
    "no jitter": {"jitter": 0},
    "notebook's edges": {"notebook_edges": True, "octaves": 4},
    "detail": {"detail": DETAIL},
    "larger": {"scale": 2.3},
    "smaller": {"max_size": 90},
    "steps": {"octaves": 1, "steps": 3},
}


@pytest.fixture(scope="module")
def lens():
    return Lens(strided())


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    monkeypatch.setattr(base, "STRIP", SIZE[1] * 23)
    monkeypatch.setattr(octave, "STRIP", SIZE[1] * 23)


def frames(image, lens, **settings):
    more = {name: settings.pop(name) for name in ("mask", "detail", "resume") if name in settings}
    return dream(image, "3 + 1", lens, CONFIG.but(**settings), **more)


def whole(frame):
    return frame.rows(0, frame.photo.shape[-2])


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_on_disk_as_in_memory(lens, tmp_path, settings):
    image = photo(1, 3, *SIZE)
    pairs = zip(
        frames(image, lens, **settings), frames(Disk.of(tmp_path, image), lens, **settings), strict=True
    )
    for held, disk in pairs:
        apart = (whole(disk) - held.full()).abs()
        most = 0.01 if disk.given.photo.size != disk.photo.size else 1e-5  # a ReLU of the photo's roundings
        assert apart.max() < most and apart.mean() < 5e-6
        assert torch.allclose(disk.score, held.score, rtol=1e-5)
        assert held.config == disk.config
    assert not list(tmp_path.iterdir())


def test_a_batch_on_disk(lens, tmp_path):
    image = torch.cat([photo(1, 3, *SIZE), 1 - photo(1, 3, *SIZE)])
    mask = torch.stack([MASK[None], 1 - MASK[None]])
    *_, held = frames(image, lens, mask=mask)
    *_, disk = frames(Disk.of(tmp_path, image), lens, mask=mask)
    assert torch.allclose(whole(disk), held.full(), atol=1e-5)


def test_resumes_bit_by_bit_from_a_checkpoint(lens, tmp_path):
    settings = {"octaves": 2, "steps": 3, "laplacian": 2}
    seen = []
    for frame in frames(Disk.of(tmp_path, photo(1, 3, *SIZE)), lens, **settings):
        checkpoint.save(tmp_path / str(len(seen)), frame.state(copy=False), {})
        seen.append(whole(frame))
    for place in (0, 2, 4, 5):
        state = checkpoint.load(tmp_path / str(place), {})
        assert isinstance(state["image"], Disk)
        again = list(frames(Disk.of(tmp_path, photo(1, 3, *SIZE)), lens, **settings, resume=state))
        assert len(again) == max(1, 5 - place)
        assert torch.equal(whole(again[-1]), seen[-1])


def test_a_checkpoint_of_a_picture_on_disk_is_checked(lens, tmp_path):
    frame = next(frames(Disk.of(tmp_path, photo(1, 3, *SIZE)), lens))
    path = tmp_path / "state"
    checkpoint.save(path, frame.state(copy=False), {})
    data = bytearray(path.read_bytes())
    data[-5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(PhospheneError, match="hash"):
        checkpoint.load(path, {})


def test_frames_on_disk_are_read_in_windows_and_never_as_a_whole(lens, tmp_path):
    frame = next(frames(Disk.of(tmp_path, photo(1, 3, *SIZE)), lens))
    for read in (frame.full, lambda: frame.image):
        with pytest.raises(PhospheneError, match="rows") as error:
            read()
        assert error.value.code == "E_MEMORY"
    assert torch.equal(frame.rows(10, 20), whole(frame)[..., 10:20, :])
    assert torch.equal(frame.small(50), whole(frame)[..., ::3, ::3])
    assert frame._repr_png_().startswith(b"\x89PNG")


def test_the_brightest_values_are_numpys_percentile(lens, tmp_path):
    *_, disk = frames(Disk.of(tmp_path, photo(1, 3, *SIZE)), lens, clip=False, step_size=40)
    values = disk.canvas.rows(0, SIZE[0])[0].numpy()
    assert disk._bright.item() == pytest.approx(np.percentile(values, 99.98), rel=1e-6)


@pytest.mark.parametrize("size", [(300, 200), (40, 31), (131, 60), (1, 5)])
def test_resampled_in_strips(tmp_path, size):
    image = photo(1, 3, *SIZE)
    strips = octave.resampled(Disk.of(tmp_path, image), size)
    held = octave.resampled(Held(image), size)
    assert torch.allclose(strips.rows(0, size[0]), held.image, atol=1e-5)
