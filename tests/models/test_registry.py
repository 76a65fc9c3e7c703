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
    assert list(found) == ["efficientnet_lite2", "efficientnet_lite0", "bvlc_googlenet"]
    assert found["efficientnet_lite2"].objective == "blocks.4.1"
    assert found["efficientnet_lite0"].objective == "blocks.4.2 + blocks.3.2"
    assert found["bvlc_googlenet"].objective == "inception_4c/output"
    assert found["bvlc_googlenet"].guide_layer == "inception_3b/output"
    assert [model.needs_weights for model in found.values()] == [False, False, True]


def test_an_unknown_model_lists_the_nearest():
    with pytest.raises(PhospheneError, match="googlenet'; the nearest are bvlc_googlenet") as error:
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
