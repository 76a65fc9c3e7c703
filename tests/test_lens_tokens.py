"""What a tensor is, told from its shapes for several pictures, and tokens on their grid."""

import pytest
import torch

from phosphene.tokens import MAP, NHWC, VECTOR, Layout, fold, grid, layout, prefixed, strides

WIDE, HIGH, SQUARE = (96, 160), (160, 96), (128, 128)


def seen(wide, high, square):
    return [(WIDE, wide), (HIGH, high), (SQUARE, square)]


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_on_their_grid(axis, prefix):
    tokens = torch.rand(2, prefix + 12, 7)
    act = tokens if axis == 1 else tokens.transpose(1, 2)
    folded = fold(act, (3, 4), prefix, axis)
    assert folded.shape == (2, 7, 3, 4)
    assert all(
        torch.equal(folded[:, :, y, x], tokens[:, prefix + 4 * y + x]) for y in range(3) for x in range(4)
    )
    assert torch.equal(prefixed(act, prefix, axis), tokens[:, :prefix].transpose(1, 2))


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (seen((1, 9, 12, 20), (1, 9, 20, 12), (1, 9, 16, 16)), MAP),
        (seen((1, 12, 20, 9), (1, 20, 12, 9), (1, 16, 16, 9)), NHWC),
        (seen((1, 9, 11, 19), (1, 9, 19, 11), (1, 9, 15, 15)), MAP),
        (seen((1, 9, 1, 1), (1, 9, 1, 1), (1, 9, 1, 1)), MAP),
        (seen((1, 9, 7, 7), (1, 9, 7, 7), (1, 9, 7, 7)), MAP),
        (seen((1, 4, 61, 61), (1, 4, 61, 61), (1, 4, 65, 65)), None),  # attention
        (seen((1, 4, 60, 16), (1, 4, 60, 16), (1, 4, 64, 16)), None),  # queries
        (seen((0, 49, 49, 4), (0, 49, 49, 4), (0, 49, 49, 4)), None),  # windows
        (seen((1, 10), (1, 10), (1, 10)), VECTOR),
        (seen((1, 600), (1, 600), (1, 640)), None),
        (seen((1, 61, 32), (1, 61, 32), (1, 65, 32)), Layout("tokens", 1, 1, 16)),
        (seen((1, 32, 60), (1, 32, 60), (1, 32, 64)), Layout("tokens", 2, 0, 16)),
        (seen((1, 70, 32), (1, 70, 32), (1, 64, 32)), None),
        (seen((1, 1, 32), (1, 1, 32), (1, 1, 32)), None),
        ([((224, 224), (1, 3, 56, 56))], MAP),
        ([((224, 224), (1, 56, 56, 96))], NHWC),
        ([((224, 224), (1, 56, 56, 56))], None),
        ([((224, 224), (1, 3, 197, 197))], None),
        ([((224, 224), (1, 3, 196, 64))], None),
        ([((64, 128), (1, 9, 8, 16))], MAP),
        ([((64, 128), (1, 8, 16, 3))], NHWC),
        ([(WIDE, (1,)), (HIGH, (1, 2))], None),
        ([(WIDE, ())], None),
    ],
)
def test_what_it_is(shapes, expected):
    assert layout(shapes, [4, 8, 16, 32], 0, {196, 197}) == expected


def test_the_modules_kind_decides_what_one_picture_cannot():
    assert layout([((64, 64), (1, 8, 8, 8))], channels_at=1) == MAP
    assert layout([((64, 64), (1, 8, 8, 8))], channels_at=3) == NHWC


def test_a_known_prefix_is_believed():
    twice = seen((1, 61, 60), (1, 61, 60), (1, 65, 60))
    assert layout(twice, [16], 1) == Layout("tokens", 1, 1, 16)


def test_grids_of_pictures_that_do_not_divide():
    tokens = Layout("tokens", 1, 1, 16)
    assert grid((70, 83), tokens, 21) == (4, 5) and grid((70, 83), tokens, 31) == (5, 6)
    assert grid((70, 83), tokens, 22) is None


def test_strides_are_those_of_maps():
    assert strides((96, 160), [(1, 9, 6, 10)]) == {16, 32, 64}
    assert strides((96, 160), [(1, 9, 5, 5), (1, 3)]) == set()
