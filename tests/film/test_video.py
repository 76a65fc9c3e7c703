"""Films: a dream that is carried along changes as much as one of its own, costs less and doesn't flicker."""

from itertools import pairwise

import numpy as np
import pytest
import torch

pytest.importorskip("cv2")
from skimage import data
from skimage.transform import resize

import phosphene
from phosphene import expression
from phosphene.config import Dream
from phosphene.film.carry import Dreamer, array, tensor
from phosphene.film.flow import Flow, flicker
from phosphene.film.source import Still
from phosphene.film.video import flows, scaled, video

SIZE = 90, 136
OBJECTIVE = expression.parse("blocks.2.1")
CONFIG = Dream(seed=3, steps=8, objective=OBJECTIVE.text)


@pytest.fixture(scope="module")
def lens():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield phosphene.load("efficientnet_lite0", device="cpu")
    torch.set_num_threads(threads)


def pan(name="coffee", count=10, by=(2, 1), first=0, deep=False):
    photo = resize(getattr(data, name)()[..., :3], (160, 240), anti_aliasing=True)
    stills = []
    for number in range(count):
        top, left = 10 + by[1] * number, 10 + by[0] * number
        pixels = photo[top : top + SIZE[0], left : left + SIZE[1]]
        most, kind = (65535, np.uint16) if deep else (255, np.uint8)
        pixels = (pixels * most).round().astype(kind)
        stills.append(Still(number=first + number, pts=40 * (first + number), duration=40, pixels=pixels))
    return stills


def made(stills, lens, state=None, config=CONFIG, mask=None, **more):
    dreamer = Dreamer(OBJECTIVE, lens, config, mask)
    return list(video(flows(iter(stills), state), dreamer, state, **more))


def change(films, stills):
    return [
        float(np.abs(one.image - scaled(still.pixels)).mean())
        for one, still in zip(films, stills, strict=True)
    ]


def test_a_pan_holds_together(lens):
    stills = pan()
    carried, afresh = made(stills, lens), made(stills, lens, afresh=True)
    assert carried[-1].evaluations <= afresh[-1].evaluations / 3
    assert np.mean(change(carried, stills)) == pytest.approx(np.mean(change(afresh, stills)), rel=0.1)
    way = Flow(np.zeros((*SIZE, 2), np.float32) + np.float32([2, 1]), np.ones(SIZE, np.float32), 0)
    way.seen[-2:], way.seen[:, -2:] = 0, 0  # what comes in there is new

    def flickers(films):
        return np.mean([flicker(a.image, b.image, way) for a, b in pairwise(films)])

    assert flickers(carried) <= 1.0
    assert flickers(carried) <= 0.4 * flickers(afresh)
    for one, still in zip(carried, stills, strict=True):
        assert abs(one.image.mean() - scaled(still.pixels).mean()) < 0.01


def test_the_light_stays(lens):
    stills = pan(count=30, by=(1, 0))
    films = made(stills, lens)
    differ = [
        float(one.image.mean() - scaled(still.pixels).mean())
        for one, still in zip(films, stills, strict=True)
    ]
    assert max(differ) - min(differ) < 0.002


def test_the_figure_is_told_as_it_is(lens):
    stills = pan(count=4)
    films = made(stills, lens)
    assert [one.flicker.stills for one in films] == [0, 1, 2, 3]
    ways = [way for _, way in flows(iter(stills))]
    expected = [flicker(a.image, b.image, way) for a, b, way in zip(films, films[1:], ways[1:], strict=False)]
    assert films[-1].flicker.levels == pytest.approx(np.mean(expected), rel=1e-5)
    own = [
        flicker(scaled(a.pixels), scaled(b.pixels), way)
        for a, b, way in zip(stills, stills[1:], ways[1:], strict=False)
    ]
    assert films[-1].flicker.source_levels == pytest.approx(np.mean(own), rel=1e-5)


