"""Networks by source and name: what is taken, told, recorded and refused (FAULTS 46-52)."""

import json
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from tiny import QUICK

from phosphene.picture import open_picture, read_recipe, save_picture

SQUEEZENET = "torchvision:squeezenet1_1"
CODE = """
from pathlib import Path
from torch import nn

Path("code-ran").touch()

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, 2))
"""


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return torchvision.models.squeezenet1_1(weights=None).state_dict()


@pytest.fixture
def weights(state, tmp_path):
    """`squeezenet.pth`, in a folder of this test's own, as its path."""
    torch.save(state, tmp_path / "squeezenet.pth")
    return str(tmp_path / "squeezenet.pth")


@pytest.fixture
def mine():
    """`mine_on_the_line.py` in the current folder; it leaves `code-ran` where it is imported."""
    Path("mine_on_the_line.py").write_text(CODE)
    yield "python:mine_on_the_line:build"
    sys.modules.pop("mine_on_the_line", None)


def recipe(path):
    return json.loads(read_recipe(path))["dream"]


class TestWhatIsTaken:
    def test_a_state_dict_of_torchvision(self, run, photo, weights):
        found = run("dream", photo, "-o", "o.png", "--model", SQUEEZENET, "--weights", weights, *QUICK)
        assert found.code == 0 and found.out == "o.png\n"
        assert "doesn't say how its input was prepared; taken is what torchvision:squeeze" in found.err
        kept = recipe("o.png")
        assert (kept["model"], kept["objective"], kept["mean"]) == (SQUEEZENET, "features.9", "")

    def test_preparation_by_flags_is_in_the_recipe_and_replayed(self, run, photo, weights):
        said = {"range": "-1,1", "mean": "0.1 0.2 0.3", "std": "2", "channel_order": "bgr"}
        flags = [word for name, text in said.items() for word in ("--" + name.replace("_", "-"), text)]
        found = run(
            "dream", photo, "-o", "o.png", "--model", SQUEEZENET, "--weights", weights, *flags, *QUICK
        )
        assert found.code == 0 and "doesn't say" not in found.err
        assert recipe("o.png").items() >= said.items()
        assert run("replay", "o.png", "-o", "again.png").code == 0
        assert Path("again.png").read_bytes() == Path("o.png").read_bytes()
        other = run("replay", "o.png", "-o", "other.png", "--model", "efficientnet_lite0")
        assert other.code == 0 and recipe("other.png")["mean"] == "" == recipe("other.png")["range"]

    def test_a_file_that_says_it_itself(self, run, photo, state, tmp_path):
        path = str(tmp_path / "said.safetensors")
        save_file(state, path, {"mean": "0.5", "std": "0.5", "channel_order": "rgb"})
        found = run("dream", photo, "-o", "o.png", "--model", SQUEEZENET, "--weights", path, *QUICK)
        assert (found.code, found.err) == (0, "")

    def test_a_file_without_what_lies_beyond(self, run, photo, state, tmp_path):
        path = str(tmp_path / "early.pth")
        torch.save(
            {key: state[key] for key in state if not key.startswith(("features.12", "classifier"))}, path
        )
        arguments = ["dream", photo, "--model", SQUEEZENET, "--weights", path, *QUICK]
        found = run(*arguments, "-o", "o.png")
        assert found.code == 0 and "has no weights for features.12.squeeze.weight" in found.err
        found = run(*arguments, "-o", "p.png", "--objective", "features.12")
        assert found.code == 2 and "E_WEIGHTS" in found.err and not Path("p.png").exists()
        assert "features.12.squeeze" in found.err

    def test_code_of_one_s_own(self, run, photo, mine):
        arguments = ["dream", photo, "-o", "o.png", "--model", mine, *QUICK]
        found = run(*arguments)
        assert found.code == 2 and "E_PARAM" in found.err and "--mean" in found.err
        assert run(*arguments, "--mean", "0.5", "--std", "0.5", "--objective", "2").code == 0


class TestCodeThatNobodyTyped:
    @pytest.mark.parametrize("place", ["toml", "config", "environment"])
    def test_settings(self, run, photo, mine, monkeypatch, place):
        more = []
        if place == "environment":
            monkeypatch.setenv("PHOSPHENE_MODEL", mine)
        else:
            name = "phosphene.toml" if place == "toml" else "other.toml"
            Path(name).write_text(f'model = "{mine}"\nmean = "0.5"\nstd = "0.5"\n')
            more = ["--config", name] if place == "config" else []
        found = run("dream", photo, "-o", "o.png", *more, *QUICK)
        assert found.code == 2 and "E_MODEL" in found.err and found.err.count("\n") == 1
        assert not Path("code-ran").exists() and not Path("o.png").exists()

    def test_a_recipe_with_a_server_s_network(self, run, photo):
        assert run("dream", photo, "-o", "o.png", *QUICK).code == 0
        text = json.loads(read_recipe("o.png"))
        text["dream"] |= {"model": "hf://server/share"}
        save_picture("o.png", open_picture("o.png"), recipe=json.dumps(text), overwrite=True)
        found = run("replay", "o.png", "-o", "again.png")
        assert found.code == 2 and "E_RECIPE" in found.err and "server" in found.err

    def test_a_recipe(self, run, photo, mine):
        assert run("dream", photo, "-o", "o.png", *QUICK).code == 0
        text = json.loads(read_recipe("o.png"))
        text["dream"] |= {"model": mine, "mean": "0.5", "std": "0.5", "objective": "2"}
        save_picture("o.png", open_picture("o.png"), recipe=json.dumps(text), overwrite=True)
        found = run("replay", "o.png", "-o", "again.png")
        assert found.code == 2 and "E_MODEL" in found.err and "the recipe" in found.err
        assert not Path("code-ran").exists()
        assert run("show", "o.png").code == 0 and not Path("code-ran").exists()


