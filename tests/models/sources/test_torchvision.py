"""torchvision's networks against torchvision itself, by value."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from phosphene import models
from phosphene.errors import PhospheneError
from phosphene.models import architecture
from phosphene.models.sources import Given
from phosphene.models.sources.torchvision import build

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGE = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(3))
MEAN, STD = (torch.tensor(three).view(3, 1, 1) for three in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def made(name, **options):
    torch.manual_seed(1)
    module = torchvision.models.get_model(name, weights=None, **options).eval()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
    return module


def seen(lens, layer):
    with torch.no_grad(), lens.watching([layer]) as look:
        return look(IMAGE)[layer]


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_state_dict_gives_what_torchvision_gives(tmp_path, ending):
    module, path = made("squeezenet1_1"), tmp_path / f"net.{ending}"
    save_file(module.state_dict(), path) if ending == "safetensors" else torch.save(module.state_dict(), path)
    lens = models.load("torchvision:squeezenet1_1", path, device="cpu")
    with torch.no_grad():
        expected = module.features((IMAGE - MEAN) / STD)
    assert torch.allclose(seen(lens, "features"), expected, rtol=1e-4, atol=1e-4)
    assert lens.head == "classifier.1" and lens.classes[281] == "tabby" and lens.size == 224
    assert "doesn't say how its input was prepared" in lens.notes[0] and len(lens.notes) == 1


def test_googlenet_transforms_its_input_as_with_published_weights(tmp_path):
    module = made("googlenet", init_weights=False, transform_input=True)  # with auxiliary heads, as published
    torch.save(module.state_dict(), tmp_path / "g.pth")
    lens = models.load("torchvision:googlenet", tmp_path / "g.pth", device="cpu")
    with torch.no_grad():
        expected = module((IMAGE - MEAN) / STD)
    assert torch.allclose(seen(lens, "fc"), expected, rtol=1e-4, atol=1e-4)
    assert lens.head == "fc" and len(lens.notes) == 1


def test_a_head_without_weights_is_still_the_head(tmp_path):
    state = made("squeezenet1_1").state_dict()
    torch.save({key: state[key] for key in state if key.startswith("features")}, tmp_path / "f.pth")
    lens = models.load("torchvision:squeezenet1_1", tmp_path / "f.pth", device="cpu")
    assert lens.head == "classifier.1" and "no weights for classifier.1.weight" in lens.notes[0]
    assert seen(lens, "features.12").dim() == 4
    with pytest.raises(PhospheneError, match=r"no weights for classifier\.1") as error:
        seen(lens, lens.head)
    assert error.value.code == "E_WEIGHTS"


def test_the_file_of_one_s_own_ten_classes(tmp_path):
    module = made("mobilenet_v3_small", num_classes=10)
    torch.save({"state_dict": {f"module.{k}": v for k, v in module.state_dict().items()}}, tmp_path / "m.pth")
    lens = models.load("torchvision:mobilenet_v3_small", tmp_path / "m.pth", device="cpu")
    assert seen(lens, lens.head).shape == (1, 10) and lens.classes == ()


def test_a_file_that_torchvision_published_is_known_by_its_digest(tmp_path, monkeypatch):
    module = made("squeezenet1_1")
    torch.save(module.state_dict(), tmp_path / "any.pth")
    digest = "b8a52dc0" + "0" * 56  # as in squeezenet1_1-b8a52dc0.pth
    known = architecture.Filled(module, digest, (), "classifier.1", 1000)
    monkeypatch.setattr(architecture, "filled", lambda *_: known)
    assert build("squeezenet1_1", str(tmp_path / "any.pth"), Given()).exact


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vgg61", "torchvision:vgg11"),
        ("", "there is no model"),
        ("fasterrcnn_resnet50_fpn", "is for detection"),
        ("quantized_googlenet", "is for quantization"),
        ("r3d_18", "is for video"),
        ("raft_small", "is for optical flow"),
        ("../x", "has no network"),
    ],
)
def test_what_it_is_not(name, words):
    with pytest.raises(PhospheneError, match=words) as error:
        models.load(f"torchvision:{name}", device="cpu", untrained=True)
    assert error.value.code == "E_MODEL"


def test_no_weights_is_an_error_and_untrained_is_told(monkeypatch):
    monkeypatch.setattr("phosphene.models.pull.cached", lambda _: "")
    with pytest.raises(PhospheneError, match=r"squeezenet1_1 here; give a file .*--weights") as error:
        models.load("torchvision:squeezenet1_1", device="cpu")
    assert error.value.code == "E_WEIGHTS"
    state = torch.random.get_rng_state()
    first, again = (models.load("torchvision:squeezenet1_1", device="cpu", untrained=True) for _ in range(2))
    assert "random weights" in first.notes[0] and torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(seen(first, "features.3"), seen(again, "features.3"))


def test_segmentation_networks_are_seen_and_nothing_is_downloaded():
    lens = models.load("torchvision:lraspp_mobilenet_v3_large", device="cpu", untrained=True)
    assert seen(lens, "backbone.16").dim() == 4
