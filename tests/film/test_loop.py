"""A loop's frames: which they are, how they are mixed, and that it goes on bit for bit."""

import pytest
import torch

from networks import photo, strided
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.film.loop import looped, mixed
from phosphene.film.zoom import Made, zoom
from phosphene.lens import Lens

CONFIG = Dream(octaves=1, steps=2, step_size=3, jitter=8, seed=3)


def film(count, start=0):
    """Frames whose red says their number."""
    for number in range(start, count):
        image = photo(1, 3, 20, 30, seed=number)[0] * 0.8
        yield Made(number, image, {"next": number + 1}, 10, 0.0)


def mixed_by_value(one, other, share):
    """The mean of two pictures, of the mean of their contrasts."""
    one, other = one.double().numpy(), other.double().numpy()

    def split(image):
        mean = image.mean((1, 2), keepdims=True)
        return mean, image - mean, ((image - mean) ** 2).mean() ** 0.5

    _, _, a = split(one)
    _, _, b = split(other)
    mean, change, contrast = split((1 - share) * one + share * other)
    return (mean + change * ((1 - share) * a + share * b) / contrast).clip(0, 1)


def test_the_end_flows_into_the_beginning(tmp_path):
    made = list(film(13))
    loop = list(looped(film(13), 10, 3, tmp_path))
    assert [one.number for one in loop] == list(range(10))
    for one in loop[:7]:
        assert torch.equal(one.image, made[one.number + 3].image)
    for one in loop[7:]:
        expected = mixed_by_value(
            made[one.number + 3].image, made[one.number - 7].image, (one.number - 6) / 4
        )
        assert abs(one.image.double().numpy() - expected).max() < 2e-5  # 16 bits
    assert [one.gradient_evaluations for one in loop] == [40, *[10] * 9]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_mix_is_as_rich_as_what_it_is_of():
    one, other = (photo(1, 3, 40, 40, seed=n)[0] for n in (1, 2))
    half = mixed(one, other, 0.5)
    assert float(half.std((1, 2)).mean()) == pytest.approx(float(one.std((1, 2)).mean()), rel=0.15)
    assert torch.allclose(mixed(one, one, 0.3), one, atol=1e-6)
    flat = torch.full((3, 8, 8), 0.2)
    assert torch.allclose(mixed(flat, flat, 0.5), flat)


@pytest.mark.parametrize("after", [3, 7, 11])
def test_goes_on(tmp_path, after):
    whole = list(looped(film(13), 10, 3, tmp_path))
    rest = list(looped(film(13, after + 1), 10, 3, tmp_path))
    assert [one.number for one in rest] == list(range(after - 2, 10))
    for one, other in zip(rest, whole[after - 2 :], strict=True):
        assert torch.equal(one.image, other.image)


def test_a_zoom_goes_on_in_its_loop(tmp_path, one_thread):
    lens, image = Lens(strided()), photo(1, 3, 30, 40)

    def run(state=None):
        return looped(zoom(image, lens, "3", CONFIG, frames=6, state=state), 4, 2, tmp_path)

    whole = list(run())
    rest = list(run(whole[1].state))
    assert len(rest) == 2
    for one, other in zip(rest, whole[2:], strict=True):
        assert torch.equal(one.image, other.image)


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_a_beginning_that_is_gone(tmp_path, content):
    for one in looped(film(12), 10, 2, tmp_path):
        path = tmp_path / "00001.png"
        if one.number == 1:
            path.unlink() if content is None else path.write_bytes(content)
            break
    with pytest.raises(PhospheneError, match="missing or damaged") as caught:
        list(looped(film(12, 4), 10, 2, tmp_path))
    assert caught.value.code == "E_CHECKPOINT"


@pytest.mark.parametrize("over", [0, -1, 11])
def test_an_overlap_that_doesn_t_fit(tmp_path, over):
    with pytest.raises(PhospheneError, match="expected 1 to 10") as caught:
        next(looped(film(30), 10, over, tmp_path))
    assert caught.value.code == "E_PARAM"


def test_closing_closes_the_film(tmp_path):
    made = film(13)
    loop = looped(made, 10, 3, tmp_path)
    next(loop)
    loop.close()
    with pytest.raises(StopIteration):
        next(made)
