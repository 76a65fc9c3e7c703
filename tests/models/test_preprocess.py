"""How a network wants its input: the user's word over the file's over the architecture's."""

import pytest

from phosphene.errors import PhospheneError
from phosphene.models import preprocess
from phosphene.models.sources import Built, Given

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def built(**known):
    return Built(None, **{"mean": (), "std": (), **known})


def applied(architecture, file=None, weights="net.pth", **said):
    return preprocess.applied(architecture, preprocess.given(**said), file or {}, "net", weights)


@pytest.mark.parametrize(
    "text", ["1,2,3", "1 2 3", " 1, 2, 3 ", "[1, 2, 3]", "(1.0;2;3e0)", (1, 2, 3), [1.0, 2.0, 3.0]]
)
def test_numbers_in_the_ways_that_people_write_them(text):
    assert preprocess.numbers(text, "mean", "E_PARAM") == (1, 2, 3)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        *(
            (text, (0, 255))
            for text in ("0,255", "0..255", "0 255", "0-255", "0 .. 255", "[0, 255]", (0, 255))
        ),
        *((text, (-1, 1)) for text in ("-1,1", "-1..1", "-1-1", "-1 1", "-1.0,1e0")),
        ("0,.5", (0, 0.5)),
        ("", ()),
    ],
)
def test_ranges(text, pair):
    assert preprocess.span(text, "E_PARAM") == pair


@pytest.mark.parametrize(
    "values",
    [
        *({"mean": text} for text in ("x", "1,2", "1,2,3,4", "nan", "inf", "1e99", (1, 2), ["a"], "1;;rm")),
        *({"std": text} for text in ("0", "-1", "1,0,1", (1.0, 1.0, -1.0))),
        *({"range": text} for text in ("255", "255,0", "1,1", "0,inf", "a..b", (1, 2, 3), "0,1,2")),
        *({"channel_order": text} for text in ("rbg", "RGBA", "grey", "x" * 999)),
    ],
)
def test_what_is_none_is_refused_by_name(values):
    with pytest.raises(PhospheneError, match=next(iter(values))) as error:
        preprocess.given(**values)
    assert error.value.code == "E_PARAM" and len(str(error.value)) < 250


def test_the_architecture_s_own_is_taken_and_told():
    found = applied(built(**IMAGENET))
    assert (found.mean, found.std, found.scale) == (*IMAGENET.values(), 1)
    (note,) = found.notes
    assert note.startswith("net.pth doesn't say") and "mean 0.485,0.456,0.406" in note
    assert not applied(built(**IMAGENET, exact=True)).notes
    assert not applied(built(**IMAGENET), weights="").notes


def test_the_file_s_word_comes_before_the_architecture_s():
    found = applied(built(**IMAGENET), {"mean": "0.5", "std": "[0.25, 0.5, 1]", "channel_order": "BGR"})
    assert (found.mean, found.std, found.channel_order) == ((0.5,) * 3, (0.25, 0.5, 1), "bgr")
    assert not found.notes


def test_the_user_s_word_comes_first():
    found = applied(built(**IMAGENET), {"mean": "0.5"}, mean="0.1,0.2,0.3", channel_order="bgr")
    assert (found.mean, found.std, found.channel_order) == ((0.1, 0.2, 0.3), IMAGENET["std"], "bgr")
    assert not found.notes


def test_a_caffe_network_by_flags():
    found = applied(built(**IMAGENET), range="0,255", channel_order="bgr", mean="104,117,123", std="1")
    assert (found.scale, found.mean, found.std) == (255, (104, 117, 123), (1, 1, 1))


def test_another_range_forgets_means_of_the_old_one_and_the_same_keeps_them():
    found = applied(built(**IMAGENET), range="-1,1")
    assert (found.scale, found.mean, found.std) == (2, (1, 1, 1), (1, 1, 1))  # 2 image - 1
    assert applied(built(**IMAGENET), range="0,1").mean == IMAGENET["mean"]
    caffe = built(mean=(104, 117, 123), std=(1.0,), scale=255.0)
    assert applied(caffe, {"range": "0..255"}).mean == (104, 117, 123)


def test_grey_wants_one_number():
    found = applied(built(), mean=0.5, std=0.5, channel_order="l")
    assert (found.mean, found.std) == ((0.5,), (0.5,))
    with pytest.raises(PhospheneError, match="give --mean with one number"):
        applied(built(**IMAGENET), channel_order="l")


@pytest.mark.parametrize("said", [{}, {"mean": "0.5"}, {"std": "0.5"}, {"channel_order": "bgr"}])
def test_where_nothing_is_known_the_flags_are_named(said):
    with pytest.raises(PhospheneError, match="give --mean and --std") as error:
        applied(built(), **said)
    assert error.value.code == "E_PARAM"
    assert preprocess.applied(built(), Given(untrained=True), {}, "net", "").mean == (0, 0, 0)


def test_a_file_that_says_nonsense_is_a_bad_file():
    with pytest.raises(PhospheneError, match="std") as error:
        applied(built(**IMAGENET), {"std": "0,0,0"})
    assert error.value.code == "E_WEIGHTS"
