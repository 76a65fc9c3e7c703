"""The zoom: by value against SciPy and the notebook's loop, and one that goes on bit for bit."""

import math

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from scipy import ndimage
from torch.nn import functional as F

from networks import photo, strided
from phosphene import checkpoint
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.film.motion import CLASSIC, Motion, moved
from phosphene.film.timeline import parse
from phosphene.film.zoom import Zoom, zoom
from phosphene.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = Dream(octaves=2, steps=2, step_size=3, jitter=8, seed=3, smooth=0.0)
IMAGE = photo(1, 3, 41, 50)
LAYER = "3"


@pytest.fixture(scope="module")
def lens():
    return Lens(strided())


def made(lens, frames, way=Zoom(), config=CONFIG, image=IMAGE, **more):  # noqa: B008
    return list(zoom(image, lens, LAYER, config, way, frames=frames, **more))


def as_scipy(image, s):
    """The notebook's line, on `[H, W, 3]`."""
    h, w = image.shape[:2]
    return ndimage.affine_transform(image, [1 - s, 1 - s, 1], [h * s / 2, w * s / 2, 0], order=1)


def by_value(image, motion):
    """Every pixel of one plane by itself, from the formula: kernels at doubles, mirrored edges."""
    height, width = image.shape
    scale, angle = 1 - motion.zoom, math.radians(motion.rotate)
    kernels = {"linear": (1, linear), "cubic": (2, catmull_rom), "lanczos": (3, lanczos)}
    cx, cy = motion.target[0] * width - 0.5, motion.target[1] * height - 0.5
    dx, dy = (d * min(height, width) for d in motion.drift)
    soft = without_structure(image)
    out = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            along, down = scale * (x - cx), scale * (y - cy)
            sx = math.cos(angle) * along + math.sin(angle) * down + cx + dx
            sy = -math.sin(angle) * along + math.cos(angle) * down + cy + dy
            outside = max(-0.5 - sx, sx - width + 0.5, -0.5 - sy, sy - height + 0.5, 0)
            share = min(1, outside / 2)
            sharp = sampled(image, sy, sx, *kernels[motion.resample], max(1.0, scale))
            out[y, x] = (1 - share) * sharp + share * sampled(soft, sy, sx, 1, linear, 1.0)
    return out.clip(0, 1)


def sampled(image, sy, sx, radius, kernel, stretch):
    reach = math.ceil(radius * stretch)
    wide = np.pad(image, 40, mode="symmetric")
    xs = [math.floor(sx) + k for k in range(1 - reach, reach + 1)]
    ys = [math.floor(sy) + k for k in range(1 - reach, reach + 1)]
    by_x = np.array([kernel((k - sx) / stretch) for k in xs])
    by_y = np.array([kernel((k - sy) / stretch) for k in ys])
    window = wide[ys[0] + 40 : ys[-1] + 41, xs[0] + 40 : xs[-1] + 41]
    return by_y @ window @ by_x / by_y.sum() / by_x.sum()


def without_structure(image):
    """About 24 pixels on the shorter side, and larger again."""
    side = max(1, min(image.shape) / 24)
    image = torch.from_numpy(image)[None, None]
    few = F.interpolate(image, [round(n / side) for n in image.shape[2:]], mode="area")
    return F.interpolate(few, image.shape[2:], mode="bicubic")[0, 0].numpy()


def linear(x):
    return max(0.0, 1 - abs(x))


def lanczos(x):
    return np.sinc(x) * np.sinc(x / 3) if abs(x) < 3 else 0.0


def catmull_rom(x):
    x = abs(x)
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x < 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


