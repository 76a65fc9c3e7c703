"""The loop against an independent one, and every setting by value on a single step."""

import numpy as np
import pytest
import scipy.ndimage as nd
import torch

from networks import branching, photo, strided, unpadded
from oracles import laplacian, one_octave
from phosphene import words
from phosphene.canvas import Held
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.octave import octave_sizes, zoomed
from phosphene.tile import Plan

pytestmark = pytest.mark.usefixtures("one_thread")
PLAIN = Dream(octaves=1, steps=1, step_size=2, jitter=8, seed=3, smooth=0, balance=False)
LAYER = "3"


@pytest.fixture(scope="module")
def lens():
    return Lens(strided())


def gradient(image, parts=None, network=None):
    """d score / d image, one for each of `parts` (functions of the activations up to layer 3)."""
    network = network or strided()[:4]
    found = []
    for part in parts or [lambda act: act.square().sum() / 2]:
        leaf = image.clone().requires_grad_()
        part(network(leaf)).backward()
        found.append(leaf.grad.double().numpy())
    return found


def stepped(image, g, levels=2.0):
    return (image.numpy() + levels / 255 * g / np.abs(g).mean((1, 2, 3), keepdims=True)).clip(0, 1)


def only(frames):
    (frame,) = frames
    return frame


class TestTheLoop:
    @pytest.mark.parametrize("size", [(41, 50), (64, 64)])
    def test_one_octave_is_the_independent_loop(self, lens, size):
        image = photo(2, 3, *size)
        expected = one_octave(strided()[:4], image, 3)
        frames = [frame.image.clone() for frame in dream(image, LAYER, lens, PLAIN.but(steps=3))]
        for got, picture in zip(frames, expected, strict=True):
            assert np.abs(got.numpy() - picture).max() < 1e-4
        assert np.abs(frames[-1].numpy() - image.numpy()).mean() > 2 / 255

    def test_octaves_carry_the_detail(self, lens):
        image, config = photo(1, 3, 90, 121), PLAIN.but(octaves=3, notebook_edges=True)
        bases = [image.numpy()]
        for _ in range(2):
            bases.append(nd.zoom(bases[-1], (1, 1, 1 / 1.4, 1 / 1.4), order=1))
        random = np.random.RandomState(3)
        detail = np.zeros_like(bases[-1])
        for base, frame in zip(bases[::-1], dream(image, LAYER, lens, config), strict=True):
            detail = nd.zoom(detail, (1, 1, *np.divide(base.shape[2:], detail.shape[2:])), order=1)
            ox, oy = random.randint(-8, 9, 2)
            x = torch.tensor(np.roll(base + detail, (oy, ox), (2, 3)))
            g = np.roll(gradient(x)[0], (-oy, -ox), (2, 3))
            picture = stepped(torch.tensor(base + detail), g)
            assert np.abs(frame.image.numpy() - picture).max() < 1e-4
            detail = picture.astype(np.float32) - base

    def test_frames_count_and_know_their_place(self, lens):
        config = PLAIN.but(octaves=3, steps=2)
        frames = list(dream(photo(2, 3, 61, 50), LAYER, lens, config))
        assert [(f.octave, f.step) for f in frames] == [(o, s) for o in range(3) for s in range(2)]
        assert [f.done for f in frames] == [False] * 5 + [True]
        assert {(f.octaves, f.steps, f.seed, f.objective) for f in frames} == {(3, 2, 3, LAYER)}
        sizes = octave_sizes(61, 50, config)
        assert [f.image.shape for f in frames[::2]] == [(2, 3, *size) for size in sizes]
        assert all(not f.image.requires_grad and not f.score.requires_grad for f in frames)

    def test_the_score_is_of_the_picture_before_the_step(self, lens):
        image = photo(2, 3, 41, 50)
        before = image
        with torch.no_grad():
            for frame in dream(image, f"{LAYER} - 0.1*tv()", lens, PLAIN.but(steps=3, jitter=0)):
                act = strided()[:4](before)
                tv = (
                    before.diff(dim=2).abs().sum((1, 2, 3)) + before.diff(dim=3).abs().sum((1, 2, 3))
                ) / 2050
                expected = act.square().sum((1, 2, 3)) / 2 / act[0, 0].numel() - 0.1 * tv
                assert frame.score.shape == (2,)
                assert torch.allclose(frame.score, expected, rtol=1e-4)
                before = frame.image.clone()

    def test_the_score_rises(self, lens):
        scores = [f.score.item() for f in dream(photo(1, 3, 41, 50), LAYER, lens, PLAIN.but(steps=8))]
        assert scores[-1] > 1.2 * scores[0]

    def test_jitter_draws_x_then_y_from_randomstate(self, lens):
        frames = dream(photo(1, 3, 41, 50), LAYER, lens, PLAIN.but(steps=5, jitter=32, seed=2**32 - 1))
        *_, last = frames
        random = np.random.RandomState(2**32 - 1)
        for _ in range(5):
            random.randint(-32, 33, 2)
        after = np.random.RandomState()
        after.set_state(last.state()["random"])
        assert after.randint(0, 2**31, 5).tolist() == random.randint(0, 2**31, 5).tolist()

    def test_no_jitter_is_no_roll(self, lens):
        image = photo(1, 3, 41, 50)
        frame = only(dream(image, LAYER, lens, PLAIN.but(jitter=0)))
        assert np.allclose(frame.image.numpy(), stepped(image, gradient(image)[0]), atol=1e-5)

    def test_the_same_seed_is_the_same_dream(self, lens):
        config = PLAIN.but(octaves=2, steps=3)
        one, two, other = (
            [f.image.clone() for f in dream(photo(1, 3, 61, 50), LAYER, lens, config.but(seed=seed))]
            for seed in (3, 3, 4)
        )
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
        assert not torch.equal(one[-1], other[-1])

    def test_an_open_seed_and_number_of_octaves_are_drawn_and_recorded(self, lens):
        config = Dream(steps=1, seed=None, octaves=0)
        image = photo(1, 3, 61, 50)
        first, second = (only(dream(image, LAYER, lens, config)) for _ in range(2))
        assert first.config.octaves == 1 and first.config.seed == first.seed != second.seed
        again = only(dream(image, LAYER, lens, first.config))
        assert torch.equal(again.image, first.image)

    def test_text_and_objective_are_the_same(self, lens):
        image = photo(1, 3, 41, 50)
        objective = 2 * words.channel("3", 1) - words.layer("0")
        by_object, by_text = (only(dream(image, o, lens, PLAIN)) for o in (objective, objective.text))
        assert torch.equal(by_object.image, by_text.image) and by_text.objective == objective.text

    def test_nothing_that_is_given_is_changed(self, lens):
        image, mask, detail = (
            photo(1, 3, 41, 50).requires_grad_(),
            torch.rand(41, 50),
            torch.rand(1, 3, 41, 50),
        )
        before = [tensor.clone() for tensor in (image, mask, detail)]
        list(dream(image, LAYER, lens, PLAIN.but(octaves=2), mask=mask, detail=detail))
        assert all(torch.equal(a, b) for a, b in zip(before, (image, mask, detail), strict=True))
        assert image.grad is None


