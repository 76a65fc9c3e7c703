"""A frame knows its picture at the size of the output."""

import io
from itertools import pairwise

import numpy as np
import pytest
import scipy.ndimage as nd
import torch

from networks import photo, strided
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = Dream(octaves=3, steps=2, step_size=20, jitter=8, seed=3)
IMAGE = photo(2, 3, 61, 50)


@pytest.fixture(scope="module")
def lens():
    return Lens(strided())


def frames(lens, **settings):
    return dream(IMAGE, "3", lens, CONFIG.but(**settings))


@pytest.mark.parametrize(
    "settings", [{}, {"clip": False}, {"keep_color": True}, {"scale": 1.5}, {"max_size": 40}]
)
def test_full_is_a_finite_picture_of_the_outputs_size_at_every_step(lens, settings):
    fulls = [frame.full() for frame in frames(lens, **settings)]
    assert len(fulls) == 6
    assert {full.shape for full in fulls} == {fulls[-1].shape}
    assert all(torch.isfinite(full).all() and full.min() >= 0 and full.max() <= 1 for full in fulls)
    assert not any(torch.equal(a, b) for a, b in pairwise(fulls))


def test_full_is_the_photo_with_the_detail_so_far(lens):
    base = nd.zoom(
        nd.zoom(IMAGE.numpy(), (1, 1, 1 / 1.4, 1 / 1.4), order=1), (1, 1, 1 / 1.4, 1 / 1.4), order=1
    )
    frame = next(frames(lens))
    detail = frame.image.numpy() - base
    grown = nd.zoom(detail, (1, 1, 61 / detail.shape[2], 50 / detail.shape[3]), order=1)
    expected = (IMAGE.numpy() + grown).clip(0, 1)
    assert frame.full().shape == IMAGE.shape
    assert np.abs(frame.full().numpy() - expected)[..., :-1, :-1].max() < 1e-5


def test_full_is_the_image_in_the_last_octave(lens):
    *_, last = frames(lens)
    assert torch.equal(last.full(), last.image)


def test_full_is_a_copy(lens):
    running = frames(lens, octaves=1)
    first = next(running)
    full = first.full()
    before = full.clone()
    next(running)
    assert torch.equal(full, before)
    full.zero_()
    assert next(frames(lens, octaves=1)).image.any()


def test_without_clipping_each_picture_is_divided_by_its_brightest(lens):
    *_, last = frames(lens, clip=False, octaves=1)
    for image, full in zip(last.image.numpy(), last.full().numpy(), strict=True):
        assert image.max() > 1.05
        assert np.allclose(full, (image / np.percentile(image, 99.98)).clip(0, 1), atol=1e-5)


def test_seed_and_done(lens):
    assert [(frame.seed, frame.done) for frame in frames(lens, octaves=1)] == [(3, False), (3, True)]
    assert next(frames(lens, seed=0)).seed == 0


def test_shows_itself_as_a_picture(lens):
    image = pytest.importorskip("PIL.Image")
    *_, last = frames(lens)
    shown = np.asarray(image.open(io.BytesIO(last._repr_png_())).convert("RGB"))
    assert np.abs(shown - last.full()[0].permute(1, 2, 0).numpy() * 255).max() <= 0.51
