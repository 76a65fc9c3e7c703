"""Flow: known motion found, what came into sight told apart, the flicker figure by its formula."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates, shift

pytest.importorskip("cv2")
from phosphene.film.flow import Flow, apart, flicker, flow


def film(dx, dy, count=2, size=(96, 128)):
    """A wide noise picture, smoothed, seen through a window that moves; uint8."""
    from scipy.ndimage import gaussian_filter

    wide = gaussian_filter(np.random.RandomState(0).rand(200, 240, 3), (2, 2, 0))
    wide = (wide - wide.min()) / np.ptp(wide)
    stills = []
    for number in range(count):
        moved = np.stack([shift(wide[..., c], (-dy * number, -dx * number), order=3) for c in range(3)], -1)
        stills.append((moved[40 : 40 + size[0], 40 : 40 + size[1]].clip(0, 1) * 255).round().astype(np.uint8))
    return stills


@pytest.mark.parametrize("dx, dy", [(0, 0), (2, 1), (-3, 2), (1.5, -0.5)])
def test_a_known_pan_is_found(dx, dy):
    before, now = film(dx, dy)
    found = flow(before, now)
    inner = found.back[12:-12, 12:-12]
    assert np.abs(inner - (dx, dy)).mean() < 0.15
    assert found.seen[12:-12, 12:-12].mean() > 0.97


def test_what_comes_in_at_the_edge_was_not_seen():
    before, now = film(6, 0)
    found = flow(before, now)
    assert found.seen[:, -5:].mean() < 0.1
    assert found.seen[:, 12:-12].mean() > 0.95


def test_what_was_hidden_was_not_seen():
    before, now = film(0, 0)
    before = before.copy()
    before[30:60, 40:80] = 255
    found = flow(before, now)
    assert found.seen[36:54, 46:74].mean() < 0.2
    assert found.seen[70:, :].mean() > 0.95


def test_a_large_still_has_a_flow_of_its_own_size():
    before, now = (np.repeat(np.repeat(still, 10, 0), 10, 1) for still in film(2, 0))
    found = flow(before, now)
    assert found.back.shape == (960, 1280, 2)
    assert abs(np.median(found.back[200:-200, 200:-200, 0]) - 20) < 1.5


@pytest.mark.parametrize("sharp", [False, True])
def test_what_is_carried_lies_where_the_flow_says(sharp):
    random = np.random.RandomState(1)
    image = random.rand(20, 24, 3).astype(np.float32)
    back = np.zeros((20, 24, 2), np.float32) + np.float32([2, -1])
    carried = Flow(back, np.ones((20, 24), np.float32), 0.0).carry(image, sharp)
    np.testing.assert_allclose(carried[2:-2, 2:-3], image[1:-3, 4:-1], atol=1e-5)


def test_the_flicker_figure_is_that_of_the_formula():
    random = np.random.RandomState(2)
    before, now = random.rand(2, 30, 40, 3).astype(np.float32)
    back = (random.rand(30, 40, 2).astype(np.float32) - 0.5) * 3
    seen = (random.rand(30, 40) > 0.3).astype(np.float32)
    y, x = np.mgrid[:30, :40]
    places = np.stack([y + back[..., 1], x + back[..., 0]])
    warped = np.stack(
        [map_coordinates(before[..., c], places, order=1, mode="nearest") for c in range(3)], -1
    )
    expected = 255 * np.abs(now - warped)[seen > 0].mean()
    assert flicker(before, now, Flow(back, seen, 0.0)) == pytest.approx(expected, rel=0.02)


def test_nothing_seen_is_no_flicker():
    image = np.ones((4, 4, 3), np.float32)
    assert (
        apart(image, image * 0, Flow(np.zeros((4, 4, 2), np.float32), np.zeros((4, 4), np.float32), 0)) == 0
    )