class TestMoved:
    @pytest.mark.parametrize("size", [(40, 50), (41, 33), (7, 256), (1, 9), (575, 64)])
    @pytest.mark.parametrize("s", [0.05, 0.2])
    def test_the_notebooks(self, size, s):
        image = photo(1, 3, *size)
        theirs = as_scipy(image[0].permute(1, 2, 0).numpy(), s)
        ours = moved(image, Motion(zoom=s, resample="notebook"))[0].permute(1, 2, 0).numpy()
        assert np.abs(ours - theirs).max() <= 6e-8

    def test_the_notebooks_black_outside(self):
        image = photo(1, 3, 20, 30)
        theirs = as_scipy(image[0].permute(1, 2, 0).numpy(), -0.2)
        ours = moved(image, Motion(zoom=-0.2, resample="notebook"))[0].permute(1, 2, 0).numpy()
        assert np.abs(ours - theirs).max() <= 6e-8
        assert not ours[0].any()

    @pytest.mark.parametrize("resample", ["linear", "cubic", "lanczos"])
    @pytest.mark.parametrize(
        "motion",
        [
            {"zoom": 0.05},
            {"zoom": -0.3, "target": (0.1, 0.9)},
            {"zoom": 0.03, "rotate": 7.0, "drift": (0.1, -0.2)},
            {"zoom": -0.4, "rotate": -30.0, "target": (1.0, 0.0)},
        ],
    )
    def test_every_pixel(self, motion, resample):
        image = photo(1, 1, 31, 36).double()
        motion = Motion(resample=resample, **motion)
        ours = moved(image, motion)
        assert np.abs(ours[0, 0].numpy() - by_value(image[0, 0].numpy(), motion)).max() < 1e-12

    def test_which_way(self):
        image = torch.zeros(1, 3, 41, 41)
        image[..., 20, 30] = 1  # right of the middle
        turned = moved(image, Motion(zoom=0, rotate=90, resample="linear"))[0, 0]
        assert turned[30, 20] > 0.99  # below it: clockwise
        assert moved(image, Motion(zoom=0, drift=(5 / 41, 0), resample="linear"))[0, 0, 20, 25] > 0.99
        inwards = moved(image, Motion(zoom=0.5, resample="linear"))[0, 0]
        assert inwards[20, 40] > 0.99
        assert moved(image, Motion(zoom=0.5, target=(30.5 / 41, 0.5)))[0, 0, 20, 30] > 0.99

    @pytest.mark.parametrize("rotate", [0.0, 3.0])
    def test_a_flat_picture_stays(self, rotate):
        flat = torch.full((1, 3, 30, 40), 0.3)
        for zoom_by in (0.1, -0.3):
            assert (moved(flat, Motion(zoom=zoom_by, rotate=rotate)) - 0.3).abs().max() < 1e-6

    def test_shrinking_does_not_alias(self):
        stripes = torch.zeros(1, 1, 64, 64)
        stripes[..., ::2] = 1.0
        shrunk = moved(stripes, Motion(zoom=-0.5))[..., 12:-12, 12:-12]
        assert (shrunk - 0.5).abs().max() < 0.05

    def test_nothing_comes_back_from_outside(self):
        """Mirrored structure would be dreamed on and mirrored again, in rings."""
        noise = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
        shrunk = moved(noise, Motion(zoom=-0.3))
        assert shrunk[..., 24:-24, 24:-24].std() > 3 * shrunk[..., :8].std()

    def test_however_it_lies_in_memory(self):
        image = IMAGE.contiguous(memory_format=torch.channels_last)
        for motion in (Motion(zoom=-0.1), Motion(zoom=-0.1, rotate=3.0)):
            assert torch.equal(moved(image, motion), moved(IMAGE, motion))

    def test_no_motion_changes_nothing(self):
        assert torch.equal(moved(IMAGE, Motion(zoom=0)), IMAGE)
        assert torch.equal(moved(IMAGE, Motion(), 0.0), IMAGE)

    def test_sharper_than_linear(self):
        """Ten times in and out: how much of the finest structure is left."""

        def left(resample):
            image = IMAGE
            for by in (0.05, 1 - 1 / 0.95) * 10:
                image = moved(image, Motion(zoom=by, resample=resample))
            return float((image[..., 1:] - image[..., :-1])[..., 8:-8, 8:-8].abs().mean())

        assert left("lanczos") > left("cubic") > 1.2 * left("linear")


class TestMotion:
    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"zoom": 0.6}, "zoom is 0.6, expected a number -0.5 to 0.5"),
            ({"zoom": math.nan}, "zoom is nan"),
            ({"zoom": "fast"}, "zoom is 'fast'"),
            ({"zoom": True}, "zoom is True"),
            ({"drift": 0.1}, "drift is 0.1, expected two numbers, each -1 to 1"),
            ({"target": (0.5, 1.2)}, "target is"),
            ({"target": (0.5, 0.5, 0.5)}, "target is"),
            ({"easing": "slow"}, "expected one of none, in, out, in-out"),
            ({"easing": []}, "easing is"),
            ({"resample": "nearest"}, "expected one of linear, cubic, lanczos, notebook"),
            ({"steady": 2}, "steady is 2"),
            ({"resample": "notebook", "rotate": 1.0}, "only zooms into the middle"),
        ],
    )
    def test_refused(self, values, said):
        with pytest.raises(PhospheneError, match=said) as caught:
            Motion(**values)
        assert caught.value.code == "E_PARAM"

    def test_speed(self):
        assert {Motion().speed(n, 40) for n in range(40)} == {1.0}
        into = [Motion(easing="in").speed(n, 40) for n in range(40)]
        assert into == sorted(into)
        assert into[0] < 0.05
        assert into[9:] == [1.0] * 31
        assert [Motion(easing="out").speed(39 - 1 - n, 40) for n in range(39)] == into[:39]
        both = [Motion(easing="in-out").speed(n, 40) for n in range(39)]
        assert both == pytest.approx(both[::-1])


