"""A checkpoint gives back the state that it was given, or says in one line why it can't."""

import json
import os
import pickle
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from networks import photo, strided
from phosphene import checkpoint
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = Dream(octaves=2, steps=2, step_size=3, jitter=8, seed=3, smooth=1.0)
IMAGE = photo(2, 3, 31, 26)
IDENTITY = {
    "photo": "ab" * 32,
    "steps": 2,
    "seed": 3,
    "model": "tiny",
    "mask": "",
    "clip": True,
    "stop": None,
}


@pytest.fixture(scope="module")
def lens():
    return Lens(strided())


@pytest.fixture(scope="module")
def states(lens):
    return [frame.state() for frame in dream(IMAGE, "3", lens, CONFIG)]


@pytest.fixture
def file(tmp_path, states):
    path = tmp_path / "run.checkpoint"
    checkpoint.save(path, states[1], IDENTITY)
    return path


def refused(path, identity=IDENTITY):
    with pytest.raises(PhospheneError) as caught:
        checkpoint.load(path, identity)
    assert caught.value.code == "E_CHECKPOINT"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(one, other):
    """Equal, tensors by value and type; `==` alone would compare 0.0 and -0.0 as one."""
    assert one.keys() == other.keys()
    return all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype
        if isinstance(other[name], torch.Tensor)
        else one[name] == other[name] and type(one[name]) is type(other[name])
        for name in other
    )


def test_a_state_comes_back(tmp_path, states):
    for state in states:
        checkpoint.save(tmp_path / "a", state, IDENTITY)
        assert same(checkpoint.load(tmp_path / "a", IDENTITY), state)
        assert checkpoint.identity_of(tmp_path / "a") == IDENTITY
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_run_that_goes_on_from_any_checkpoint_is_the_uninterrupted_one(tmp_path, lens):
    frames = [(frame.full(), frame.state(copy=False)) for frame in dream(IMAGE, "3", lens, CONFIG)]
    for count, frame in enumerate(dream(IMAGE, "3", lens, CONFIG), 1):
        checkpoint.save(tmp_path / "a", frame.state(copy=False), IDENTITY)
        rest = dream(IMAGE, "3", lens, CONFIG, resume=checkpoint.load(tmp_path / "a", IDENTITY))
        fulls = [later.full() for later in rest]
        expected = [full for full, _ in frames[count:] or frames[-1:]]
        assert len(fulls) == len(expected)
        assert all(torch.equal(full, other) for full, other in zip(fulls, expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_every_type_of_score(tmp_path, states, dtype):
    state = {**states[0], "score": states[0]["score"].to(dtype)}
    checkpoint.save(tmp_path / "a", state, IDENTITY)
    assert same(checkpoint.load(tmp_path / "a", IDENTITY), state)


@pytest.mark.parametrize("param", ["fourier", "laplacian", "cppn", "maco"])
def test_a_param_goes_on_from_a_checkpoint(tmp_path, lens, param):
    config = CONFIG.but(param=param, average=0.5)
    frames = list(dream(IMAGE, "3", lens, config))
    path = tmp_path / "run.checkpoint"
    checkpoint.save(path, frames[1].state(), IDENTITY)
    *_, last = dream(IMAGE, "3", lens, config, resume=checkpoint.load(path, IDENTITY))
    assert torch.equal(last.full(), frames[-1].full())


def test_a_state_that_is_no_plain_array_of_its_own(tmp_path, states):
    """Strided views, a batch of one and a score without dimensions."""
    wide = torch.arange(24.0).reshape(2, 3, 2, 2).permute(0, 1, 3, 2)[..., ::2]
    state = {**states[0], "image": wide, "score": torch.tensor(-0.0)}
    checkpoint.save(tmp_path / "a", state, IDENTITY)
    assert same(checkpoint.load(tmp_path / "a", IDENTITY), state)


def test_anybody_can_read_its_pictures(file, states):
    assert torch.equal(load_file(file)["image"], states[1]["image"])


def test_what_is_loaded_is_not_the_file(file, states):
    state = checkpoint.load(file, IDENTITY)
    file.write_bytes(bytes(file.stat().st_size))
    assert torch.equal(state["image"], states[1]["image"])


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"steps": 3}, "steps: then 2, now 3"),
        ({"photo": "cd" * 32}, f"photo: then {'ab' * 32}, now {'cd' * 32}"),
        ({"stop": "octave 1"}, "stop: then nothing, now octave 1"),
        ({"clip": False, "seed": 4}, "seed: then 3, now 4; clip: then True, now False"),
        ({"guide.jpg": "ef"}, "guide.jpg: then nothing, now ef"),
    ],
)
def test_another_runs_is_refused_with_what_differs(file, now, expected):
    assert f"is of another run ({expected})" in refused(file, {**IDENTITY, **now})


