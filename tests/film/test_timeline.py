"""Timelines: values between keyframes, times, cross-fades, and what is refused in one line."""

import tomllib

import pytest
import torch

from networks import photo, strided
from phosphene import expression
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.film import timeline
from phosphene.film.motion import Motion
from phosphene.film.zoom import Zoom, zoom
from phosphene.lens import Lens

CONFIG = Dream(octaves=2, steps=10, jitter=8, seed=3, objective="a")


def parse(text, frames=101, fps=10.0, motion=Motion(), objective="a"):  # noqa: B008
    return timeline.parse(
        tomllib.loads(text), CONFIG, motion, objective, frames=frames, fps=fps, where="its.toml"
    )


def keys(*tables):
    return "\n".join(f"[[keyframe]]\n{table}\n" for table in tables)


def refused(text):
    with pytest.raises(PhospheneError) as caught:
        parse(text)
    assert caught.value.code == "E_PARAM"
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestTimes:
    @pytest.mark.parametrize(
        ("at", "frame"),
        [("12", 12), ('"12"', 12), ('"2.5s"', 25), ('"2.5 s"', 25), ('"50%"', 50), ('"100%"', 100), ("0", 0)],
    )
    def test_frames_seconds_and_percent(self, at, frame):
        assert parse(keys(f"at = {at}\nsteps = 4")).keys[0].frame == frame

    @pytest.mark.parametrize(
        "at", ["-1", '"-1s"', '"soon"', "2.5", '"2.5"', "true", "[]", '"1e3s"', '"9999999999s"']
    )
    def test_what_is_no_time(self, at):
        assert refused(keys(f"at = {at}\nsteps = 4")).startswith("its.toml: keyframe 1: at is")

    def test_order_does_not_matter(self):
        late, early = "at = 90\nsteps = 20", "at = 10\nsteps = 4"
        assert parse(keys(late, early)).keys == parse(keys(early, late)).keys


class TestValues:
    def test_numbers_from_the_film_s_own(self):
        line = parse(keys("at = 50\nstep_size = 4.0\nzoom = -0.05", "at = 100\nzoom = 0.1"))
        for frame in range(101):
            config, motion, _ = line.at(frame)
            assert config.step_size == pytest.approx(2 + 2 * min(frame, 50) / 50)
            expected = 0.05 - 0.1 * frame / 50 if frame <= 50 else -0.05 + 0.15 * (frame - 50) / 50
            assert motion.zoom == pytest.approx(expected)

    def test_whole_numbers_are_rounded(self):
        line = parse(keys("at = 10\nsteps = 13"))
        assert [line.at(n)[0].steps for n in (0, 1, 2, 4, 5, 6, 10, 99)] == [10, 10, 11, 11, 12, 12, 13, 13]

    def test_pairs(self):
        line = parse(keys("at = 10\ntarget = [0.0, 1.0]\ndrift = [0.1, 0]"))
        assert line.at(5)[1].target == (0.25, 0.75)
        assert line.at(5)[1].drift == pytest.approx((0.05, 0.0))

    def test_text_and_switches_change_at_the_keyframe(self):
        line = parse(keys('at = 10\nbalance = false\nresample = "cubic"\noctaves = 4'))
        before, after = line.at(9), line.at(10)
        assert (before[0].balance, before[1].resample, before[0].octaves) == (True, "lanczos", 2)
        assert (after[0].balance, after[1].resample, after[0].octaves) == (False, "cubic", 4)

    def test_what_the_first_keyframe_says_holds_from_the_start(self):
        line = parse(keys("at = 0\nsteps = 3", "at = 10\nsteps = 13"))
        assert line.at(0)[0].steps == 3
        assert line.at(5)[0].steps == 8

    @pytest.mark.parametrize(
        ("easing", "half", "quarter"),
        [("none", 0.5, 0.25), ("in", 0.25, 0.0625), ("out", 0.75, 0.4375), ("in-out", 0.5, 0.15625)],
    )
    def test_easing(self, easing, half, quarter):
        line = parse(keys(f'at = 20\nrotate = 1.0\neasing = "{easing}"'))
        assert line.at(10)[1].rotate == pytest.approx(half)
        assert line.at(5)[1].rotate == pytest.approx(quarter)
        assert line.at(20)[1].rotate == 1

    def test_objectives_are_cross_faded(self):
        line = parse(keys('at = 10\nobjective = "b:3 + 0.5*c"', 'at = 20\nobjective = "c"'))
        texts = [line.at(n)[2].text for n in (0, 5, 10, 15, 20, 30)]
        assert texts == ["a", "0.5*a + 0.5*b:3 + 0.25*c", "b:3 + 0.5*c", "0.5*b:3 + 0.25*c + 0.5*c", "c", "c"]

    def test_an_objective_that_stays_is_one(self):
        line = parse(keys('at = 10\nobjective = "b"', 'at = 20\nobjective = "b"'))
        assert line.at(15)[2].text == "b"

    def test_objectives_are_bound_once(self):
        lens = Lens(strided())
        line = parse(keys('at = 10\nobjective = "3"'), objective=expression.parse("0")).bound(lens)
        assert line.at(5)[2].layers == {"0", "3"}
        with pytest.raises(PhospheneError) as caught:
            parse(keys('at = 10\nobjective = "nowhere"'), objective="0").bound(lens)
        assert caught.value.code == "E_LAYER"

    def test_a_film_of_it(self, one_thread):
        lens, image = Lens(strided()), photo(1, 3, 40, 40)
        text = keys('at = 2\nobjective = "0"\nsteps = 2', "at = 3\nzoom = 0.2")
        line = timeline.parse(
            tomllib.loads(text), CONFIG.but(steps=4), Motion(), "3", frames=5, fps=1, where="t"
        )
        film = list(zoom(image, lens, "3", CONFIG, Zoom(timeline=line), frames=5))
        assert [one.gradient_evaluations for one in film] == [8, 6, 4, 4, 4]
        plain = list(zoom(image, lens, "3", CONFIG.but(steps=4), frames=2))
        assert torch.equal(film[0].image, plain[0].image)
        assert not torch.equal(film[1].image, plain[1].image)

    def test_another_param_and_its_rate(self, one_thread):
        lens, image = Lens(strided()), photo(1, 3, 40, 40)
        text = keys('at = 1\nparam = "fourier"\nrate = 0.01', "at = 3\nrate = 0.03\naverage = 0.5")
        line = timeline.parse(tomllib.loads(text), CONFIG, Motion(), "3", frames=4, fps=1, where="t")
        settings = [line.at(frame)[0] for frame in range(4)]
        assert [one.param for one in settings] == ["pixel", "fourier", "fourier", "fourier"]
        assert [one.rate for one in settings] == pytest.approx([0.0, 0.01, 0.02, 0.03])
        assert [one.average for one in settings] == pytest.approx([0.0, 1 / 6, 1 / 3, 0.5])
        film = list(zoom(image, lens, "3", CONFIG, Zoom(timeline=line), frames=4))
        plain = list(zoom(image, lens, "3", CONFIG, frames=2))
        assert torch.equal(film[0].image, plain[0].image)
        assert not torch.equal(film[1].image, plain[1].image)


