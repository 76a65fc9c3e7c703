"""Films written: each codec, sound and times as they were, kills at any moment, full disks, refusals."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import reel_run
from PIL import Image

import films
from phosphene import PhospheneError
from phosphene.film import parts
from phosphene.film.kinds import Way, plan
from phosphene.film.reel import Reel, quantised
from phosphene.film.source import look, stills

GOOD = {"crf": "4", "preset": "veryfast", "bf": "2"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return films.make(
        tmp_path_factory.mktemp("film") / "a.mp4", count=30, sound="aac", sounds=2, options=GOOD
    )


def floats(still):
    return still.pixels.astype(np.float32) / np.iinfo(still.pixels.dtype).max


def copy(path, output, *, sound=True, start=0.0, end=None, every=1, identity=None, resume=False, **way):
    """A film copied still by still: the notes."""
    facts = look(path)
    overwrite = way.pop("overwrite", False)
    with Reel(
        output,
        Way.like(facts, **way),
        identity or {},
        sound=facts if sound else None,
        start=start,
        end=end,
        resume=resume,
        overwrite=overwrite,
    ) as reel:
        for still in stills(facts, start=start, end=end, every=every, skip=reel.next):
            reel.add(floats(still), still.pts, still.duration, {"number": still.number})
        return reel.finish()


def times(path):
    facts = look(path)
    return [(still.pts * facts.time_base, still.duration * facts.time_base) for still in stills(facts)]


def error(path, output):
    """The largest mean difference of the stills of two films, in 8-bit levels."""
    pairs = zip(stills(look(path)), stills(look(output)), strict=True)
    return max(255 * np.abs(floats(one) - floats(other)).mean() for one, other in pairs)


class TestCodecs:
    @pytest.mark.parametrize(
        ("name", "codec", "found", "most"),
        [
            ("o.mp4", "", "h264", 2.5),
            ("o.mp4", "h265", "hevc", 2.5),
            ("o.mov", "prores", "prores", 1.5),
            ("o.mkv", "av1", "libdav1d", 3.0),
            ("o.mkv", "ffv1", "ffv1", 1.0),
        ],
    )
    def test_times_sound_and_pictures_are_kept(self, tmp_path, source, name, codec, found, most):
        output = str(tmp_path / name)
        assert copy(source, output, codec=codec) == ()
        facts, was = look(output), look(source)
        assert (facts.codec, facts.width, facts.height) == (found, 160, 90)
        assert facts.rate == was.rate and facts.seconds == pytest.approx(was.seconds, abs=0.002)
        assert times(output) == times(source)
        assert error(source, output) < most
        for track in (0, 1):
            was, now = films.packets(source, index=track), films.packets(output, index=track)
            assert [data for _, data in now] == [data for _, data in was]
            assert all(abs(a - b) <= Fraction(1, 1000) for (a, _), (b, _) in zip(was, now, strict=True))
            assert name.endswith("mkv") or now == was
        assert [one.name for one in tmp_path.iterdir()] == [name]

    def test_nothing_is_said_on_the_way(self, tmp_path, source, capfd):
        for codec in ("h265", "av1"):
            copy(source, str(tmp_path / f"{codec}.mp4"), codec=codec)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(("bits", "size"), [(8, (160, 90)), (8, (161, 91)), (10, (160, 90))])
    def test_lossless_is_exact(self, tmp_path, bits, size):
        output, rng = str(tmp_path / "o.mkv"), np.random.default_rng(0)
        levels = rng.integers(0, 2**bits, (26, size[1], size[0], 3))
        with Reel(output, Way(*size, codec="ffv1", bits=bits), {}) as reel:
            for i, still in enumerate(levels):
                reel.add((still / (2**bits - 1)).astype(np.float32), 3600 * i, 3600, {})
            reel.finish()
        found = np.stack([still.pixels for still in stills(look(output))])
        np.testing.assert_array_equal(found if bits == 8 else found >> 6, levels)

    def test_ten_bits_stay(self, tmp_path):
        options = {"crf": "4", "x265-params": "log-level=none:pools=1"}
        path = films.make(tmp_path / "a.mp4", "libx265", pix_fmt="yuv420p10le", options=options)
        for codec in ("h264", "h265"):
            copy(path, str(tmp_path / "o.mp4"), codec=codec, overwrite=True)
            assert look(tmp_path / "o.mp4").pix_fmt == "yuv420p10le"
            assert error(path, tmp_path / "o.mp4") < 2.5


class TestKept:
    @pytest.mark.parametrize("rotation", [90, 180, -90])
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_rotation(self, tmp_path, rotation, suffix):
        path = films.make(tmp_path / "a.mp4", rotation=rotation, options=GOOD)
        copy(path, str(tmp_path / f"o{suffix}"))
        facts = look(tmp_path / f"o{suffix}")
        assert facts.rotation == rotation % 360
        assert error(path, tmp_path / f"o{suffix}") < 2.5

    def test_an_odd_size(self, tmp_path):
        path = films.make(tmp_path / "a.mkv", "ffv1", size=(161, 91), pix_fmt="yuv420p")
        (note,) = copy(path, str(tmp_path / "o.mp4"))
        assert "4:4:4" in note
        facts = look(tmp_path / "o.mp4")
        assert (facts.width, facts.height, facts.pix_fmt) == (161, 91, "yuv444p")
        assert copy(path, str(tmp_path / "o.mkv"), codec="ffv1") == ()
        assert look(tmp_path / "o.mkv").pix_fmt == "yuv420p"

    @pytest.mark.parametrize("codec", ["h264", "h265", "ffv1"])
    @pytest.mark.parametrize(("matrix", "full"), [(1, 1), (1, 2), (6, 1), (9, 1)])
    def test_colours(self, tmp_path, codec, matrix, full):
        path = films.make(tmp_path / "a.mp4", count=3, color=matrix, range_=full, options=GOOD)
        output = tmp_path / ("o.mkv" if codec == "ffv1" else "o.mp4")
        copy(path, str(output), codec=codec)
        assert look(output).color == look(path).color
        assert error(path, output) < 2.5

    def test_uneven_times_and_the_shape_of_pixels(self, tmp_path):
        ticks = (0, 40, 81, 100, 160, 200, 207, 300, 333, 366, 400, 500)
        path = films.make(
            tmp_path / "a.mkv", base=Fraction(1, 1000), times=ticks, options=GOOD, sar=Fraction(4, 3)
        )
        for name in ("o.mp4", "o.mkv"):
            copy(path, str(tmp_path / name))
            assert times(tmp_path / name)[:-1] == times(path)[:-1]
            assert look(tmp_path / name).sample_aspect_ratio == Fraction(4, 3)

    def test_pixels_that_are_not_square(self, tmp_path):
        path = films.make(tmp_path / "a.mp4", count=2, sar=Fraction(4, 3), options=GOOD)
        for name, codec in (("o.mov", "prores"), ("o.mp4", "av1"), ("o.mkv", "h265")):
            assert copy(path, str(tmp_path / name), codec=codec) == ()
            assert look(tmp_path / name).sample_aspect_ratio == Fraction(4, 3)
        (note,) = copy(path, str(tmp_path / "b.mkv"), codec="ffv1")
        assert "square" in note

    def test_an_avi_has_one_rate(self, tmp_path, source):
        copy(source, str(tmp_path / "o.avi"))
        assert len(films.decoded(tmp_path / "o.avi")) == 30
        assert error(source, tmp_path / "o.avi") < 2.5
        uneven = films.make(
            tmp_path / "a.mkv", count=3, base=Fraction(1, 1000), times=(0, 40, 200), options=GOOD
        )
        (note,) = copy(uneven, str(tmp_path / "u.avi"), codec="ffv1")
        assert "one frame rate" in note

    def test_a_piece_of_a_film(self, tmp_path, source):
        copy(source, str(tmp_path / "o.mp4"), start=0.4, end=0.8)
        assert [pts for pts, _ in times(tmp_path / "o.mp4")] == [Fraction(i, 25) for i in range(10)]
        sound = films.packets(tmp_path / "o.mp4")
        was = [(at - Fraction(2, 5), data) for at, data in films.packets(source) if 0.4 <= at < 0.8]
        assert [data for _, data in sound] == [data for _, data in was]
        assert all(abs(a - b) < Fraction(1, 48000) for (a, _), (b, _) in zip(sound, was, strict=True))

    def test_every_other_still(self, tmp_path, source):
        copy(source, str(tmp_path / "o.mp4"), every=2)
        assert times(tmp_path / "o.mp4") == [(Fraction(2 * i, 25), Fraction(2, 25)) for i in range(15)]

    def test_the_recipe_and_the_title(self, tmp_path, source):
        facts = look(source)
        way = Way.like(facts, metadata={"title": "a pan", "encoder": "x"}, recipe='{"steps": 3}')
        with Reel(tmp_path / "o.mp4", way, {}) as reel:
            reel.add(np.zeros((90, 160, 3), np.float32), 0, 512, {})
            reel.finish('{"steps": 4}')
        found = look(tmp_path / "o.mp4").metadata
        assert json.loads(found["comment"]) == {"steps": 4}
        assert found["title"] == "a pan"

    def test_languages(self, tmp_path):
        path = films.make(tmp_path / "a.mkv", sound="libopus", languages=("fra",), options=GOOD)
        copy(path, str(tmp_path / "o.mp4"))
        with av.open(str(tmp_path / "o.mp4")) as film:
            assert film.streams.audio[0].language == "fra"


class TestAnimations:
    def test_gif_and_webp(self, tmp_path, source):
        for name in ("o.gif", "o.webp"):
            notes = copy(source, str(tmp_path / name))
            assert any("no sound" in note for note in notes)
            with Image.open(tmp_path / name) as image:
                assert (image.n_frames, image.info["loop"], image.size) == (30, 0, (160, 90))
                for index, true in enumerate(films.pan(30)):
                    image.seek(index)
                    assert np.abs(np.asarray(image.convert("RGB")).astype(float) - true).mean() < 7
                    assert image.info["duration"] == 40

    def test_numbered_pictures(self, tmp_path, source):
        for output, name in ((f"{tmp_path}/all/", "all/%06d.png"), (f"{tmp_path}/s-%03d.png", "s-%03d.png")):
            copy(source, output)
            for still in stills(look(source)):
                with Image.open(tmp_path / (name % still.number)) as image:
                    np.testing.assert_array_equal(np.asarray(image), still.pixels)
            with pytest.raises(PhospheneError, match="numbered pictures already"):
                copy(source, output)
            copy(source, output, end=0.4, overwrite=True)
            assert len(list((tmp_path / name).parent.glob("*.png"))) == 10
        assert not list(tmp_path.glob("*.parts"))


class StoppedError(Exception):
    pass


def half(path, output, count, state=None):
    """Begin a copy and leave it after `count` stills."""
    facts = look(path)
    with pytest.raises(StoppedError), Reel(output, Way.like(facts), {"a": 1}, sound=facts) as reel:
        for still in stills(facts):
            reel.add(floats(still), still.pts, still.duration, {"number": still.number})
            if still.number == count - 1:
                raise StoppedError


class TestGoingOn:
    @pytest.mark.parametrize("count", [1, 23, 24, 25, 30])
    def test_as_if_nothing_had_happened(self, tmp_path, source, count):
        copy(source, str(tmp_path / "whole.mp4"), identity={"a": 1})
        half(source, tmp_path / "o.mp4", count)
        assert not (tmp_path / "o.mp4").exists()
        with Reel(
            tmp_path / "o.mp4", Way.like(look(source)), {"a": 1}, sound=look(source), resume=True
        ) as reel:
            assert (reel.next, reel.state) == (count, {"number": count - 1})
        copy(source, str(tmp_path / "o.mp4"), identity={"a": 1}, resume=True)
        assert (tmp_path / "o.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
        assert {one.name for one in tmp_path.iterdir()} == {"o.mp4", "whole.mp4"}

    def test_numbered_pictures_too(self, tmp_path, source):
        half(source, f"{tmp_path}/all/", 7)
        (tmp_path / "all" / "000007.png").write_bytes(b"torn")
        copy(source, f"{tmp_path}/all/", identity={"a": 1}, resume=True)
        assert len(list((tmp_path / "all").iterdir())) == 30
        with Image.open(tmp_path / "all" / "000007.png") as image:
            image.load()

    def test_killed_at_any_moment(self, tmp_path, source):
        """At least twelve times, at random; looked at in between."""
        whole, output = tmp_path / "whole.mkv", tmp_path / "o.mkv"
        reel_run.run(source, str(whole), resume=False)
        chance, kills, seen = random.Random(7), 0, []
        server = subprocess.Popen(
            [sys.executable, reel_run.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        with server:
            while kills < 12:
                server.stdin.write(f"{source}\t{output}\t0.02\n")
                server.stdin.flush()
                child = int(server.stdout.readline())
                time.sleep(chance.uniform(0.03, 0.4))
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                status = int(server.stdout.readline())
                kills += status == -signal.SIGKILL
                unfinished = Path(f"{output}.parts", "so-far.mkv")
                if unfinished.exists():
                    seen.append(len(films.decoded(unfinished)))
                if output.exists():
                    assert films.packets(output, "video") == films.packets(whole, "video")
                    output.unlink()
            server.stdin.close()
        reel_run.run(source, str(output))
        for kind in ("video", "audio"):
            assert films.packets(output, kind) == films.packets(whole, kind)
        assert not Path(f"{output}.parts").exists()
        assert all(count >= 23 for count in seen)

    def test_stopped_it_can_be_looked_at(self, tmp_path, source):
        facts = look(source)
        with Reel(tmp_path / "o.mp4", Way.like(facts), {"a": 1}, sound=facts) as reel:
            for still in stills(facts, end=1.08):
                reel.add(floats(still), still.pts, still.duration, {"number": still.number})
            unfinished = reel.stop()
        assert len(films.decoded(unfinished)) == 27
        copy(source, str(tmp_path / "o.mp4"), identity={"a": 1}, resume=True)
        copy(source, str(tmp_path / "whole.mp4"), identity={"a": 1})
        assert (tmp_path / "o.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()

    def test_killed_when_the_film_had_just_appeared(self, tmp_path, source, monkeypatch):
        monkeypatch.setattr(parts.Parts, "remove", lambda self: None)
        copy(source, str(tmp_path / "o.mp4"))
        monkeypatch.undo()
        copy(source, str(tmp_path / "o.mp4"), resume=True)
        assert [one.name for one in tmp_path.iterdir()] == ["o.mp4"]


class TestRefused:
    def code(self, *args, **more):
        with pytest.raises(PhospheneError) as caught:
            copy(*args, **more)
        return caught.value.code, str(caught.value)

    def test_what_is_there(self, tmp_path, source):
        (tmp_path / "o.mp4").write_bytes(b"mine")
        assert self.code(source, str(tmp_path / "o.mp4"))[0] == "E_EXISTS"
        assert (tmp_path / "o.mp4").read_bytes() == b"mine"
        copy(source, str(tmp_path / "o.mp4"), overwrite=True)
        assert len(times(tmp_path / "o.mp4")) == 30

    def test_an_unfinished_film(self, tmp_path, source):
        half(source, tmp_path / "o.mp4", 5)
        code, text = self.code(source, str(tmp_path / "o.mp4"), identity={"a": 1})
        assert code == "E_EXISTS" and "--resume" in text and "--overwrite" in text
        code, text = self.code(source, str(tmp_path / "o.mp4"), identity={"a": 2}, resume=True)
        assert code == "E_CHECKPOINT" and "a: then 1, now 2" in text
        code, text = self.code(source, str(tmp_path / "o.mp4"), identity={"a": 1}, resume=True, codec="h265")
        assert code == "E_CHECKPOINT" and "codec" in text
        copy(source, str(tmp_path / "o.mp4"), overwrite=True)
        assert [one.name for one in tmp_path.iterdir()] == ["o.mp4"]

    def test_nothing_to_resume_is_a_beginning(self, tmp_path, source):
        (note,) = copy(source, str(tmp_path / "o.mp4"), resume=True)
        assert "begun" in note

    @pytest.mark.parametrize(
        ("name", "way", "words"),
        [
            ("o.txt", {}, ".mp4"),
            ("o", {}, ".mp4"),
            ("o.mp4", {"codec": "prores"}, ".mov"),
            ("o.webm", {"sound": True}, "aac"),
            ("o.mov", {"codec": "prores", "width": 161}, "even"),
            ("o.mp4", {"codec": "av1", "width": 161}, "even"),
        ],
    )
    def test_what_cannot_be(self, tmp_path, source, name, way, words):
        code, text = self.code(source, str(tmp_path / name), **{"sound": False, **way})
        assert code == "E_FORMAT" and words in text
        assert not list(tmp_path.iterdir())

    def test_no_folder_and_no_stills(self, tmp_path, source):
        assert self.code(source, str(tmp_path / "no" / "o.mp4"))[0] == "E_OUTPUT"
        assert self.code(source, str(tmp_path / "o.mp4"), start=99)[0] == "E_INPUT"
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("where", ["write", "state", "part", "finish"])
    def test_a_full_disk(self, tmp_path, source, where, monkeypatch):
        def full(*_, **__):
            raise OSError(errno.ENOSPC, "no space")

        target = {
            "write": (parts.os, "fsync"),
            "state": (parts.checkpoint, "save"),
            "part": (parts.atomic, "publish"),
            "finish": (parts.Parts, "pieces"),
        }[where]
        with monkeypatch.context() as patch:
            patch.setattr(*target, full)
            code, text = self.code(source, str(tmp_path / "o.mp4"), identity={"a": 1})
        assert code == "E_DISK" and "--resume" in text
        assert not (tmp_path / "o.mp4").exists()
        copy(source, str(tmp_path / "o.mp4"), identity={"a": 1}, resume=True)
        copy(source, str(tmp_path / "whole.mp4"), identity={"a": 1})
        assert (tmp_path / "o.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "halved"),
    [
        ("o.mp4", "", "yuv420p", True),
        ("o.mp4", "", "bgr0", True),
        ("o.mp4", "h265", "yuv444p", False),
        ("o.mov", "prores", "yuv444p", True),
        ("o.mkv", "ffv1", "bgr0", False),
        ("o.mkv", "ffv1", "yuv420p10le", True),
        ("o-%d.png", "", "yuv420p", False),
        ("o.webp", "", "bgr0", True),
    ],
)
def test_whether_colours_are_stored_at_half_the_size(name, codec, pix_fmt, halved):
    assert plan(name, Way(160, 90, codec=codec, pix_fmt=pix_fmt)).halved is halved


def test_levels_are_rounded():
    levels = np.array([-1, 0, 0.5 / 255 - 1e-4, 0.5 / 255 + 1e-4, 1, 2], np.float32)
    assert quantised(levels, 8).tolist() == [0, 0, 0, 1, 255, 255]
    assert quantised(levels, 16)[4] == 65535
    assert replace(Way(2, 2), bits=10).bits == 10
