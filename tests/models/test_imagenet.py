"""Class numbers from numbers and names."""

import pytest

from phosphene.errors import PhospheneError
from phosphene.models.imagenet import class_number, names

CLASSES = ("tench, Tinca tinca", "tabby, tabby cat", "tiger cat", "tiger, Panthera tigris", "crane", "crane")


def test_imagenet_has_its_thousand_names():
    assert len(names()) == 1000
    assert names()[281] == "tabby, tabby cat"
    assert names()[967] == "espresso"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        (" 999 ", 999),
        ("tabby", 281),
        ("Tabby_Cat", 281),
        ("tiger  cat", 282),
        ("EGYPTIAN CAT", 285),
        ("tabby, tabby cat", 281),
        ("espresso", 967),
        ("espresso_m", 550),
        ("tiger", 292),
    ],
)
def test_what_a_text_means(text, number):
    assert class_number(text, names()) == number


def test_a_whole_synonym_comes_before_a_part():
    assert class_number("tiger", CLASSES) == 3
    assert class_number("panthera", CLASSES) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("6", "class is 6, expected 0 to 5"),
        ("9" * 5000, "there is no class"),
        ("-1", "there is no class '-1'"),
        ("crane", r"any of 4 \(crane\), 5 \(crane\); give the number"),
        ("cat", r"any of 1 \(tabby, tabby cat\), 2 \(tiger cat\)"),
        ("tabi", "the nearest are tabby"),
        ("", "there is no class ''"),
        ("_", "there is no class"),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(PhospheneError, match=words) as error:
        class_number(text, CLASSES)
    assert error.value.code == "E_PARAM"


def test_classes_without_names_have_numbers_only():
    assert class_number("7", ()) == 7
    with pytest.raises(PhospheneError, match="give a number"):
        class_number("tabby", ())


def test_the_names_are_those_of_timm():
    from timm.data.imagenet_info import ImageNetInfo

    assert names() == tuple(ImageNetInfo().label_descriptions())
