"""Weights from friendly and hostile files (FAULTS 46-52): E_WEIGHTS or tensors, never code."""

import hashlib
import json
import os
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from phosphene.errors import PhospheneError
from phosphene.models import weights


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            first=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), last=nn.Conv2d(4, 2, 1), top=nn.Conv2d(2, 2, 1)
        )
    )


def refused(path, words="expected"):
    with pytest.raises(PhospheneError, match=words) as error:
        weights.read(path)
    assert error.value.code == "E_WEIGHTS"
    assert "\n" not in str(error.value)


class Payload:
    """Unpickled, it leaves a marker behind."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (Path(self.marker),)


# what people have


@pytest.mark.parametrize(
    "name", ["zip.pt", "legacy.pth", "some.safetensors", "misnamed.txt", "nested.bin", "deep.pt"]
)
def test_every_kind_of_file_gives_the_tensors_and_its_hash(tmp_path, name):
    state, path = network().state_dict(), tmp_path / name
    if name == "some.safetensors":
        save_file(state, path)
    elif name == "legacy.pth":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif name == "nested.bin":
        torch.save({"state_dict": state, "epoch": 3, "best": 0.5}, path)
    elif name == "deep.pt":
        torch.save({"model": {"state_dict": state}}, path)
    else:
        torch.save(state, path)
    found, sha256 = weights.read(str(path))
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


# what nobody should open


@pytest.mark.parametrize("kind", ["zip", "legacy", "plain", "nested"])
def test_a_pickle_with_a_payload_is_refused_and_not_run(tmp_path, kind):
    path, marker = tmp_path / "evil.pt", tmp_path / "marker"
    if kind == "plain":
        path.write_bytes(pickle.dumps(Payload(marker)))
    elif kind == "nested":
        torch.save({"state_dict": {"first.weight": torch.zeros(1), "x": Payload(marker)}}, path)
    else:
        torch.save(Payload(marker), path, _use_new_zipfile_serialization=kind == "zip")
    refused(path)
    assert not marker.exists()


@pytest.mark.parametrize("whole", [True, False], ids=["a network", "a checkpoint"])
def test_what_else_is_in_a_pickle_is_named(tmp_path, whole):
    network = torch.nn.Linear(2, 2)
    torch.save(
        network if whole else {"state_dict": network.state_dict(), "best": np.float64(2)}, tmp_path / "a.pt"
    )
    name = "torch.nn.modules.linear.Linear" if whole else r"numpy\._core\.multiarray\.scalar"
    refused(tmp_path / "a.pt", f"but a {name} too, .* expected tensors alone")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["m/code/__torch__/net.py", "m/constants.pkl"], "TorchScript"),
        (["m/models/model.json", "m/archive_format"], "archive with"),
        (["serialized_exported_program.json", "serialized_state_dict.pt"], "archive with"),
        (["m/../../data/0"], "archive with"),
    ],
)
def test_programs_are_refused_unopened(tmp_path, extra, words):
    path, marker = tmp_path / "program.pt2", tmp_path / "marker"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(Payload(marker)))
        for name in extra:
            archive.writestr(name, pickle.dumps(Payload(marker)))
    refused(path, words)
    assert not marker.exists()


def test_a_zip_bomb_is_refused_by_its_directory(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/data/0", bytes(20_000_000))
    assert path.stat().st_size < 100_000
    refused(path, "unpacks to 20000004 bytes")


def tensors_file(path, header, body=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("header", "body", "length"),
    [
        ({"a": entry([4], 0, 16)}, bytes(8), None),
        ({"a": entry([4], 0, 16)}, bytes(16), 2**40),
        ({"a": entry([4], 0, 16)}, bytes(16), 2**64 - 1),
        ({"a": entry([4], 0, 16), "b": entry([4], 8, 24)}, bytes(24), None),
        ({"a": entry([4], 0, 16), "b": entry([4], 24, 40)}, bytes(40), None),
        ({"a": entry([2**62, 4], 0, 16)}, bytes(16), None),
        ({"a": entry([4], 16, 0)}, bytes(16), None),
        ({"a": entry([5], 0, 16)}, bytes(16), None),
        ({"a": entry([4], 0, 16, "F99")}, bytes(16), None),
        ({"a": entry([4], 0, 16)}, bytes(99), None),
        ({}, b"", None),
        (b"{" * 1000, b"", None),
    ],
    ids=[
        "truncated",
        "huge",
        "huger",
        "overlap",
        "hole",
        "overflow",
        "backwards",
        "shape",
        "dtype",
        "trailing",
        "empty",
        "garbage",
    ],
)
def test_broken_safetensors(tmp_path, header, body, length):
    refused(tensors_file(tmp_path / "broken.safetensors", header, body, length))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_weights_that_are_no_numbers(tmp_path, value, kind):
    state, path = {"good": torch.ones(2), "bad.weight": torch.tensor([1.0, value])}, tmp_path / "file"
    save_file(state, path) if kind == "safetensors" else torch.save(state, path)
    refused(path, "NaN or infinity in bad.weight")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"a": torch.zeros(1).expand(10**6, 10**6)}, "larger than the file"),
        ({"a": torch.zeros(3, device="meta")}, "no plain array"),
        ({"a": torch.eye(3).to_sparse()}, "no plain array"),
        ({"a": torch.zeros(3, dtype=torch.complex64)}, "no plain array"),
        ({"epoch": 3}, "no weights in it"),
        ([torch.zeros(3)], "no weights in it"),
        ({}, "no weights in it"),
    ],
    ids=["stretched", "meta", "sparse", "complex", "none", "list", "empty"],
)
def test_what_is_no_plain_state_dict(tmp_path, payload, words):
    torch.save(payload, tmp_path / "file.pt")
    refused(tmp_path / "file.pt", words)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"P",
        b"PK\x03\x04",
        b"<!DOCTYPE html><html>",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        bytes(4096),
        b"version https://git-lfs.github.com/spec/v1\n",
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
    ],
)
def test_files_that_are_something_else(tmp_path, content):
    (tmp_path / "file.pt").write_bytes(content)
    refused(tmp_path / "file.pt")


def test_paths_that_are_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    refused(tmp_path, "is a folder")
    refused(tmp_path / "missing.pt", "no such file")
    refused(tmp_path / "dangling", "no such file")
    refused(tmp_path / "pipe", "no plain file")
    refused("x" * 5000)
    refused("a\0b")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_mutants_are_read_or_refused(tmp_path, kind):
    path, state = tmp_path / "file", {"a.weight": torch.ones(3, 4), "a.bias": torch.zeros(3)}
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    whole, dice = path.read_bytes(), random.Random(0)
    for turn in range(300):
        mutant = bytearray(whole[: dice.randrange(len(whole))] if turn % 3 == 0 else whole)
        for _ in range(dice.choice((1, 4, 16)) if turn % 3 else 0):
            mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        path.write_bytes(mutant)
        try:
            weights.read(path)
        except PhospheneError as error:
            assert error.code == "E_WEIGHTS"
