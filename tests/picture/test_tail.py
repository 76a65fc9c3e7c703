"""Behind a picture: another kind of file is refused, what cameras leave is passed over (FAULTS 7)."""

import io
import zipfile

import pytest
from picture_files import DEEP, RAMP, png, refused, saved

from phosphene.picture import open_picture
from phosphene.picture.sniff import sniff
from phosphene.picture.tail import check_tail


def a_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("payload.txt", "words")
    return buffer.getvalue()


STILLS = {kind: saved(RAMP, kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP")}
STILLS |= {"deep": png(DEEP), "progressive": saved(RAMP, "JPEG", progressive=True, quality=98)}
POLYGLOTS = {
    "zip": a_zip(),
    "page": b"\n<HTML><script>alert(1)</script>",
    "document": b"%PDF-1.7\n",
    "program": b"<?php system('id'); ?>",
    "picture": saved(RAMP[:4, :4], "PNG"),
}


@pytest.mark.parametrize("what", POLYGLOTS)
@pytest.mark.parametrize("kind", STILLS)
def test_two_formats_in_one(kind, what):
    assert "in one, expected a picture alone" in refused(STILLS[kind] + POLYGLOTS[what], "E_FORMAT")
    assert "in one" in refused(STILLS[kind] + bytes(40) + POLYGLOTS[what], "E_FORMAT")


@pytest.mark.parametrize("kind", STILLS)
def test_what_cameras_and_editors_leave_behind(kind):
    film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 8
    more = [STILLS["JPEG"]] if kind in ("JPEG", "progressive") else []  # as in MPO, or with a map of gains
    for rest in (b"\0", bytes(5000), b"SEFHe\0\0\0SEFT", film, *more):
        assert open_picture(STILLS[kind] + rest).size == RAMP.shape[:2]


def test_an_end_that_cannot_be_told_is_left_to_the_decoder():
    for kind, data in STILLS.items():
        for length in range(12, len(data), max(1, len(data) // 40)):
            check_tail(io.BytesIO(data[:length]), sniff(data[:64], "x"), kind)
