"""What pictures look like in numbers: stripes are where their frequency and direction are."""

import numpy as np
import pytest
import torch

from phosphene.catalog.likeness import BANDS, COLOR, SIDE, WAYS, signature


def stripes(cycles, angle, shift=0.0, side=SIDE):
    """Grey, so many cycles over the picture along a direction."""
    y, x = np.mgrid[:side, :side] / side
    wave = np.sin(2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)) + shift)
    return torch.tensor(np.stack([0.5 + 0.4 * wave] * 3), dtype=torch.float32)


@pytest.mark.parametrize("way", range(WAYS))
@pytest.mark.parametrize("band", [2, 3, 4])
def test_stripes(band, way):
    image = stripes(1.4 * 2**band, (way / WAYS - 0.5) * np.pi)
    found, values = signature(image), image.double().numpy()
    assert np.argmax(found[: BANDS * WAYS]) == band * WAYS + way
    assert np.linalg.norm(found[: BANDS * WAYS]) == pytest.approx(1)
    expected = [values.mean(), 0, 0, values[0].std(), 0, 0]
    assert found[BANDS * WAYS :] == pytest.approx(COLOR * np.array(expected), abs=1e-5)


def test_where_things_are_and_how_large_the_picture_is_tells_little():
    one = signature(stripes(10, 0.3))
    assert np.abs(one - signature(stripes(10, 0.3, shift=2))).max() < 0.05
    assert np.abs(one - signature(stripes(10, 0.3, side=224))).max() < 0.1
    assert np.abs(one - signature(stripes(10, 1.3))).max() > 0.5


def test_colours():
    red, green, blue = 0.9, 0.5, 0.1
    found = signature(torch.tensor([red, green, blue])[:, None, None].expand(3, 96, 80))
    assert found[: BANDS * WAYS] == pytest.approx(0, abs=1e-4)
    middle = [(red + green + blue) / 3, red - green, blue - (red + green) / 2]
    assert found[BANDS * WAYS :] == pytest.approx([COLOR * one for one in middle] + [0] * 3, abs=1e-5)
