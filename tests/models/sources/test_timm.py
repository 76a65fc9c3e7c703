"""timm's networks against timm itself, by value."""

import pytest
import timm
import torch

from phosphene import models
from phosphene.errors import PhospheneError

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def atto(tmp_path_factory):
    torch.manual_seed(0)
    module = timm.create_model("convnext_atto").eval()
    path = tmp_path_factory.mktemp("timm") / "atto.pth"
    torch.save(module.state_dict(), path)
    return module, path


def test_a_state_dict_gives_what_timm_gives(atto):
    module, path = atto
    lens = models.load("timm:convnext_atto", path, device="cpu")
    mean, std = (torch.tensor(module.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad(), lens.watching([lens.head]) as look:
        assert torch.allclose(look(IMAGE)[lens.head], module((IMAGE - mean) / std), rtol=1e-4, atol=1e-4)
    assert lens.head == "head.fc" and lens.classes[281] == "tabby, tabby cat"
    assert "timm:convnext_atto has: rgb, 0 to 1" in lens.notes[0]


def test_a_tag_brings_its_own_classes_and_preparation():
    lens = models.load("timm:mobilenetv3_small_050.lamb_in1k", device="cpu", untrained=True)
    assert len(lens.classes) == 1000 and lens.head == "classifier"
    other = models.load("timm:tf_mobilenetv3_small_minimal_100.in1k", device="cpu", untrained=True)
    assert lens.zero.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert other.zero.flatten().tolist() == [0.5, 0.5, 0.5]


def test_one_s_own_classes(atto, tmp_path):
    state = atto[0].state_dict() | {"head.fc.weight": torch.ones(7, 320), "head.fc.bias": torch.ones(7)}
    torch.save(state, tmp_path / "own.pth")
    lens = models.load("timm:convnext_atto", tmp_path / "own.pth", device="cpu")
    assert lens.channels(lens.head) == 7 and lens.classes == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("convnext_ato", "timm:convnext_atto"),
        ("hf-hub:someone/something", "has no network"),
        ("hf_hub:someone/something", "has no network"),
        ("local-dir:/tmp", "has no network"),
        ("convnext_atto.no_such_tag", "no_such_tag"),
        ("/etc/passwd", "has no network"),
    ],
)
def test_only_what_is_in_timm_itself(name, words):
    with pytest.raises(PhospheneError, match=words) as error:
        models.load(f"timm:{name}", device="cpu", untrained=True)
    assert error.value.code == "E_MODEL"
