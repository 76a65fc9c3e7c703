"""The one error that users see."""

import pytest

from phosphene.errors import PhospheneError, nearest

NAMES = ["conv1", "conv2", "inception_4c/output", "blocks.4.1", "head"]


def test_an_error_is_one_line_with_a_code():
    error = PhospheneError("E_PARAM", "got 1,\n  expected\t2")
    assert (error.code, str(error)) == ("E_PARAM", "got 1, expected 2")


@pytest.mark.parametrize(
    ("name", "best"),
    [("conv1x", "conv1"), ("4c/output", "inception_4c/output"), ("BLOCKS.4.1", "blocks.4.1")],
)
def test_the_nearest_comes_first(name, best):
    assert nearest(name, NAMES)[0] == best


def test_as_many_as_asked_for_and_there_are():
    assert len(nearest("x", NAMES, 2)) == 2
    assert sorted(nearest("", NAMES, 99)) == sorted(NAMES)
    assert nearest("x", []) == []


def test_a_name_of_any_length_is_quick():
    assert len(nearest("conv1" * 50_000, tuple(NAMES) * 100)) == 5
