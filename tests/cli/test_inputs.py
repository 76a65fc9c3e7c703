"""Which photos a command line means."""

import io
import os
import sys

import pytest

from phosphene.cli.inputs import photos
from phosphene.errors import PhospheneError


@pytest.fixture(autouse=True)
def files(tmp_path):
    for name in ("b.jpg", "a.jpg", "c.txt", "sub/d.PNG", "sub/deep/e.webp", "[x].jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def refused(*arguments, **more):
    with pytest.raises(PhospheneError) as error:
        photos(*arguments, **more)
    return error.value.code, str(error.value)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b.jpg", "a.jpg"], ["b.jpg", "a.jpg"]),
        (["?.jpg"], ["a.jpg", "b.jpg"]),
        (["*.jpg"], ["[x].jpg", "a.jpg", "b.jpg"]),
        (["**/*.webp"], ["sub/deep/e.webp"]),
        (["[x].jpg"], ["[x].jpg"]),
        (["absent.jpg"], ["absent.jpg"]),  # told when its turn comes
        (["-"], ["-"]),
        (["-a.jpg"], ["-a.jpg"]),
        ([], []),
    ],
)
def test_names_and_patterns(names, expected):
    assert photos(names) == [name.replace("/", os.sep) for name in expected]


def test_folders_need_recursive():
    code, message = refused(["sub"])
    assert code == "E_INPUT"
    assert "--recursive" in message
    assert photos(["sub"], recursive=True) == ["sub/d.PNG", "sub/deep/e.webp"]


def test_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    assert refused(["empty"], recursive=True)[0] == "E_INPUT"


def test_a_folder_that_holds_a_link_to_itself_ends(tmp_path):
    (tmp_path / "sub" / "again").symlink_to(tmp_path / "sub")
    assert len(photos(["sub"], recursive=True)) == 2


@pytest.mark.parametrize("names", [["*.gif"], [""], ["-", "-"]])
def test_nothing_to_find(names):
    assert refused(names)[0] in ("E_INPUT", "E_PARAM")


def test_a_list_of_photos(tmp_path):
    (tmp_path / "list").write_bytes(b"a.jpg\r\n\n*.jpg\n-b.jpg\n\xff.jpg")
    assert photos(["b.jpg"], files_from="list") == ["b.jpg", "a.jpg", "*.jpg", "-b.jpg", "\udcff.jpg"]


def test_a_list_on_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.jpg\nb.jpg\n")))
    assert photos([], files_from="-") == ["a.jpg", "b.jpg"]
    assert refused(["-"], files_from="-")[0] == "E_PARAM"


@pytest.mark.parametrize("content", [None, b"a\0b"])
def test_a_list_that_is_none(tmp_path, content):
    if content:
        (tmp_path / "list").write_bytes(content)
    assert refused([], files_from="list")[0] == "E_INPUT"


def test_a_terminal_is_never_waited_for(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO())
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    assert "terminal" in refused([], files_from="-")[1]
