"""The caffemodel reader, on files that the test writes itself."""

import random

import numpy as np
import pytest
from caffe_writer import block, caffemodel, integer, varint

from phosphene.errors import PhospheneError
from phosphene.models import weights


def layers():
    rng = np.random.default_rng(0)
    return [
        ("conv1/7x7_s2", "Convolution", [rng.normal(size=(4, 3, 7, 7)), rng.normal(size=4)]),
        ("conv1/relu_7x7", "ReLU", []),
        ("one/1x1", "Convolution", [rng.normal(size=(1, 1, 3, 1)), rng.normal(size=1)]),
        ("loss1/classifier", "InnerProduct", [rng.normal(size=(3, 2)), rng.normal(size=3)]),
        ("loss3/classifier", "InnerProduct", [rng.normal(size=(10, 8)), rng.normal(size=10)]),
    ]


@pytest.mark.parametrize("old", [True, False], ids=["V1", "V2"])
def test_layers_become_a_state_dict(tmp_path, old):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel(layers(), old))
    state, _ = weights.read(path)
    expected = {
        f"{name}.{key}": array.astype(np.float32)
        for name, _, arrays in layers()
        for key, array in zip(("weight", "bias"), arrays, strict=False)
    }
    assert state.keys() == expected.keys()
    for key, array in expected.items():
        assert tuple(state[key].shape) == array.shape, key
        np.testing.assert_array_equal(state[key].numpy(), array)


def blob_file(*fields):
    return block(1, b"net") + block(100, block(1, b"conv") + block(7, b"".join(fields)))


SHAPE = block(7, block(1, varint(2)))


@pytest.mark.parametrize(
    "content",
    [
        blob_file(SHAPE, block(5, bytes(4))),
        blob_file(SHAPE, block(5, bytes(9))),
        blob_file(block(7, block(1, varint(2**62) * 2)), block(5, bytes(8))),
        blob_file(block(7, block(1, varint(1) * 99)), block(5, bytes(4))),
        blob_file(integer(5, 7)),
        blob_file(block(1, b"four")),
        block(1, b"net") + block(100, block(1, b"\xff\xfe") + block(7, SHAPE + block(5, bytes(8)))),
        block(1, b"net") + varint(100 << 3 | 2) + varint(2**60) + b"short",
        block(1, b"net") + varint(100 << 3 | 2) + b"\xff" * 12,
        block(1, b"net") + varint(100 << 3 | 3),
        block(1, b"net") + integer(100, 5),
        block(1, b"net") + integer(5, 1) * 100_001,
        block(1, b"net"),
    ],
    ids=[
        "short",
        "odd",
        "overflow",
        "dimensions",
        "number",
        "bytes",
        "utf8",
        "length",
        "varint",
        "group",
        "layer",
        "many",
        "none",
    ],
)
def test_what_is_broken_is_refused(tmp_path, content):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    with pytest.raises(PhospheneError) as error:
        weights.read(path)
    assert error.value.code == "E_WEIGHTS"


@pytest.mark.parametrize("old", [True, False], ids=["V1", "V2"])
def test_mutants_are_read_or_refused(tmp_path, old):
    path, whole, dice = tmp_path / "net.caffemodel", caffemodel(layers(), old), random.Random(0)
    for turn in range(400):
        mutant = bytearray(whole[: dice.randrange(len(whole))] if turn % 3 == 0 else whole)
        for _ in range(dice.choice((1, 4, 16)) if turn % 3 else 0):
            mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        path.write_bytes(mutant)
        try:
            weights.read(path)
        except PhospheneError as error:
            assert error.code == "E_WEIGHTS"