class TestRefused:
    @pytest.mark.parametrize(
        "setting",
        ['model = "x"', 'device = "cpu"', 'dtype = "float16"', "max_size = 3", "seed = 1", "tile = 9"],
    )
    def test_what_can_t_change(self, setting):
        said = refused(keys(f"at = 3\n{setting}"))
        assert said == f"its.toml: keyframe 1: {setting.split()[0]} can't change within a film"

    def test_a_guide(self):
        assert 'say objective = "guide(FILE, LAYER)"' in refused(keys('at = 3\nguide = "a.jpg"'))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "got none, expected [[keyframe]] tables"),
            ("steps = 3", "got 'steps', expected [[keyframe]]"),
            ("keyframe = 3", "expected [[keyframe]] tables"),
            ("keyframe = [3]", "keyframe 1: has no `at`"),
            (keys("steps = 3"), "keyframe 1: has no `at`"),
            (keys("at = 1\nsteps = 0"), "keyframe 1: steps is 0, expected a whole number at least 1"),
            (
                keys("at = 1\nsteps = 2", "at = 5\nzom = 1"),
                "keyframe 2: there is no setting 'zom'; the nearest",
            ),
            (keys("at = 1\nzoom = 2"), "keyframe 1: zoom is 2, expected a number -0.5 to 0.5"),
            (keys('at = 1\nobjective = "a +"'), "keyframe 1: objective"),
            (keys("at = 1\nobjective = 3"), "keyframe 1: objective is 3"),
            (keys("at = 1\nsteps = 3\neasing = 4"), "keyframe 1: easing is 4, expected one of none, in"),
            (keys("at = 1\nsteps = 3", 'at = "0.1s"\nsteps = 4'), "two keyframes are at frame 1"),
        ],
    )
    def test_in_one_line(self, text, said):
        assert said in refused(text)


class TestFiles:
    def read(self, path):
        return timeline.read(path, CONFIG, Motion(), "a", frames=10, fps=5)

    def test_read(self, tmp_path):
        path = tmp_path / "film.toml"
        path.write_text(keys('at = "1s"\nsteps = 20'))
        assert self.read(path).at(5)[0].steps == 20

    @pytest.mark.parametrize("content", [b"at at", b"\xff\xfe", b"a = " + b"[" * 50_000, b"#" * 1_000_001])
    def test_no_timeline(self, tmp_path, content):
        path = tmp_path / "film.toml"
        path.write_bytes(content)
        with pytest.raises(PhospheneError, match=r"film\.toml: ") as caught:
            self.read(path)
        assert caught.value.code == "E_PARAM"

    def test_no_file(self, tmp_path):
        with pytest.raises(PhospheneError, match="give a readable TOML file") as caught:
            self.read(tmp_path / "none.toml")
        assert caught.value.code == "E_INPUT"
