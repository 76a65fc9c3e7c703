"""The registry: names, defaults, errors, and that it costs no torch."""

import subprocess
import sys

import pytest

from phosphene import models
from phosphene.errors import PhospheneError


def test_importing_the_registry_imports_no_torch():
    code = "import sys, phosphene.models as m; m.find('bvlc_googlenet'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_the_networks_and_where_they_dream():
    found = {model.name: model for model in models.available()}
    assert list(found)[:3] == ["efficientnet_lite2", "efficientnet_lite0", "bvlc_googlenet"]
    assert found["efficientnet_lite2"].objective == "blocks.4.1"
    assert found["efficientnet_lite0"].objective == "blocks.4.2 + blocks.3.2"
    assert found["bvlc_googlenet"].objective == "inception_4c/output"
    assert found["bvlc_googlenet"].guide_layer == "inception_3b/output"
    assert [name for name, model in found.items() if not model.needs_weights] == list(found)[:2]


NAMED = ["googlenet", "inception_v3", "vgg16", "vgg19", "resnet50", "convnext_tiny"]


@pytest.mark.parametrize("name", [f"torchvision:{name}" for name in NAMED])
def test_what_everybody_asks_for_has_a_card(name):
    card = models.find(name)
    assert card.name == name and card.objective in card.layers and card.licence and card.needs_weights


@pytest.mark.parametrize("name", ["hf:/etc", "hf:../a", "hf:~/a", "open_clip:a/b/c", "hf:here", "python:os"])
def test_strangers_name_no_folders_and_no_code(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(PhospheneError, match="a stranger names"):
        models.refuse_files(name, "a stranger")
    for card in models.available():
        models.refuse_files(card.name, "a stranger")


@pytest.mark.parametrize("card", models.available(), ids=lambda card: card.name)
def test_a_card_s_layers_are_there(card):
    import timm
    import torch
    import torchvision

    source, _, name = card.name.partition(":")
    assert card.summary and card.licence and (bool(card.objective) or source in ("hf", "open_clip"))
    if source not in ("torchvision", "timm"):
        return
    with torch.device("meta"):
        if source == "timm":
            made = timm.create_model(name)
        else:
            more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
            made = torchvision.models.get_model(name, **more)
    assert {card.objective, card.guide_layer, *card.layers} <= dict(made.named_modules()).keys()


def test_a_tag_has_the_card_of_its_architecture():
    assert models.find("timm:convnext_tiny.fb_in22k").objective == "stages.2.blocks.5"
    other = models.find("timm:regnety_002")
    assert (other.name, other.objective, other.needs_weights) == ("timm:regnety_002", "", True)


@pytest.mark.parametrize("name", ["torchvision:", "nowhere:resnet50", ":", "C:\\net.pth", "torchvision"])
def test_names_that_are_none(name):
    with pytest.raises(PhospheneError, match="there is no model") as error:
        models.find(name)
    assert error.value.code == "E_MODEL"


def test_an_unknown_model_lists_the_nearest():
    with pytest.raises(PhospheneError, match=r"googlenet'; the nearest are .*bvlc_googlenet") as error:
        models.find("googlenet")
    assert error.value.code == "E_MODEL"


def test_bvlc_googlenet_without_weights_says_what_to_give():
    with pytest.raises(PhospheneError, match=r"--weights bvlc_googlenet\.safetensors.*\.caffemodel") as error:
        models.load("bvlc_googlenet")
    assert error.value.code == "E_WEIGHTS"


@pytest.mark.parametrize(
    ("gpus", "mps", "name", "got"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "mps"),
        (2, True, "auto", "cuda:0"),
        (2, False, "cuda", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
        (2, False, "cpu", "cpu"),
        (0, False, "cuda", None),
        (2, False, "cuda:2", None),
        (0, False, "mps", None),
        (0, False, "toaster", None),
    ],
)
def test_devices(monkeypatch, gpus, mps, name, got):
    import torch

    from phosphene.models.device import pick, present

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    if got:
        assert pick(name) == got
    else:
        with pytest.raises(PhospheneError, match=", ".join(present())) as error:
            pick(name)
        assert error.value.code == "E_DEVICE"
