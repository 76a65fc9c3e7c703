"""Keep-colour: the light is the dream's, the colour the photo's."""

import numpy as np
import pytest
import torch

from phosphene.color import luma, with_color_of

WEIGHTS = np.float32([0.299, 0.587, 0.114])


def noise(seed, low=0.0, high=1.0):
    values = torch.rand((2, 3, 24, 25), generator=torch.Generator().manual_seed(seed))
    return low + (high - low) * values


def ycc(image):
    """Y, B - Y and R - Y in float64."""
    r, g, b = image.double().numpy().transpose(1, 0, 2, 3)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return y, b - y, r - y


def test_luma_is_bt601():
    image = noise(0)
    assert np.allclose(luma(image)[:, 0].numpy(), np.einsum("nchw,c->nhw", image.numpy(), WEIGHTS), atol=1e-6)


@pytest.mark.parametrize("seeds", [(0, 1), (2, 3)])
def test_light_is_the_dreams_and_the_picture_in_range(seeds):
    dream, photo = noise(seeds[0]), noise(seeds[1])
    mixed = with_color_of(dream, photo)
    assert mixed.min() >= 0 and mixed.max() <= 1
    assert np.allclose(ycc(mixed)[0], ycc(dream)[0], atol=1e-6)


def test_colour_is_the_photos_where_there_is_room():
    dream, photo = noise(0, 0.4, 0.6), noise(1, 0.4, 0.6)
    mixed = with_color_of(dream, photo)
    assert np.allclose(ycc(mixed)[1], ycc(photo)[1], atol=1e-6)
    assert np.allclose(ycc(mixed)[2], ycc(photo)[2], atol=1e-6)


def test_colour_is_paled_and_keeps_its_hue_where_there_is_none():
    dream, photo = noise(0), noise(1)
    _, blue, red = ycc(with_color_of(dream, photo))
    _, photo_blue, photo_red = ycc(photo)
    assert np.allclose(blue * photo_red, red * photo_blue, atol=1e-6)
    assert (np.abs(blue) <= np.abs(photo_blue) + 1e-6).all()


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_black_and_white_have_no_colour(level):
    flat = torch.full((1, 3, 4, 4), level)
    assert torch.allclose(with_color_of(flat, noise(0)[:1, :, :4, :4]), flat, atol=1e-6)


def test_a_photo_is_itself_in_its_own_colour():
    photo = noise(0)
    assert torch.allclose(with_color_of(photo, photo), photo, atol=1e-6)
    grey = photo.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.allclose(with_color_of(photo, grey), luma(photo).expand(-1, 3, -1, -1), atol=1e-6)