class TestZoom:
    def test_is_the_notebooks_loop(self, lens):
        """dream, yield, transform by SciPy; one stream of random numbers for all frames."""
        random = RandomState(CONFIG.seed)
        frame = IMAGE
        for one in made(lens, 3, Zoom(CLASSIC)):
            *_, last = dream(frame, LAYER, lens, CONFIG, random=random)
            assert (one.image - last.full()[0]).abs().max() < 1e-5
            pixels = one.image.permute(1, 2, 0).numpy()
            frame = torch.from_numpy(as_scipy(pixels, 0.05)).permute(2, 0, 1)[None]

    def test_jitter_goes_on(self, lens):
        image = photo(1, 3, 41, 50)
        still = made(lens, 2, Zoom(Motion(zoom=0, steady=0.0)))
        *_, again = dream(still[0].image[None], LAYER, lens, CONFIG)
        assert not torch.equal(again.full()[0], still[1].image)
        *_, one = dream(image, LAYER, lens, CONFIG)
        assert torch.equal(one.full()[0], still[0].image)

    def test_a_generator_of_the_seed_is_no_generator(self, lens):
        *_, one = dream(IMAGE, LAYER, lens, CONFIG)
        *_, other = dream(IMAGE, LAYER, lens, CONFIG, random=RandomState(3))
        assert torch.equal(one.full(), other.full())

    def test_what_a_frame_says(self, lens):
        first, second = made(lens, 2, Zoom(Motion(zoom=0.1)))
        assert (first.number, second.number) == (0, 1)
        assert first.image.shape == (3, 41, 50)
        assert first.gradient_evaluations == second.gradient_evaluations == 4
        assert first.flicker_levels == 0
        carried = moved(first.image[None], Motion(zoom=0.1))
        assert second.flicker_levels == pytest.approx(255 * float((second.image - carried).abs().mean()))

    def test_the_size_is_asked_for_once(self, lens):
        small = CONFIG.but(max_size=100, scale=0.5)
        assert {one.image.shape for one in made(lens, 3, config=small)} == {(3, 20, 25)}

    def test_brightness_stays(self, lens):
        mean = IMAGE.mean((2, 3))
        for one in made(lens, 12, Zoom(Motion(zoom=0.1, rotate=5.0))):
            assert (one.image.mean((1, 2)) - mean).abs().max() < 0.01

    @pytest.mark.parametrize("after", [0, 1, 3])
    @pytest.mark.parametrize("classic", [True, False])
    def test_goes_on_bit_for_bit(self, lens, after, classic, tmp_path):
        way = Zoom(CLASSIC if classic else Motion(zoom=-0.1, rotate=3.0, easing="in"))
        if not classic:
            keys = [{"at": 3, "objective": "0", "steps": 4}]
            line = parse({"keyframe": keys}, CONFIG, way.motion, LAYER, frames=5, fps=1)
            way = Zoom(timeline=line)
        whole = made(lens, 5, way)
        checkpoint.save(tmp_path / "state", whole[after].state, {})
        rest = made(lens, 5, way, state=checkpoint.load(tmp_path / "state", {}))
        assert [one.number for one in rest] == list(range(after + 1, 5))
        for one, other in zip(rest, whole[after + 1 :], strict=True):
            assert torch.equal(one.image, other.image)
            assert (one.flicker_levels, one.gradient_evaluations) == (
                other.flicker_levels,
                other.gradient_evaluations,
            )

    def test_a_drawn_seed_goes_on(self, lens):
        config = CONFIG.but(seed=None)
        whole = made(lens, 3, config=config)
        (last,) = made(lens, 3, config=config, state=whole[1].state)
        assert torch.equal(last.image, whole[2].image)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"image": torch.zeros(1, 3, 5, 5)},
            {"image": torch.full((1, 3, 41, 50), math.nan)},
            {"image": "none"},
            {"random": {}},
            {"next": -1},
            {"next": "1"},
            {"mean": [0.5]},
            {"mean": None},
            {"contrast": "much"},
            {"checkpointing": 1},
            {"tile": True},
        ],
    )
    def test_a_damaged_state(self, lens, wrong):
        (one,) = made(lens, 1)
        with pytest.raises(PhospheneError, match="state is damaged") as caught:
            made(lens, 2, state={**one.state, **wrong})
        assert caught.value.code == "E_CHECKPOINT"

    def test_errors_name_the_frame(self, lens):
        with pytest.raises(PhospheneError, match=r"^frame 0: the gradient of .* is zero") as caught:
            list(zoom(IMAGE, lens, "3 - 3", CONFIG, frames=2))
        assert caught.value.code == "E_ZERO_GRADIENT"

    def test_one_picture_only(self, lens):
        with pytest.raises(PhospheneError, match="expected one picture"):
            made(lens, 2, image=photo(2, 3, 20, 20))
        with pytest.raises(PhospheneError, match="frames is 0"):
            made(lens, 0)

    def test_leaves_nothing_behind(self, lens):
        steps = zoom(IMAGE, lens, LAYER, CONFIG, frames=9)
        next(steps)
        steps.close()
        assert not any(module._forward_hooks for module in lens.module.modules())

    def test_a_mask_stays_where_it_is(self, lens):
        mask = torch.zeros(41, 50)
        mask[:, 25:] = 1
        (one,) = made(lens, 1, Zoom(CLASSIC), mask=mask)
        changed = (one.image - IMAGE[0]).abs()
        assert changed[..., :20].max() < 1e-6
        assert changed[..., 25:].mean() > 0.01