class Payload:
    """Unpickled, it leaves `payload-ran` behind."""

    def __reduce__(self):
        return Path.touch, (Path("payload-ran"),)


class Network(torch.nn.Module):
    """Pickled whole, it has a payload inside."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.payload = Payload()


def archive(path, names, compression=zipfile.ZIP_STORED, body=b""):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name in names:
            file.writestr(name, body or pickle.dumps(Payload()))


def safetensors(path, entries, body, length=None):
    header = json.dumps(
        {
            name: {"dtype": "F32", "shape": shape, "data_offsets": span}
            for name, (shape, span) in entries.items()
        }
    ).encode()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + body)


def make(kind, path, state):
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Payload()))
    elif kind == "payload in a state dict":
        torch.save({**state, "features.0.bias": Payload()}, path)
    elif kind == "legacy payload":
        torch.save({**state, "x": Payload()}, path, _use_new_zipfile_serialization=False)
    elif kind == "whole module":
        torch.save(Network(), path)
    elif kind == "TorchScript":
        archive(path, ["m/data.pkl", "m/code/__torch__/net.py", "m/constants.pkl"])
    elif kind == "pt2":
        archive(path, ["m/archive_format", "m/models/model.json", "m/data/weights/model.pt", "m/data.pkl"])
    elif kind == "zip bomb":
        archive(path, ["m/data.pkl", "m/data/0"], zipfile.ZIP_DEFLATED, bytes(30_000_000))
    elif kind == "truncated":
        save_file(state, path)
        path.write_bytes(path.read_bytes()[:-1000])
    elif kind == "huge header":
        safetensors(path, {"a": ([4], [0, 16])}, bytes(16), 2**62)
    elif kind == "overlapping":
        safetensors(path, {"a": ([4], [0, 16]), "b": ([4], [8, 24])}, bytes(24))
    elif kind == "hole":
        safetensors(path, {"a": ([4], [0, 16]), "b": ([4], [24, 40])}, bytes(40))
    elif kind == "overflow":
        safetensors(path, {"a": ([2**62, 8], [0, 2**64 - 8])}, bytes(16))
    elif kind == "deep header":
        text = b'{"__metadata__":' + b"[" * 200_000
        path.write_bytes(struct.pack("<Q", len(text)) + text)
    elif kind == "wrong keys":
        torch.save({f"other.{index}": torch.ones(2) for index in range(9)}, path)
    elif kind == "wrong shapes":
        torch.save({**state, "features.0.weight": torch.ones(64, 3, 5, 5)}, path)
    elif kind == "NaN":
        torch.save({**state, "features.0.bias": torch.full((64,), torch.nan)}, path)
    elif kind == "bad metadata":
        save_file(state, path, {"mean": "__import__('os')", "std": "0"})


KINDS = [
    *(
        "pickle",
        "payload in a state dict",
        "legacy payload",
        "whole module",
        "TorchScript",
        "pt2",
        "zip bomb",
    ),
    *("truncated", "huge header", "overlapping", "hole", "overflow", "deep header"),
    *("wrong keys", "wrong shapes", "NaN", "bad metadata"),
]


@pytest.mark.parametrize("model", [SQUEEZENET, "timm:test_vit", "efficientnet_lite0", "bvlc_googlenet"])
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files(run, photo, state, tmp_path, kind, model):
    path = tmp_path / f"{kind}.bin"
    make(kind, path, state)
    found = run("dream", photo, "-o", "o.png", "--model", model, "--weights", str(path), *QUICK)
    assert found.code == 2 and not Path("payload-ran").exists() and not Path("o.png").exists()
    assert found.err.count("\n") == 1 and "E_WEIGHTS" in found.err and len(found.err) < 1500, found.err
    if kind in ("wrong keys", "wrong shapes"):
        assert "is not for this network" in found.err
    if kind == "wrong keys":
        assert "other.4, …" in found.err and "other.5" not in found.err
    if kind == "wrong shapes" and model == SQUEEZENET:
        assert "features.0.weight [64, 3, 5, 5] instead of [64, 3, 3, 3]" in found.err