class TestBatch:
    def test_is_single_runs_side_by_side(self, lens):
        image, config = photo(2, 3, 61, 50), PLAIN.but(octaves=2, steps=2, smooth=1.5, laplacian=2)
        image[1] = 0.4 + 0.2 * image[1]
        *_, together = dream(image, LAYER, lens, config)
        for i in range(2):
            *_, alone = dream(image[i], LAYER, lens, config)
            assert alone.image.shape == (1, 3, 61, 50)
            assert torch.allclose(together.image[i], alone.image[0], atol=1e-4)
            assert together.score[i].item() == pytest.approx(alone.score.item(), rel=1e-4)

    def test_every_image_is_normalised_by_itself(self, lens):
        image = photo(2, 3, 41, 50)
        image[1] = 0.5 + 0.01 * (image[1] - 0.5)
        frame = only(dream(image, LAYER, lens, PLAIN.but(clip=False)))
        change = (frame.image - image).abs().mean((1, 2, 3)) * 255
        assert torch.allclose(change, torch.tensor(2.0), rtol=1e-3)


class TestSettings:
    def image(self):
        return 0.3 + 0.4 * photo(1, 3, 41, 50)

    @pytest.mark.parametrize(("size", "strength"), [(1.5, 1.0), (1.5, 2.0), (0.01, 0.5)])
    def test_the_step_is_the_mean_change_in_8_bit_levels(self, lens, size, strength):
        frame = only(dream(self.image(), LAYER, lens, PLAIN.but(step_size=size, strength=strength)))
        change = (frame.image - self.image()).abs().mean().item() * 255
        assert change == pytest.approx(size * strength, rel=2e-3)

    def test_clip(self, lens):
        image, config = photo(1, 3, 41, 50), PLAIN.but(step_size=100)
        clipped = only(dream(image, LAYER, lens, config)).image
        free = only(dream(image, LAYER, lens, config.but(clip=False))).image
        assert clipped.min() == 0 and clipped.max() == 1
        assert free.min() < -0.1 and free.max() > 1.1
        assert torch.equal(free.clamp(0, 1), clipped)

    @pytest.mark.parametrize("step", [0, 1])
    def test_smooth_is_a_falling_gaussian_after_the_roll_back(self, lens, step):
        config = PLAIN.but(smooth=2.0, steps=2, jitter=0 if step else 8)
        frames = [f.image.clone() for f in dream(self.image(), LAYER, lens, config)]
        before = frames[0] if step else self.image()
        ox, oy = (0, 0) if step else np.random.RandomState(3).randint(-8, 9, 2)
        g = np.roll(gradient(before.roll((oy, ox), (2, 3)))[0], (-oy, -ox), (2, 3))
        sigma = 2.0 * (1 - step / 2) + 0.3
        g = nd.gaussian_filter(g, (0, 0, sigma, sigma), mode="nearest", truncate=4)
        assert np.abs(frames[step].numpy() - stepped(before, g)).max() < 1e-4

    def test_laplacian(self, lens):
        frame = only(dream(self.image(), LAYER, lens, PLAIN.but(laplacian=3, jitter=0)))
        g = laplacian(gradient(self.image())[0][0], 3)[None]
        assert np.abs(frame.image.numpy() - stepped(self.image(), g)).max() < 1e-4

    def test_laplacian_then_smooth(self, lens):
        frame = only(dream(self.image(), LAYER, lens, PLAIN.but(laplacian=2, smooth=1.0, jitter=0)))
        g = laplacian(gradient(self.image())[0][0], 2)[None]
        g = nd.gaussian_filter(g, (0, 0, 1.3, 1.3), mode="nearest", truncate=4)
        assert np.abs(frame.image.numpy() - stepped(self.image(), g)).max() < 1e-4

    def test_laplacian_does_not_care_for_the_size_of_the_gradient(self, lens):
        small, large = (
            only(dream(self.image(), factor * words.layer(LAYER), lens, PLAIN.but(laplacian=3))).image
            for factor in (1e-9, 1)
        )
        assert torch.allclose(small, large, atol=1e-4)

    def test_balance_gives_every_layer_its_weights_size(self, lens):
        def parts(network):
            first = network[:1]
            return [
                gradient(self.image(), [lambda act: 1000 * act[:, 1].mean()])[0],
                gradient(self.image(), [lambda act: -act.square().sum() / 2], network=first)[0],
            ]

        high, low = parts(strided())
        objective = "1000*3:1 - 0.5*0"
        balanced = only(dream(self.image(), objective, lens, PLAIN.but(balance=True, jitter=0))).image
        g = 1000 * high / np.abs(high).mean() + 0.5 * low / np.abs(low).mean()
        assert np.abs(balanced.numpy() - stepped(self.image(), g)).max() < 1e-4
        summed = only(dream(self.image(), objective, lens, PLAIN.but(jitter=0))).image
        g = high + 0.5 * low / (21 * 25)
        assert np.abs(summed.numpy() - stepped(self.image(), g)).max() < 1e-4

    def test_balance_changes_nothing_for_one_layer(self, lens):
        images = [
            only(dream(self.image(), "2*3:1 - 3", lens, PLAIN.but(balance=balance))).image
            for balance in (True, False)
        ]
        assert torch.equal(*images)

    def test_keep_color(self, lens):
        image = self.image()
        plain, kept = (
            only(dream(image, LAYER, lens, PLAIN.but(step_size=8, keep_color=keep))) for keep in (False, True)
        )
        assert torch.equal(plain.image, kept.image)
        weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        light, colour = (plain.full() * weights).sum(1, True), image - (image * weights).sum(1, True)
        room = ((light + colour >= 0) & (light + colour <= 1)).all(1, keepdim=True).expand_as(image)
        assert room.float().mean() > 0.5
        assert torch.allclose(kept.full()[room], (light + colour)[room], atol=1e-5)

    @pytest.mark.parametrize(
        ("changes", "size"),
        [({"max_size": 25}, (20, 25)), ({"scale": 1.5}, (62, 75)), ({"scale": 0.5}, (20, 25))],
    )
    def test_size(self, lens, changes, size):
        *_, last = dream(self.image(), LAYER, lens, PLAIN.but(octaves=2, **changes))
        assert last.full().shape[2:] == last.image.shape[2:] == size


