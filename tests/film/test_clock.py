"""Films whose clock was running long before, or was set anew on the way; and sound that is damaged."""

from fractions import Fraction
from itertools import pairwise

import pytest

import films
from phosphene.film.clock import AHEAD, Clock
from phosphene.film.kinds import Way
from phosphene.film.reel import Reel
from phosphene.film.source import look, stills


@pytest.fixture
def recorded(tmp_path):
    """A transport stream of 30 stills, with sound; its clock shows more than a second as it begins."""
    return films.make(
        tmp_path / "a.ts",
        count=30,
        sound="aac",
        options={"bf": "2", "g": "10"},
        format="mpegts",
        container_options={"output_ts_offset": "1.4"},
    )


def copied(path, output):
    """A film copied still by still: the notes."""
    facts = look(path)
    with Reel(output, Way.like(facts), {}, sound=facts) as reel:
        for still in stills(facts):
            reel.add(still.pixels.astype("float32") / 255, still.pts, still.duration, {})
        return reel.finish()


def begins(path):
    with films.av.open(str(path)) as film:
        return min(one.start_time * one.time_base for one in film.streams)


def test_a_clock_is_counted_from_the_beginning():
    clock = Clock(Fraction(7, 5), Fraction(1, 1000))
    assert [clock.at(ticks, 40) for ticks in (1420, 1460, 1540)] == [20, 60, 140]
    assert clock.at(1400, 40) == 0  # less than half a second back: a damaged time, not a clock that was set
    assert clock.at(0, 40) == 40
    assert clock.at(40, 40) == 80
    assert clock.at(40 + 1000 * (AHEAD + 1), 40) == 120
    steady = Clock(None, Fraction(1, 1000))
    assert [steady.at(ticks, 40) for ticks in (5000, 0, 10**9)] == [5000, 0, 10**9]


def test_a_recording_begins_at_nought(recorded, tmp_path):
    facts, was = look(recorded), begins(recorded)
    assert was > 1
    with films.av.open(str(recorded)) as film:
        true = [frame.pts * frame.time_base - was for frame in film.decode(video=0)]
    assert [still.pts * facts.time_base for still in stills(facts)] == true
    assert copied(recorded, tmp_path / "o.mp4") == ()
    assert [at for at, _ in films.decoded(tmp_path / "o.mp4")] == true
    sound, now = films.packets(recorded), films.packets(tmp_path / "o.mp4")
    assert [round(48000 * (at - was)) for at, _ in sound] == [round(48000 * at) for at, _ in now]
    assert [data[-len(one) :] for (_, data), (_, one) in zip(sound, now, strict=True)] == [
        one for _, one in now
    ]


def test_a_piece_of_a_recording(recorded):
    facts = look(recorded)
    whole, piece = list(stills(facts)), list(stills(facts, start=0.4, end=0.8))
    assert [still.pts for still in piece] == [still.pts for still in whole[10:20]]
    assert all((a.pixels == b.pixels).all() for a, b in zip(piece, whole[10:20], strict=True))


def test_two_recordings_one_after_the_other(recorded, tmp_path):
    (tmp_path / "b.ts").write_bytes(2 * recorded.read_bytes())
    found = list(stills(look(tmp_path / "b.ts")))
    assert len(found) == 60
    assert {after.pts - now.pts for now, after in pairwise(found)} == {3600}
    copied(tmp_path / "b.ts", tmp_path / "o.mp4")
    once, twice = films.packets(recorded), films.packets(tmp_path / "o.mp4")
    assert len(twice) == 2 * len(once)
    assert {round(1000 * (after - now)) for (now, _), (after, _) in pairwise(twice)} == {21}


def test_damaged_sound_is_passed_over(recorded, tmp_path):
    data = bytearray(recorded.read_bytes())
    begin = data.index(b"\xff\xf1", len(data) // 2)  # an ADTS header
    data[begin : begin + 7] = bytes(7)
    (tmp_path / "b.ts").write_bytes(data)
    for name in ("o.mp4", "o.mkv"):
        notes = copied(tmp_path / "b.ts", tmp_path / name)
        assert len(films.decoded(tmp_path / name)) == 30
        assert len(films.packets(tmp_path / name)) > len(films.packets(recorded)) // 2
        assert any("of the sound" in note for note in notes)
