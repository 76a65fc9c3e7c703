"""Films as they are: what they say of themselves, their stills, times and colours; damage; no films."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

import films
from phosphene import PhospheneError
from phosphene.film.convert import Color, Frames, Pixels
from phosphene.film.source import look, stills

GOOD = {"crf": "4", "preset": "veryfast", "bf": "2"}
SILENT = {"crf": "4", "preset": "ultrafast", "x265-params": "log-level=none:pools=1"}
KINDS = {  # name: what makes it, the error in 8-bit levels that its codec is allowed
    "h264.mp4": ({"sound": "aac", "options": GOOD}, 2.5),
    "h264_601.mp4": ({"color": 6, "range_": 1, "options": GOOD}, 2.5),
    "h264_709.mp4": ({"color": 1, "range_": 1, "options": GOOD}, 2.5),
    "full.mp4": ({"color": 1, "range_": 2, "options": GOOD}, 2.5),
    "odd.mkv": ({"codec": "ffv1", "size": (161, 91), "pix_fmt": "yuv444p"}, 1.0),
    "hevc10.mp4": ({"codec": "libx265", "pix_fmt": "yuv420p10le", "options": SILENT}, 2.5),
    "mpeg4.avi": ({"codec": "mpeg4", "options": {"flags": "+qscale", "global_quality": "236"}}, 4.0),
    "vp9.webm": ({"codec": "libvpx-vp9", "sound": "libopus", "options": {"crf": "8", "cpu-used": "8"}}, 2.5),
    "prores.mov": ({"codec": "prores_ks", "pix_fmt": "yuv422p10le"}, 2.0),
    "rgb.mkv": ({"codec": "ffv1", "pix_fmt": "bgr0"}, 0.0),
}


def made(tmp_path, name, **more):
    codec = more.pop("codec", "libx264")
    return films.make(tmp_path / name, codec, **more)


def rgb(still):
    return still.pixels / (1 if still.pixels.dtype == np.uint8 else 257)


@pytest.mark.parametrize("name", KINDS)
def test_stills_are_those_that_were_filmed(tmp_path, name):
    more, error = KINDS[name]
    facts = look(made(tmp_path, name, **more))
    found = list(stills(facts))
    width, height = more.get("size", (160, 90))
    assert (facts.width, facts.height) == (width, height)
    assert [still.number for still in found] == list(range(12))
    for still, true in zip(found, films.pan(12, width, height), strict=True):
        assert still.pixels.dtype == (np.uint16 if "10le" in more.get("pix_fmt", "") else np.uint8)
        assert np.abs(rgb(still) - true).mean() <= error
        assert abs((rgb(still) - true).mean()) < 1
    times = [
        ((still.pts - facts.start) * facts.time_base, still.duration * facts.time_base) for still in found
    ]
    assert times == [(Fraction(i, 25), Fraction(1, 25)) for i in range(12)]


def test_a_film_says_what_it_is(tmp_path):
    facts = look(made(tmp_path, "a.mp4", sound="aac", sounds=2, color=1, range_=2, sar=Fraction(4, 3)))
    assert (facts.codec, facts.bits, facts.rate, facts.frames) == ("h264", 8, 25, 12)
    assert facts.color == Color(1, 1, 1, 2)
    assert facts.audio == ("aac", "aac")
    assert facts.sample_aspect_ratio == Fraction(4, 3)
    assert facts.seconds == pytest.approx(0.48)
    deep = look(made(tmp_path, "b.mp4", **KINDS["hevc10.mp4"][0]))
    assert (deep.codec, deep.bits, deep.pix_fmt, deep.audio) == ("hevc", 10, "yuv420p10le", ())


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_turned_film_stands_upright(tmp_path, rotation):
    facts = look(made(tmp_path, "a.mp4", rotation=rotation, options=GOOD))
    assert facts.rotation == rotation % 360
    assert (facts.width, facts.height) == ((90, 160) if rotation % 180 else (160, 90))
    for still, true in zip(stills(facts), films.pan(12), strict=True):
        assert np.abs(still.pixels - np.rot90(true, rotation // 90).astype(float)).mean() < 2.5
    small = next(stills(facts, size=(facts.height // 2, facts.width // 2)))
    assert small.pixels.shape == (facts.height // 2, facts.width // 2, 3)


class TestTimes:
    TIMES = (0, 40, 81, 100, 160, 200, 207, 300, 333, 366, 400, 500)

    @pytest.fixture
    def uneven(self, tmp_path):
        return look(made(tmp_path, "v.mkv", base=Fraction(1, 1000), times=self.TIMES, options=GOOD))

    def test_uneven_times_are_kept(self, uneven):
        found = list(stills(uneven))
        assert tuple(still.pts for still in found) == self.TIMES
        assert [still.duration for still in found[:-1]] == list(np.diff(self.TIMES))

    def test_every_third_lasts_until_the_next(self, uneven):
        found = list(stills(uneven, every=3))
        assert [still.number for still in found] == [0, 1, 2, 3]
        assert [still.pts for still in found] == [0, 100, 207, 366]
        assert [still.duration for still in found[:-1]] == [100, 107, 159]

    def test_from_here_to_there(self, uneven):
        all_of_it = list(stills(uneven))
        some = list(stills(uneven, start=0.1, end=0.34))
        assert [(still.pts, still.duration) for still in some] == [
            (still.pts, still.duration) for still in all_of_it[3:9]
        ]
        assert [still.number for still in some] == list(range(6))
        for one, other in zip(some, all_of_it[3:9], strict=True):
            np.testing.assert_array_equal(one.pixels, other.pixels)

    def test_what_was_done_is_skipped(self, uneven):
        all_of_it = list(stills(uneven, every=2))
        for skip in (0, 1, 5, 6, 9):
            rest = list(stills(uneven, every=2, skip=skip))
            assert [(s.number, s.pts) for s in rest] == [(s.number, s.pts) for s in all_of_it[skip:]]
            assert all((a.pixels == b.pixels).all() for a, b in zip(rest, all_of_it[skip:], strict=True))


class TestDamage:
    def test_in_the_middle(self, tmp_path):
        path = made(
            tmp_path, "a.mp4", count=60, options={**GOOD, "g": "10", "x264-params": "repeat-headers=1"}
        )
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + len(data) // 12] = np.random.default_rng(0).bytes(len(data) // 12)
        path.write_bytes(data)
        notes = []
        found = list(stills(look(path), notes=notes))
        assert 40 <= len(found) <= 60
        assert notes and all(note[0].isdigit() for note in notes)
        assert found[-1].pts + found[-1].duration == 60 * 512
        assert all(a.pts + a.duration == b.pts for a, b in itertools.pairwise(found))

    def test_cut_off(self, tmp_path):
        path = made(tmp_path, "a.mkv", count=60, options=GOOD)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert 10 < len(list(stills(look(path)))) < 60


class TestNoFilms:
    def refused(self, path, code, *words):
        with pytest.raises(PhospheneError) as caught:
            look(path)
        assert caught.value.code == code
        assert all(word in str(caught.value) for word in words)

    def test_not_there(self, tmp_path):
        self.refused(tmp_path / "a.mp4", "E_INPUT", "no such file")
        self.refused(tmp_path, "E_INPUT", "folder")

    def test_empty(self, tmp_path):
        (tmp_path / "a.mp4").write_bytes(b"")
        self.refused(tmp_path / "a.mp4", "E_DECODE", "empty")

    def test_noise_and_text(self, tmp_path):
        (tmp_path / "a.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
        self.refused(tmp_path / "a.mp4", "E_DECODE")
        (tmp_path / "a.txt").write_text("a film, they say\n" * 20)
        self.refused(tmp_path / "a.txt", "E_DECODE")
        (tmp_path / "b.mp4").write_bytes(made(tmp_path, "a.mp4").read_bytes()[:2000])
        self.refused(tmp_path / "b.mp4", "E_DECODE")

    def test_a_picture(self, tmp_path):
        from PIL import Image

        Image.fromarray(films.photo(64, 48)).save(tmp_path / "a.mp4", "png")
        self.refused(tmp_path / "a.mp4", "E_FORMAT", "phosphene dream")

    def test_a_playlist_leads_nowhere(self, tmp_path):
        made(tmp_path, "a.mp4")
        (tmp_path / "l.mp4").write_text(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n"
        )
        with pytest.raises(PhospheneError):
            look(tmp_path / "l.mp4")

    def test_sound_alone(self, tmp_path):
        with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as film:
            track = film.add_stream("aac", rate=48000, layout="mono")
            for i in range(5):
                film.mux(track.encode(films._tone(i, 5, 25, 0)))
            film.mux(track.encode())
        self.refused(tmp_path / "a.m4a", "E_FORMAT", "audio")


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [1, 2])
@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le"])
def test_colours_are_as_the_standards_have_them(matrix, full, pix_fmt):
    """Against the formulas of Rec. 601, 709 and 2020."""
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    bits = 10 if "10" in pix_fmt else 8
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 2 ** (16 if bits > 8 else 8), (32, 48, 3)).astype(
        np.uint16 if bits > 8 else np.uint8
    )
    r, g, b = np.moveaxis(pixels / float(np.iinfo(pixels.dtype).max), -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    scale, most = 2 ** (bits - 8), 2**bits - 1
    if full == 2:
        true = y * most, cb * most + 128 * scale, cr * most + 128 * scale
    else:
        true = (16 + 219 * y) * scale, (128 + 224 * cb) * scale, (128 + 224 * cr) * scale
    color = Color(1, 1, matrix, full)
    frame = Frames(color, 32, 0, pix_fmt)(pixels)
    for plane, true_plane in zip(frame.planes, true, strict=True):
        kind = np.uint8 if bits == 8 else np.uint16
        found = np.frombuffer(plane, kind).reshape(32, plane.line_size // kind().itemsize)[:, :48]
        assert np.abs(found - np.clip(true_plane, 0, most)).mean() < (
            0.6 if full == 2 or bits == 10 else 0.35
        )
    again = Pixels(color, 32, 0)(frame, bits)
    assert np.abs(again.astype(float) - pixels).mean() / np.iinfo(pixels.dtype).max < 1.2 / 255
