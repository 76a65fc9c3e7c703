"""Cuts are found, motion and light are none."""

import numpy as np
import pytest

pytest.importorskip("cv2")
from skimage import data
from skimage.transform import resize

from phosphene.film.flow import flow
from phosphene.film.scenes import cut, distance

NAMES = ("astronaut", "coffee", "chelsea", "rocket")


def still(name, top=0, left=0, size=(120, 160)):
    image = resize(getattr(data, name)()[..., :3], (180, 240), anti_aliasing=True)
    return (image[top : top + size[0], left : left + size[1]] * 255).round().astype(np.uint8)


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", NAMES)
def test_another_picture_is_a_cut(first, second):
    before, now = still(first), still(second)
    assert cut(before, now, flow(before, now)) == (first != second)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("moved", [(0, 0), (3, 5), (0, 12)])
def test_a_camera_that_moves_is_none(name, moved):
    before, now = still(name, 20, 20), still(name, 20 + moved[0], 20 + moved[1])
    assert not cut(before, now, flow(before, now))


def test_a_lamp_that_goes_brighter_is_none():
    before = still("coffee")
    now = np.clip(before * 1.15, 0, 255).astype(np.uint8)
    assert not cut(before, now, flow(before, now))


def test_the_distance_of_colours():
    red, blue = np.zeros((2, 8, 8, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    assert distance(red, red) == pytest.approx(0, abs=1e-6)
    assert distance(red, blue) == pytest.approx(1, abs=1e-6)