def test_a_field_that_is_gone_differs(file):
    assert "seed: then 3, now nothing" in refused(
        file, {name: value for name, value in IDENTITY.items() if name != "seed"}
    )


def test_long_values_are_cut(file):
    assert len(refused(file, {**IDENTITY, "model": "x" * 100_000})) < 500


def rewritten(file, change):
    """The same file with `change` made to what it says of itself, its hash made right again."""
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    about = header["__metadata__"]
    change(about)
    if "run" in about:
        about["sha256"] = checkpoint._sha256(about["run"], dict(sorted(load_file(file).items())))
    head = json.dumps(header).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + data[8 + size :])
    return file


def test_the_tests_own_rewriting_is_right(file, states):
    assert same(checkpoint.load(rewritten(file, lambda about: None), IDENTITY), states[1])


def test_another_format_says_so(file):
    assert "is of format '2', expected '1'" in refused(
        rewritten(file, lambda about: about.update(phosphene_checkpoint="2"))
    )


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "[" * 100_000, '{"identity": {}, "state": []}', '{"identity": {}}']
)
def test_what_says_nothing_of_its_run_is_refused(file, text):
    rewritten(file, lambda about: about.update(run=text))
    assert "says nothing about its run" in refused(file)
    with pytest.raises(PhospheneError):
        checkpoint.identity_of(file)


def test_a_text_without_end_is_refused(file, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_CHARACTERS", 100)
    assert "says nothing" in refused(file)


def test_foreign_files_are_refused(tmp_path, file):
    save_file({"weight": torch.zeros(3)}, tmp_path / "weights.safetensors")
    assert "is no checkpoint of phosphene" in refused(tmp_path / "weights.safetensors")
    rewritten(file, lambda about: about.pop("phosphene_checkpoint"))
    assert "is no checkpoint of phosphene" in refused(file)


def test_nothing_in_a_file_is_ever_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    for name, write in {"pickle": pickle.dump, "torch": torch.save}.items():
        with (tmp_path / name).open("wb") as file:
            write(Payload(), file)
        refused(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("absent", "pipe", "loop", ".", "x" * 300):
        assert "is no file" in refused(tmp_path / name)
    for content in (b"", b"\0", b"\0" * 8, b"\xff" * 64, b"\x89PNG\r\n\x1a\n" * 9):
        (tmp_path / "a").write_bytes(content)
        refused(tmp_path / "a")


def test_a_name_with_a_nul_is_refused(tmp_path):
    refused(str(tmp_path / "a\0b"))


def test_every_cut_is_refused(file):
    whole = file.read_bytes()
    head = 8 + int.from_bytes(whole[:8], "little")
    for size in [*range(0, head, 97), *range(head - 3, head + 4), *range(head, len(whole), 997)]:
        file.write_bytes(whole[:size])
        refused(file)
    file.write_bytes(whole + b"\0")
    refused(file)


def test_mutants_are_refused_or_mean_the_same(file, states):
    """Flips anywhere, in the header above all; what is still accepted must be the very same state."""
    whole, chance = file.read_bytes(), random.Random(1)
    head = 8 + int.from_bytes(whole[:8], "little")
    accepted = 0
    for turn in range(600):
        mutant = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 8))):
            mutant[chance.randrange(head if turn % 3 else len(whole))] = chance.randrange(256)
        file.write_bytes(mutant)
        try:
            state = checkpoint.load(file, IDENTITY)
        except PhospheneError as error:
            assert error.code == "E_CHECKPOINT"
            assert "\n" not in str(error)
        else:
            accepted += 1
            assert same(state, states[1])
    assert accepted < 60  # bytes that mean nothing: blanks, a byte that was replaced by itself


def test_an_old_checkpoint_survives_a_failure(file, states, monkeypatch):
    before = file.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(PhospheneError) as caught:
        checkpoint.save(file, states[2], IDENTITY)
    assert caught.value.code == "E_DISK"
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_no_folder_to_be_in(tmp_path, states):
    with pytest.raises(PhospheneError) as caught:
        checkpoint.save(tmp_path / "absent" / "a", states[0], IDENTITY)
    assert caught.value.code == "E_OUTPUT"
