"""Paths, bytes and streams; odd names; everything that is there but no file."""

import io
import os
import socket
import sys
import threading

import pytest
from picture_files import photo, png, saved, tiff

from phosphene.errors import PhospheneError
from phosphene.picture import open_picture, read_recipe, save_picture, shown

RAMP = photo()
DATA = saved(RAMP, "PNG")
DEEP = png(RAMP.astype("uint16") * 257)


def refused(source, code="E_INPUT"):
    messages = []
    for function in (open_picture, read_recipe):
        with pytest.raises(PhospheneError) as error:
            function(source)
        assert error.value.code == code
        assert "\n" not in str(error.value)
        str(error.value).encode()  # can be printed
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    return messages[0]


@pytest.mark.parametrize(
    "source", [bytes, bytearray, memoryview, io.BytesIO], ids=["bytes", "bytearray", "memoryview", "stream"]
)
@pytest.mark.parametrize("data", [DATA, DEEP, tiff(RAMP, photometric="rgb")], ids=["png", "png16", "tiff"])
def test_bytes_and_streams(source, data):
    assert open_picture(source(data)).size == RAMP.shape[:2]


def test_a_pipe_that_cannot_seek():
    reader, writer = os.pipe()

    def fill():
        with os.fdopen(writer, "wb") as stream:
            stream.write(DEEP)

    thread = threading.Thread(target=fill)
    thread.start()
    with os.fdopen(reader, "rb") as stream:
        assert open_picture(stream).bits == 16
        assert not stream.closed
    thread.join()


def test_streams_of_text_are_refused():
    assert "binary" in refused(io.StringIO("text"))


def test_things_that_are_no_source():
    assert "expected a path" in refused(None)


def test_an_endless_stream(monkeypatch):
    from phosphene.picture import source

    monkeypatch.setattr(source, "MAX_STREAM", 1000)

    class Endless:
        def read(self, count):
            return bytes(count)

    assert "file first" in refused(Endless(), "E_TOO_LARGE")


NAMES = [
    "🌈.png",
    "a\nb.png",
    "-x.png",
    "a b'\"$(x)`.png",
    "[0]page=3,n=-1.png",
    "%s{}.png",
    "x" * 240 + ".png",
    "noending",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [DATA, DEEP], ids=["8", "16"])
def test_odd_names(tmp_path, monkeypatch, name, data):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(data)
    picture = open_picture(name)
    assert picture.notes == ()
    assert save_picture(name, picture, format="png", overwrite=True, recipe="r") == ()
    assert read_recipe(name) == "r"
    (tmp_path / name).write_bytes(b"junk")
    assert shown(name)[:50] in refused(name, "E_FORMAT")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_utf_8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(DATA)
    name = os.fsdecode(path)
    assert save_picture(name, open_picture(name), overwrite=True) == ()
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"junk")
    assert "\\udcff\\udcfe.png" in refused(name, "E_FORMAT")


def test_names_are_shown_safely():
    assert shown("plain name.png") == "plain name.png"
    assert shown("a\nb\t\x1b[31m\x7f\u202e") == "a\\nb\\t\\x1b[31m\\x7f\\u202e"
    assert shown(b"\xff.png") == "\\udcff.png"
    assert len(shown("x" * 5000)) == 200


def test_what_is_not_there(tmp_path):
    assert "no such file" in refused(tmp_path / "none.png")
    assert "no such file" in refused("")
    assert "no such file" in refused(tmp_path / "none" / "none.png")
    (tmp_path / "file").touch()
    assert "not a folder" in refused(tmp_path / "file" / "x.png")
    assert "no file name" in refused("a\0b.png")
    assert "too long" in refused("x" * 5000)


def test_folders(tmp_path):
    assert "is a folder" in refused(tmp_path)


def test_links(tmp_path):
    (tmp_path / "dangling").symlink_to("nowhere.png")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "good").symlink_to("real.png")
    (tmp_path / "real.png").write_bytes(DATA)
    assert "link to a file that is not there" in refused(tmp_path / "dangling")
    assert "leads to itself" in refused(tmp_path / "circle")
    assert open_picture(tmp_path / "good").size == RAMP.shape[:2]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_never_hangs(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    assert "is a pipe" in refused(tmp_path / "fifo.png")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no such sockets")
def test_a_socket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the whole path may be too long for a socket
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        assert "is a socket" in refused("socket.png")


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no devices")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_devices(device):
    if not os.path.exists(device):  # noqa: PTH110
        pytest.skip(f"there is no {device}")
    assert "is a device" in refused(device)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(DATA)
    path.chmod(0)
    assert "no permission" in refused(path)


def test_no_permission(tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.png").write_bytes(DATA)
    monkeypatch.setattr(os, "open", denied)
    assert "no permission" in refused(tmp_path / "x.png")