class TestMask:
    def image(self):
        return 0.3 + 0.4 * photo(1, 3, 61, 50)

    def mask(self):
        mask = torch.zeros(61, 50)
        mask[:, 20:30], mask[:, 30:] = 0.25, 1
        return mask

    def test_multiplies_the_step_and_nothing_inside_it(self, lens):
        free = only(dream(self.image(), LAYER, lens, PLAIN)).image - self.image()
        frame = only(dream(self.image(), LAYER, lens, PLAIN, mask=self.mask()))
        assert torch.allclose(frame.image - self.image(), self.mask() * free, atol=1e-6)

    def test_black_stays_the_photo_to_the_bit(self, lens):
        *_, last = dream(self.image(), LAYER, lens, PLAIN.but(octaves=2, steps=3), mask=self.mask())
        assert torch.equal(last.full()[..., :18], self.image()[..., :18])
        assert (last.full() - self.image())[..., 30:].abs().mean() > 2 / 255

    def test_of_every_shape_and_size(self, lens):
        mask = self.mask()
        expected = only(dream(self.image(), LAYER, lens, PLAIN, mask=mask)).image
        for shaped in (mask[None], mask[None, None], mask.expand(1, 3, -1, -1), mask.expand(3, -1, -1)):
            assert torch.equal(only(dream(self.image(), LAYER, lens, PLAIN, mask=shaped)).image, expected)
        large = torch.ones(1, 1, 200, 7)
        free = only(dream(self.image(), LAYER, lens, PLAIN)).image
        assert torch.equal(only(dream(self.image(), LAYER, lens, PLAIN, mask=large)).image, free)
        white = only(dream(self.image(), LAYER, lens, PLAIN, mask=torch.ones(61, 50, dtype=torch.bool))).image
        assert torch.equal(white, free)

    def test_one_for_each_image_of_a_batch(self, lens):
        masks = torch.stack([torch.zeros(1, 61, 50), torch.ones(1, 61, 50)])
        image = self.image().expand(2, -1, -1, -1)
        frame = only(dream(image, LAYER, lens, PLAIN, mask=masks))
        assert torch.equal(frame.image[0], image[0]) and not torch.equal(frame.image[1], image[1])


