"""The loop with other params than the pixels: from noise, in batches, resumed."""

import pytest
import torch

from networks import Branching
from phosphene import transform, words
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.noise import Noise
from phosphene.objective import batch
from phosphene.param import PARAMS

CONFIG = Dream(octaves=2, steps=3, jitter=0, smooth=0, seed=3, transforms="pad(4), jitter(3)")
NOISE = Noise(2, 40, 48)
PHOTO = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1


@pytest.fixture(scope="module")
def lens():
    torch.manual_seed(0)
    return Lens(Branching())


def last(frames):
    return list(frames)[-1]


def score(lens, objective, image):
    with torch.no_grad(), lens.watching(objective.layers) as look:
        return objective(look(image))


@pytest.mark.parametrize("start", [NOISE, PHOTO], ids=["noise", "photo"])
@pytest.mark.parametrize("param", PARAMS)
def test_every_param_climbs_over_octaves(lens, param, start):
    objective = words.channel("mix", 3)
    config = CONFIG.but(param=param, steps=12)
    frames = list(dream(start, objective, lens, config))
    assert [tuple(frame.image.shape[-2:]) for frame in frames[:: config.steps]] == [(29, 34), (40, 48)]
    first, end = frames[0].full(), frames[-1].full()
    assert end.shape[-2:] == (40, 48) and end.min() >= 0 and end.max() <= 1
    assert bool((score(lens, objective, end) > score(lens, objective, first)).all())


def test_crops_shrink_in_each_octave(lens, monkeypatch):
    real, found = transform.crops, []
    monkeypatch.setitem(
        transform.WORDS, "crops", ("", lambda *numbers, done: found.append(done) or real(*numbers, done=done))
    )
    config = CONFIG.but(param="fourier", transforms="crops(2)")
    last(dream(NOISE, words.channel("mix", 3), lens, config))
    assert [done for done in found if done] == [0.5, 1, 0.5, 1]


@pytest.mark.parametrize("param", ["pixel", "fourier", "maco"])
@pytest.mark.parametrize("stop", [1, 2, 4])
def test_resumed_bit_by_bit(lens, param, stop):
    config = CONFIG.but(param=param, optimizer="adam", average=0.7)
    whole, state = None, None
    for number, frame in enumerate(dream(NOISE, "mix:3 | mix:4", lens, config)):
        if number == stop:
            state = frame.state()
        whole = frame
    again = last(dream(NOISE, "mix:3 | mix:4", lens, config, resume=state))
    assert torch.equal(again.full(), whole.full())


def test_a_batch_is_what_each_would_be_alone(lens):
    config = CONFIG.but(param="fourier", octaves=1)
    units = [words.channel("mix", 1), words.channel("tail", 2), words.channel("mix", 5) - words.layer("stem")]
    together = last(dream(Noise(3, 40, 48, (0, 0, 0)), batch(units), lens, config.but(balance=False)))
    for i, unit in enumerate(units):
        alone = last(dream(Noise(1, 40, 48), unit, lens, config.but(balance=False)))
        assert torch.allclose(together.full()[i], alone.full()[0], atol=2e-3)
        assert torch.allclose(together.score[i], alone.score[0], rtol=1e-3)


def test_crops_score_their_mean(lens):
    objective = words.channel("mix", 3)
    frame = next(dream(PHOTO, objective, lens, CONFIG.but(octaves=1, transforms="crops(6, 32)")))
    from phosphene import transform

    seen = transform.drawn(transform.parse("crops(6, 32)"), [3, 0, 0], 1)(PHOTO)
    assert torch.allclose(frame.score, score(lens, objective, seen).mean(), atol=1e-5)


def test_noise_is_the_seeds(lens):
    config = CONFIG.but(param="fourier", octaves=1, steps=1)
    first, again = (last(dream(NOISE, "mix", lens, config)).full() for _ in range(2))
    other = last(dream(NOISE, "mix", lens, config.but(seed=4))).full()
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_picture_on_disk_is_pixels(lens, tmp_path):
    from phosphene.canvas import Disk

    with pytest.raises(PhospheneError, match="on disk"):
        next(dream(Disk.of(tmp_path, PHOTO), "mix", lens, CONFIG.but(param="fourier", transforms="none")))


@pytest.mark.parametrize("param", ["fourier", "maco"])
def test_transparency_resumed_bit_by_bit(lens, param):
    config = CONFIG.but(param=param, transparency=0.5)
    frames = []
    for frame in dream(NOISE, "mix:3 | mix:4", lens, config):
        frames.append((frame.full(), frame.opacity, frame.state()))
    again = last(dream(NOISE, "mix:3 | mix:4", lens, config, resume=frames[2][2]))
    assert torch.equal(again.full(), frames[-1][0]) and torch.equal(again.opacity, frames[-1][1])
    assert again.opacity.shape == (2, 1, 40, 48)


def test_transparency_is_no_matter_of_pixels(lens):
    with pytest.raises(PhospheneError, match="transparency"):
        next(dream(PHOTO, "mix", lens, CONFIG.but(transparency=0.5)))
