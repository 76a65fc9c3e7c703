"""What goes wrong in the loop: dead and non-finite gradients, early ends, bad inputs."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from networks import photo, strided
from phosphene.config import Dream
from phosphene.engine import TRIES, dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")
PLAIN = Dream(octaves=1, steps=3, step_size=2, jitter=4, seed=3, smooth=0)
IMAGE = 0.3 + 0.4 * photo(1, 3, 41, 50)
LAYER = "3"


@pytest.fixture(scope="module")
def lens():
    return Lens(strided())


class Spoils(nn.Module):
    """Gives `bad` instead of its input at the gradients numbered in `calls`, from 1."""

    def __init__(self, calls, bad=float("nan")):
        super().__init__()
        self.calls, self.bad, self.count = calls, bad, 0

    def forward(self, x):
        self.count += x.requires_grad
        return x * self.bad if x.requires_grad and self.count in self.calls else x


def spoiled(calls, bad=float("nan")):
    return Lens(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Spoils(calls, bad)).requires_grad_(False))


def run(frames):
    """Every frame's picture, the last frame, and the error's code."""
    pictures, last = [], None
    try:
        for last in frames:
            pictures.append(last.image.clone())
    except PhospheneError as error:
        return pictures, last, error.code
    return pictures, last, ""


def hooks(lens):
    return sum(len(part._forward_hooks) for part in lens.module.modules())


class TestZeroGradient:
    def dead(self):
        network = strided()
        nn.init.zeros_(network[3].weight)
        return Lens(network, name="net")

    @pytest.mark.parametrize("settings", [{}, {"laplacian": 3, "smooth": 1.0}, {"octaves": 2}])
    def test_a_dead_layer_stops_and_says_why(self, settings):
        with pytest.raises(
            PhospheneError, match=r"of 3:2 is zero in octave 1, step 1: .*dead channel"
        ) as caught:
            next(dream(IMAGE, "3:2", self.dead(), PLAIN.but(**settings)))
        assert caught.value.code == "E_ZERO_GRADIENT"

    def test_a_flat_picture(self, lens):
        flat = torch.full((1, 3, 40, 40), 0.5)
        with pytest.raises(PhospheneError, match="flat picture") as caught:
            next(dream(flat, "-tv()", lens, PLAIN))
        assert caught.value.code == "E_ZERO_GRADIENT"

    def test_one_image_of_a_batch_is_named_and_the_others_go_on(self, lens):
        both = torch.cat([IMAGE, torch.full_like(IMAGE, 0.5)])
        frame = next(dream(both, "-tv()", lens, PLAIN))
        assert frame.notes == ("nothing responds to image 1, which stays as it is",)
        assert torch.equal(frame.image[1], both[1]) and not torch.equal(frame.image[0], both[0])

    def test_all_of_a_balanced_sum(self):
        with pytest.raises(PhospheneError) as caught:
            next(dream(IMAGE, "3:2 + 5:1", self.dead(), PLAIN.but(balance=True)))
        assert caught.value.code == "E_ZERO_GRADIENT"

    def test_a_dead_part_of_a_balanced_sum_is_no_fault(self):
        pictures, _, code = run(dream(IMAGE, "3:2 + 0", self.dead(), PLAIN.but(balance=True)))
        assert not code and all(torch.isfinite(picture).all() for picture in pictures)

    def test_later_leaves_the_last_good_picture(self):
        class DiesAfter(Spoils):
            def forward(self, x):
                self.count += x.requires_grad
                return x * 0 if x.requires_grad and self.count > 2 else x

        lens = Lens(nn.Sequential(nn.Conv2d(3, 4, 3), DiesAfter(())).requires_grad_(False))
        pictures, last, code = run(dream(IMAGE, "1", lens, PLAIN.but(steps=5)))
        assert (len(pictures), code) == (2, "E_ZERO_GRADIENT")
        assert torch.equal(last.full(), pictures[-1])

    def test_a_gradient_however_small_is_none(self, lens):
        small, large = (run(dream(IMAGE, f"{factor}*3", lens, PLAIN))[0][-1] for factor in ("1e-30", "1"))
        assert torch.allclose(small, large, atol=1e-3)


class TestNonFinite:
    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
    def test_goes_back_to_the_last_good_picture_with_half_the_step(self, bad):
        config = PLAIN.but(steps=5, clip=False)
        pictures, last, code = run(dream(IMAGE, "1", spoiled({3}, bad), config))
        assert not code and len(pictures) == 5 and last.done
        assert all(torch.isfinite(picture).all() for picture in pictures)
        sizes = [
            (after - before).abs().mean().item() * 255
            for before, after in [
                (IMAGE, pictures[0]),
                (pictures[0], pictures[1]),
                (pictures[0], pictures[2]),
            ]
        ]
        assert sizes == pytest.approx([2, 2, 1], rel=1e-2)
        assert (pictures[4] - pictures[3]).abs().mean().item() * 255 == pytest.approx(1, rel=1e-2)

    def test_the_first_step_of_all(self):
        pictures, _, code = run(dream(IMAGE, "1", spoiled({1}), PLAIN.but(clip=False)))
        assert not code and len(pictures) == 3
        assert (pictures[0] - IMAGE).abs().mean().item() * 255 == pytest.approx(1, rel=1e-2)

    def test_every_octave_has_its_tries(self):
        config = PLAIN.but(octaves=2, steps=4)
        pictures, _, code = run(dream(IMAGE, "1", spoiled({1, 3, 5, 8, 9, 10}), config))
        assert (len(pictures), code) == (8, "")

    @pytest.mark.parametrize("settings", [{}, {"clip": False}, {"laplacian": 2, "smooth": 1.0}])
    def test_persistent_is_the_end_after_three_tries(self, settings):
        lens = spoiled(range(3, 100))
        frames = dream(IMAGE, "1", lens, PLAIN.but(steps=9, **settings))
        pictures, last, code = run(frames)
        assert (len(pictures), code) == (2, "E_DIVERGED")
        assert lens.module[1].count == 2 + 1 + TRIES
        if not settings:
            assert torch.equal(last.full(), pictures[0])  # the last picture whose gradient was finite
        assert torch.isfinite(last.full()).all()
        assert not hooks(lens)

    def test_persistent_at_an_octaves_start_leaves_the_octave_before(self):
        pictures, last, code = run(dream(IMAGE, "1", spoiled(range(4, 99)), PLAIN.but(octaves=2)))
        assert (len(pictures), code) == (3, "E_DIVERGED")
        assert last.full().shape == IMAGE.shape and torch.isfinite(last.full()).all()

    def test_persistent_from_the_start_says_where_and_what_to_do(self):
        message = r"of 1 is not finite in octave 1, step 1, .*halved 3 times; give a smaller --step-size"
        with pytest.raises(PhospheneError, match=message) as caught:
            next(dream(IMAGE, "1", spoiled(range(99)), PLAIN))
        assert caught.value.code == "E_DIVERGED"

    def test_one_image_of_a_batch_is_enough(self):
        class SpoilsSecond(Spoils):
            def forward(self, x):
                good = super().forward(x)
                return torch.cat([x[:1], good[1:]])

        lens = Lens(nn.Sequential(nn.Conv2d(3, 4, 3), SpoilsSecond({2})).requires_grad_(False))
        pictures, _, code = run(dream(IMAGE.expand(2, -1, -1, -1), "1", lens, PLAIN))
        assert not code and all(torch.isfinite(picture).all() for picture in pictures)

    def test_weights_that_overflow(self):
        network = strided()
        network[3].weight.data *= 1e30
        pictures, _, code = run(dream(IMAGE, LAYER, Lens(network), PLAIN))
        assert (pictures, code) == ([], "E_DIVERGED")


class TestNothingIsLeftBehind:
    def test_when_closed_early(self, lens):
        frames = dream(IMAGE, LAYER, lens, PLAIN.but(octaves=2))
        next(frames)
        assert hooks(lens) == 1
        frames.close()
        assert not hooks(lens)

    @pytest.mark.parametrize("outside", [torch.no_grad, torch.enable_grad, torch.inference_mode])
    def test_grad_mode_is_the_callers_at_every_frame(self, lens, outside):
        with outside():
            modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            frames = dream(IMAGE, LAYER, lens, PLAIN.but(octaves=2))
            for count, _ in enumerate(frames):
                assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == modes
                if count == 3:
                    frames.close()
            assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == modes
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()

    def test_threads(self, lens):
        before = threading.active_count(), torch.get_num_threads()
        list(dream(IMAGE, LAYER, lens, PLAIN.but(threads=7)))
        assert (threading.active_count(), torch.get_num_threads()) == before

    def test_after_a_fault_the_lens_goes_on(self, lens):
        with pytest.raises(PhospheneError):
            next(dream(torch.full((1, 3, 40, 40), 0.5), "-tv()", lens, PLAIN))
        assert not hooks(lens) and len(run(dream(IMAGE, LAYER, lens, PLAIN))[0]) == 3

    def test_randomness_of_the_caller(self, lens):
        torch.manual_seed(0)
        np.random.seed(0)
        states = torch.get_rng_state(), np.random.get_state()[1].copy()
        list(dream(IMAGE, LAYER, lens, PLAIN))
        assert torch.equal(torch.get_rng_state(), states[0])
        assert (np.random.get_state()[1] == states[1]).all()


class TestGradModes:
    OBJECTIVE = "3 - 0.1*tv() + direction(5, 1, 2, 3, 4, 5, 6, 7, power=1)"
    CONFIG = PLAIN.but(octaves=2, smooth=1.0, laplacian=2, keep_color=True)

    def expected(self, lens):
        *_, last = dream(IMAGE, self.OBJECTIVE, lens, self.CONFIG)
        return last.full()

    @pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode])
    @pytest.mark.parametrize("tile", [0, 32])
    def test_the_dream_is_the_same_in_every_mode(self, lens, outside, tile):
        config = self.CONFIG.but(tile=tile)
        *_, last = dream(IMAGE, self.OBJECTIVE, lens, config)
        with outside():
            *_, inside = dream(
                IMAGE.clone(), self.OBJECTIVE, Lens(strided()), config, mask=torch.ones(41, 50)
            )
            assert torch.equal(inside.full(), last.full())

    def test_the_mode_may_change_between_frames(self, lens):
        for modes in [(torch.inference_mode, torch.enable_grad), (torch.enable_grad, torch.inference_mode)]:
            frames = dream(IMAGE, self.OBJECTIVE, lens, self.CONFIG, detail=torch.zeros(1, 3, 9, 9))
            for count in range(6):
                with modes[count % 2]():
                    frame = next(frames)
            assert torch.equal(frame.full(), self.expected(lens))

    def test_pictures_made_in_inference_mode(self, lens):
        with torch.inference_mode():
            image, detail, mask = IMAGE.clone(), torch.zeros(1, 3, 41, 50), torch.ones(41, 50)
        *_, last = dream(image, self.OBJECTIVE, lens, self.CONFIG, detail=detail, mask=mask)
        assert torch.equal(last.full(), self.expected(lens))


def refused(code, lens, image=IMAGE, objective=LAYER, config=PLAIN, **given):
    with pytest.raises(PhospheneError) as caught:
        next(dream(image, objective, lens, config, **given))
    assert caught.value.code == code
    assert not hooks(lens)
    return str(caught.value)


class TestBadInputs:
    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((1, 3, 40, 40), np.float32),
            None,
            "photo.jpg",
            torch.zeros(40, 40),
            torch.zeros(40, 40, 3),
            torch.zeros(1, 4, 40, 40),
            torch.zeros(1, 1, 3, 40, 40),
            torch.zeros(0, 3, 40, 40),
            torch.zeros(1, 3, 0, 40),
        ],
        ids=str,
    )
    def test_no_picture(self, lens, image):
        assert "expected a tensor [N, 3, H, W] or [3, H, W]" in refused("E_PARAM", lens, image)

    @pytest.mark.parametrize("image", [IMAGE * 255, (IMAGE * 255).byte(), IMAGE - 0.5, IMAGE * 1.5])
    def test_another_range(self, lens, image):
        assert "expected 0 to 1" in refused("E_PARAM", lens, image)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_not_finite(self, lens, value):
        for name in ("image", "mask", "detail"):
            bad = IMAGE.clone()
            bad[0, 1, 7, 9] = value
            if name == "image":
                assert name in refused("E_NONFINITE", lens, bad)
            else:
                assert name in refused("E_NONFINITE", lens, **{name: bad})

    def test_halves_doubles_and_small_overshoot_are_fine(self, lens):
        for image in (IMAGE.half(), IMAGE.double(), (IMAGE > 0.5).long(), IMAGE + 0.2999, IMAGE.mT):
            assert run(dream(image, LAYER, lens, PLAIN.but(steps=1)))[2] == ""

    SHAPES = [(), (50,), (41, 0), (2, 41, 50), (3, 1, 41, 50), (1, 4, 41, 50), (1, 1, 1, 41, 50)]  # noqa: RUF012

    @pytest.mark.parametrize(
        "mask",
        [np.ones((41, 50)), 1.0, torch.ones(4, 4) * 255, -torch.ones(4, 4), *map(torch.ones, SHAPES)],
        ids=str,
    )
    def test_masks(self, lens, mask):
        assert refused("E_PARAM", lens, mask=mask).startswith("mask ")

    @pytest.mark.parametrize(
        "detail", [np.zeros((1, 3, 41, 50)), *map(torch.zeros, [(41, 50), (1, 1, 41, 50), (2, 3, 41, 50)])]
    )
    def test_details(self, lens, detail):
        assert refused("E_PARAM", lens, detail=detail).startswith("detail ")

    def test_objectives(self, lens):
        assert "nearest" in refused("E_LAYER", lens, objective="conv9")
        assert "expected 0 to 7" in refused("E_PARAM", lens, objective="3:8")
        assert "expected" in refused("E_PARAM", lens, objective="3 +")
        assert "no class logits" in refused("E_PARAM", lens, objective="class:3")

    @pytest.mark.parametrize("size", [(1, 1), (1, 60), (2, 3)])
    def test_a_picture_too_small_for_the_network(self, lens, size):
        assert "give a larger photo" in refused("E_TOO_SMALL", lens, photo(1, 3, *size))

    @pytest.mark.parametrize("size", [(1, 1), (1, 60), (7, 2)])
    def test_a_picture_of_one_pixel_where_the_network_takes_it(self, size):
        config = PLAIN.but(octaves=3, laplacian=3, smooth=2.0, jitter=50)
        _, last, code = run(dream(photo(1, 3, *size), "0", Lens(strided()), config))
        assert not code and last.full().shape[2:] == size