class TestDetail:
    def test_is_where_the_dream_starts(self, lens):
        image, black = 0.3 + 0.4 * photo(1, 3, 61, 50), torch.zeros(61, 50)
        detail = 0.1 * photo(1, 3, 40, 40, seed=9)
        frames = list(dream(image, LAYER, lens, PLAIN.but(octaves=2), detail=detail, mask=black))
        small, large = octave_sizes(61, 50, PLAIN.but(octaves=2))
        expected = zoomed(Held(detail), small).image
        assert torch.allclose(frames[0].image, zoomed(Held(image), small).image + expected, atol=1e-6)
        assert torch.allclose(frames[-1].full(), image + zoomed(Held(expected), large).image, atol=1e-6)

    def test_of_one_picture_serves_a_batch(self, lens):
        frames = dream(photo(2, 3, 41, 50), LAYER, lens, PLAIN, detail=torch.zeros(3, 41, 50))
        assert only(frames).image.shape == (2, 3, 41, 50)


class TestTiles:
    @pytest.mark.parametrize("objective", [LAYER, "5 - 0.1*tv()", "5:2 + 3"])
    def test_tiled_is_untiled(self, lens, objective):
        config = PLAIN.but(steps=2, smooth=1.0, balance=True)
        whole, tiled = (
            list(dream(photo(2, 3, 97, 131), objective, lens, config.but(tile=tile))) for tile in (0, 32)
        )
        assert torch.allclose(whole[0].score, tiled[0].score, rtol=1e-4)
        assert torch.allclose(whole[-1].image, tiled[-1].image, atol=1e-4)

    @pytest.mark.parametrize("objective", ["class:3", "head:3", "head", "tail:1@2,3", "head:3 + mix"])
    def test_what_does_not_add_up_is_taken_whole(self, monkeypatch, objective):
        from phosphene import tile

        plans = []
        gradients = tile.gradients
        monkeypatch.setattr(tile, "gradients", lambda *args: plans.append(args[3]) or gradients(*args))
        lens = Lens(branching(), head="head")
        whole, tiled = (
            only(dream(photo(1, 3, 97, 131), objective, lens, PLAIN.but(tile=side))) for side in (0, 32)
        )
        assert torch.equal(whole.image, tiled.image)
        assert plans == [Plan(), Plan()]

    def test_a_tile_of_a_few_pixels_is_refused(self, lens):
        with pytest.raises(PhospheneError, match="tile is 5") as caught:
            next(dream(photo(1, 3, 97, 131), LAYER, lens, PLAIN.but(tile=5)))
        assert caught.value.code == "E_PARAM"


class TestNeuron:
    @pytest.mark.parametrize("network", [strided, unpadded])
    def test_at_the_grids_end_dreams_in_every_octave(self, network):
        lens, image = Lens(network()), photo(1, 3, 203, 301)
        layer = lens.layers[-1]
        with torch.no_grad():
            rows, columns = network()(image).shape[2:]
        objective = words.neuron(layer, 0, rows - 1, columns - 1)
        *_, last = dream(image, objective, lens, PLAIN.but(octaves=5, jitter=0))
        assert (last.full() - image).abs()[..., :100, :150].max() == 0
        assert last.done

    @pytest.mark.parametrize("place", ["26,0", "0,38", "1000,1000"])
    def test_outside_the_grid_is_an_error_at_once(self, lens, place):
        with pytest.raises(PhospheneError, match="26 × 38") as caught:
            next(dream(photo(1, 3, 203, 301), f"5:0@{place}", lens, PLAIN.but(octaves=4)))
        assert caught.value.code == "E_PARAM"
