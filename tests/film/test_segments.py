"""A film in pieces, dreamed apart and joined, is the film dreamed as one."""

import av
import numpy as np
import pytest
from skimage import data
from skimage.transform import resize

from phosphene.errors import PhospheneError
from phosphene.film.kinds import Way
from phosphene.film.reel import Reel
from phosphene.film.segments import Segment, joined, segments
from phosphene.film.source import look, stills

SIZE = 64, 96


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two scenes of six stills, with sound."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=25, options={"crf": "12"})
        picture.width, picture.height, picture.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        sound = out.add_stream("aac", rate=44100)
        for name in ("coffee", "rocket"):
            photo = (resize(getattr(data, name)()[..., :3], (100, 150)) * 255).astype(np.uint8)
            for number in range(6):
                pixels = np.ascontiguousarray(photo[10 : 10 + SIZE[0], number : number + SIZE[1]])
                out.mux(picture.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(picture.encode(None))
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 44100, 1024 * number
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return look(path)


def made(facts, output, start=0.0, end=None):
    """As `video` writes it: here every still is its own negative."""
    with Reel(output, Way.like(facts), {}, sound=facts, start=start, end=end) as reel:
        for still in stills(facts, start=start, end=end):
            reel.add(1 - still.pixels.astype(np.float32) / 255, still.pts, still.duration, {"n": 0})
        reel.finish()
    return output


def decoded(path, kind):
    with av.open(str(path)) as film:
        return [(f.pts * f.time_base, f.to_ndarray()) for f in film.decode(**{kind: 0})]


def test_pieces_begin_at_cuts(film):
    first, second = segments(film)
    assert (first.start, first.frames, second.end, second.frames) == (0.0, 6, None, 6)
    assert first.end == second.start == pytest.approx(6 / 25)
    assert segments(film, least=10) == [Segment(0.0, None, 12)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_joined_pieces_are_the_film(film, tmp_path, suffix):
    pieces = segments(film)
    parts = [
        made(film, tmp_path / f"{number}{suffix}", piece.start, piece.end)
        for number, piece in enumerate(pieces)
    ]
    output = tmp_path / f"joined{suffix}"
    joined(parts, pieces, output, film)
    whole = made(film, tmp_path / f"whole{suffix}")
    for kind in ("video", "audio"):
        one, other = decoded(output, kind), decoded(whole, kind)
        assert [at for at, _ in one] == [at for at, _ in other]
    for (_, one), (_, other) in zip(decoded(output, "video"), decoded(whole, "video"), strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).mean() < 2
    with pytest.raises(PhospheneError, match="exists"):
        joined(parts, pieces, output, film)


def test_a_piece_that_is_too_short_is_told(film, tmp_path):
    pieces = segments(film)
    part = made(film, tmp_path / "0.mp4", 0.0, 0.1)
    with pytest.raises(PhospheneError, match="stills, expected 6"):
        joined([part, part], pieces, tmp_path / "joined.mp4", film)
