"""The user's own code: run where the user names it, and nowhere else."""

import sys

import pytest
import torch
from safetensors.torch import save_file

from phosphene import models, settings
from phosphene.errors import PhospheneError

CODE = """
import torch
from torch import nn
from phosphene import Lens
import helper_of_mine

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 3))

def prepared():
    return Lens(build(), mean=(1, 2, 3), std=(4, 5, 6), scale=255, channel_order="bgr", head="2", size=64)

class Grey(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
    def forward(self, x):
        return {"out": self.conv(x)}

class Holder:
    grey = Grey

def fails():
    raise ValueError("my own\\nmistake")

def leaves():
    raise SystemExit(3)

def three():
    return 3
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    (tmp_path / "mine_for_tests.py").write_text(CODE)
    (tmp_path / "helper_of_mine.py").write_text("")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("mine_for_tests", "helper_of_mine"):
        sys.modules.pop(name, None)


def load(name, weights="", **said):
    return models.load(f"python:mine_for_tests:{name}", weights, device="cpu", **said)


def test_a_module_with_what_the_user_says(desk):
    path = list(sys.path)
    lens = load("build", mean="0.5", std="0.25", range="0..255", channel_order="bgr")
    image = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert lens.prepare(image)[0, :, 0, 0].tolist() == [(255 - 0.5) * 4, 127 * 4, -2]
    assert sys.path == path


def test_a_module_that_says_nothing_names_the_flags(desk):
    with pytest.raises(PhospheneError, match=r"python:mine_for_tests:build.*--mean.*--std") as error:
        load("build")
    assert error.value.code == "E_PARAM"


def test_a_lens_says_all_itself(desk):
    lens, image = load("prepared"), torch.rand(1, 3, 8, 8)
    mean, std = (torch.tensor(three).view(3, 1, 1) for three in ([1, 2, 3], [4, 5, 6]))
    assert torch.allclose(lens.prepare(image), (255 * image.flip(1) - mean) / std, atol=1e-4)
    assert (lens.head, lens.size, lens.name) == ("2", 64, "python:mine_for_tests:prepared")


def test_a_file_is_fitted(desk):
    state = {key: (value + 1).contiguous() for key, value in load("prepared").module.state_dict().items()}
    save_file(state, desk / "w.safetensors")
    lens = load("prepared", desk / "w.safetensors")
    assert torch.equal(lens.module[0].weight, state["0.weight"]) and len(lens.weights_sha256) == 64


def test_grey_networks_and_classes_as_functions(desk):
    lens = load("Holder.grey", mean=0.5, std=0.5, channel_order="l")
    with torch.no_grad(), lens.watching(["conv"]) as look:
        assert look(torch.rand(1, 3, 8, 8))["conv"].shape == (1, 4, 6, 6)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mine_for_tests:fails", "ValueError: my own mistake"),
        ("mine_for_tests:leaves", "SystemExit"),
        ("mine_for_tests:three", "gives int, expected an nn.Module or a phosphene.Lens"),
        ("mine_for_tests:nothing", "no attribute 'nothing'"),
        ("no_such_module:build", "No module named 'no_such_module'"),
        ("mine_for_tests", "expected python:MODULE:FUNCTION"),
        ("os;x:build", "expected python:MODULE:FUNCTION"),
        ("../mine:build", "expected python:MODULE:FUNCTION"),
    ],
)
def test_mistakes_are_one_line(desk, name, words):
    with pytest.raises(PhospheneError, match=words) as error:
        models.load(f"python:{name}", device="cpu")
    assert error.value.code == "E_MODEL" and "\n" not in str(error.value)


@pytest.mark.parametrize("place", ["project", "config", "environment"])
@pytest.mark.parametrize("name", ["python:mine_for_tests:build", " Python :mine_for_tests:build"])
def test_code_is_named_on_the_command_line_only(desk, place, name):
    environment = {"XDG_CONFIG_HOME": str(desk)}
    (desk / "other.toml").write_text(f'model = "{name}"')
    if place == "project":
        (desk / "phosphene.toml").write_text(f'model = "{name}"')
    if place == "environment":
        environment["PHOSPHENE_MODEL"] = name
    config = "other.toml" if place == "config" else ""
    with pytest.raises(PhospheneError, match="is code to run") as error:
        settings.gather({}, environment=environment, config=config)
    assert error.value.code == "E_MODEL"
    typed = settings.gather({"model": "python:mine_for_tests:build"}, environment=environment, config=config)
    assert typed.dream.model == "python:mine_for_tests:build" and typed.dream.objective == ""
    assert "mine_for_tests" not in sys.modules
