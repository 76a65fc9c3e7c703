"""The camera's motion: found where there is nothing to see, and never taken for what moves by itself."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

pytest.importorskip("cv2")
from phosphene.film.camera import places
from phosphene.film.flow import flow

SIZE = 120, 160


def seen(matrix, offset, photo, noise=0):
    """The grey `photo` at (y, x) → matrix · (y, x) + offset, in the middle of it; uint8 `[H, W, 3]`."""
    middle = (np.array(photo.shape) - SIZE) / 2
    still = affine_transform(photo, matrix, middle + offset, output_shape=SIZE, order=3)
    still = still + noise * np.random.RandomState(int(10 * abs(offset[0]))).randn(*SIZE)
    return np.repeat(still.clip(0, 255).round().astype(np.uint8)[..., None], 3, -1)


def texture(seed=0):
    """Noise of all sizes from 2 px up, 0..255, that is bare in its right half."""
    random, total = np.random.RandomState(seed), 0.0
    for size in (2, 4, 8):
        one = gaussian_filter(random.randn(200, 240), size)
        total = total + one / one.std()
    photo = 128 + 40 * total
    photo[:, 120:] = 12 + 0.01 * photo[:, 120:]
    return photo


@pytest.mark.parametrize("move", [(1.0, 2.0), (0.5, 1.5), (-1.3, 0.4)])
def test_what_is_bare_moves_with_the_camera(move):
    photo = texture()
    before, now = seen(np.eye(2), (0, 0), photo, 1), seen(np.eye(2), move, photo, 1)
    back = flow(before, now).back[10:-10, 10:-10]
    assert np.abs(back[..., ::-1] - move).max() < 0.2


def test_turned_and_enlarged():
    turn, scale = np.deg2rad(1.0), 0.98
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    center = (np.array(SIZE) - 1) / 2
    photo = texture()
    before, now = seen(np.eye(2), (0, 0), photo), seen(matrix, center - matrix @ center, photo)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    there = np.einsum("ij,jhw->ihw", matrix, np.stack([y, x]) - center[:, None, None]) + center[:, None, None]
    true = np.stack([there[1] - x, there[0] - y], -1)
    assert np.abs(flow(before, now).back - true)[12:-12, 12:-12].max() < 0.2


def test_what_moves_by_itself_keeps_its_motion():
    photo, thing = texture(), 128 + 60 * gaussian_filter(np.random.RandomState(3).randn(60, 60), 2) * 7
    before, now = seen(np.eye(2), (0, 0), photo), seen(np.eye(2), (0, 2), photo)
    for still, left in ((before, 60), (now, 63)):
        still[40:80, left : left + 40] = thing[:40, :40, None].clip(0, 255)
    back = flow(before, now).back
    assert np.abs(back[48:72, 71:95] - (-3, 0)).mean() < 0.2
    assert np.abs(back[10:30, 10:150] - (2, 0)).mean() < 0.1


def test_places_are_where_the_flow_leads():
    way = np.random.RandomState(0).rand(3, 4, 2).astype(np.float32)
    x, y = places(way)
    assert x[2, 3] == 3 + way[2, 3, 0]
    assert y[2, 3] == 2 + way[2, 3, 1]
