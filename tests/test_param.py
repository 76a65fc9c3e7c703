"""Pixels: what the ascent moves."""

import torch

from phosphene.param import Pixels


def test_pixels_are_a_copy_of_the_image():
    image = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    canvas = Pixels(image)
    assert torch.equal(canvas(), image) and canvas().requires_grad
    canvas.image.data.zero_()
    assert image.any()


def test_descend_takes_what_backward_left_and_clears_it():
    canvas = Pixels(torch.full((1, 3, 2, 2), 0.5))
    canvas().backward(torch.full((1, 3, 2, 2), -0.25))
    canvas.descend()
    assert (canvas() == 0.75).all()
    canvas.descend()
    assert (canvas() == 0.75).all() and canvas.image.grad is None


def test_clip():
    canvas = Pixels(torch.tensor([-1.0, 0.25, 2.0]).view(1, 3, 1, 1))
    canvas.clip()
    assert canvas().flatten().tolist() == [0, 0.25, 1]