def test_a_still_that_stays_keeps_its_dream(lens):
    films = made(pan(count=6, by=(0, 0)), lens)
    assert films[-1].flicker.levels < 1.0
    assert np.abs(films[-1].image - films[0].image).mean() < 0.5 * np.abs(films[0].carried.detail).mean()


def test_new_ground_is_dreamed_on_too(lens):
    stills = pan(count=16, by=(4, 0))
    films = made(stills, lens)
    entered = np.abs(films[-1].carried.detail)[:, -50:-12].mean()
    assert entered > 0.5 * films[-1].carried.strength


def test_nothing_is_carried_over_a_cut(lens):
    stills = pan("coffee", 3) + pan("rocket", 3, first=3)
    films = made(stills, lens)
    assert [one.fresh for one in films] == [True, False, False, True, False, False]
    alone = made(stills[3:], lens)
    for one, other in zip(films[3:], alone, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize("after", [1, 3])
def test_a_film_goes_on_where_it_stopped(lens, after):
    stills = pan(count=5)
    whole = made(stills, lens)
    rest = made(stills[after:], lens, whole[after - 1].state())
    for one, other in zip(whole[after:], rest, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert rest[-1].evaluations == whole[-1].evaluations
    assert rest[-1].flicker == whole[-1].flicker


def test_a_film_of_more_than_eight_bits(lens):
    stills = pan(count=3, deep=True)
    films = made(stills, lens)
    eight = made(pan(count=3), lens)
    assert np.abs(films[-1].image - eight[-1].image).mean() < 0.03
    rest = made(stills[2:], lens, films[1].state())
    np.testing.assert_array_equal(rest[0].image, films[2].image)


def test_a_mask_keeps_the_film_out(lens):
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., SIZE[1] // 2 :] = 1
    stills = pan(count=4, by=(0, 0))
    films = made(stills, lens, mask=mask)
    differ = np.abs(films[-1].image - scaled(stills[-1].pixels))
    assert differ[:, : SIZE[1] // 2 - 2].max() < 0.02
    assert differ[:, SIZE[1] // 2 + 2 :].mean() > 0.01


def test_colours_are_kept(lens):
    from phosphene.color import luma

    stills = pan(count=3)
    films = made(stills, lens, config=CONFIG.but(keep_color=True))
    dream, still = tensor(films[-1].image), tensor(scaled(stills[-1].pixels))
    assert float(((dream - luma(dream)) - (still - luma(still))).abs().mean()) < 0.01


def test_colours_that_are_stored_at_half_the_size_are_soft(lens):
    """Y of BT.601 as it was, Cb and Cr of what the dream adds under a Gaussian."""
    from scipy.ndimage import gaussian_filter

    still = scaled(pan(count=1)[0].pixels)
    carried = Dreamer(OBJECTIVE, lens, CONFIG.but(steps=3)).fresh(still)
    sharp, soft = (
        Dreamer(OBJECTIVE, lens, CONFIG, halved=way).shown(carried) - still for way in (False, True)
    )
    light = sharp @ np.float32([0.299, 0.587, 0.114])
    true = gaussian_filter(sharp - light[..., None], (2.5, 2.5, 0), mode="mirror", truncate=4)
    inside = (still + soft > 1e-3) & (still + soft < 1 - 1e-3)
    assert inside.mean() > 0.9
    assert np.abs(soft - light[..., None] - true)[inside].max() < 1e-3
    assert np.abs(soft - sharp).max() > 0.02


def test_octaves_are_all_dreamed_on(lens):
    stills = pan(count=3)
    films = made(stills, lens, config=CONFIG.but(octaves=2))
    assert films[0].evaluations == 16
    assert films[1].evaluations == 16 + 2 * 2


def test_a_picture_there_and_back():
    image = np.random.RandomState(0).rand(5, 7, 3).astype(np.float32)
    np.testing.assert_array_equal(array(tensor(image)), image)
