"""Pixels: what the ascent moves."""

import torch

from phosphene.canvas import Disk, Held
from phosphene.param import Pixels

BEFORE, CHANGE = torch.tensor([[0.5, 0.25], [-1.0, 2.0]]), torch.tensor([[0.25, -0.5], [0.0, 0.0]])


def picture(values):
    return values.view(1, 1, 2, 2).clone()


def test_climb_adds_the_change_and_leaves_the_image_before_alone():
    image = Held(picture(BEFORE))
    canvas = Pixels(image)
    canvas.climb(Held(picture(CHANGE)), clip=False)
    assert torch.equal(canvas().image, picture(BEFORE + CHANGE))
    assert torch.equal(image.image, picture(BEFORE))


def test_climb_clips():
    canvas = Pixels(Held(picture(BEFORE)))
    canvas.climb(Held(picture(CHANGE)), clip=True)
    assert torch.equal(canvas().image, picture(BEFORE + CHANGE).clamp(0, 1))


def test_on_disk_alike(tmp_path):
    canvas = Pixels(Disk.of(tmp_path, picture(BEFORE)))
    canvas.climb(Disk.of(tmp_path, picture(CHANGE)), clip=True)
    assert torch.equal(canvas().rows(0, 2), picture(BEFORE + CHANGE).clamp(0, 1))


def test_restore_takes_along_who_holds_the_image(tmp_path):
    for kept in (Held, lambda image: Disk.of(tmp_path, image)):
        canvas = Pixels(kept(picture(BEFORE)))
        held = canvas()
        canvas.restore(kept(picture(CHANGE)))
        assert torch.equal(held.rows(0, 2), picture(CHANGE))
