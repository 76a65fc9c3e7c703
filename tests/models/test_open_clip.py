"""Networks of open_clip: folders in its format, files for its architectures; bit for bit at their size."""

import copy
import json
import logging
import sys

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from phosphene import models
from phosphene.errors import PhospheneError
from phosphene.models.sources import Given
from phosphene.models.sources import open_clip as source
from towers import drawn

VIT = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 16}
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None, "head_width": 16}
TIMM = {"image_size": 224, "timm_model_name": "vit_tiny_patch16_224", "timm_pool": "", "timm_proj": "linear"}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
PREPARED = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
CASES = {"vit": (VIT, 8, 1), "resnet": (RESNET, 0, 0), "timm": ({**TIMM, "timm_pool": "token"}, 16, 1)}


@pytest.fixture(autouse=True)
def _quick(one_thread):
    pass


def folder_of(place, vision, prepared=PREPARED):
    """A folder as `open_clip` publishes them, and the library's own network."""
    said = {"model_cfg": {"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT}}
    (place / "open_clip_config.json").write_text(
        json.dumps({**said, **({"preprocess_cfg": prepared} if prepared else {})})
    )
    torch.manual_seed(0)
    with source._quiet():
        network = drawn(open_clip.create_model(f"local-dir:{place}", load_weights=False))
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, place / "open_clip_model.safetensors")
    return network


@pytest.mark.parametrize("case", CASES)
def test_a_folder_is_the_librarys_own_network_bit_for_bit(tmp_path, case):
    vision, patch, prefix = CASES[case]
    network = folder_of(tmp_path, vision)
    built = source.build(str(tmp_path), "", Given())
    assert (built.patch, built.prefix, built.size) == (patch, prefix, vision["image_size"])
    assert built.mean == (0.5, 0.4, 0.3) and built.exact and not built.notes
    module = copy.deepcopy(built.module).eval()
    x = torch.randn(2, 3, built.size, built.size, generator=torch.Generator().manual_seed(1)).requires_grad_()
    wanted, y = copy.deepcopy(network).encode_image(x), module(x)
    assert torch.equal(y, wanted)
    assert torch.equal(*(torch.autograd.grad(out.square().sum(), x)[0] for out in (y, wanted)))
    for size in ((70, 101), (96, 64), (72, 80)):
        x = torch.randn(1, 3, *size).requires_grad_()
        (g,) = torch.autograd.grad(module(x).square().sum(), x)
        assert bool((g != 0).any(1).all()) or not patch
    words = ["a cat", "coral"]
    ids = open_clip.get_tokenizer(f"local-dir:{tmp_path}")(words)
    with torch.no_grad():
        torch.testing.assert_close(built.text(words), network.encode_text(ids, normalize=True))


def test_another_size_is_as_the_library_loads_it_at_that_size(tmp_path):
    folder_of(tmp_path, VIT)
    with source._quiet():
        larger = open_clip.create_model(f"local-dir:{tmp_path}", force_image_size=96).eval()
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    module = source.build(str(tmp_path), "", Given()).module.eval()
    torch.testing.assert_close(module(x), larger.encode_image(x), atol=1e-5, rtol=1e-4)


class TestNames:
    def test_a_file_for_an_architecture(self, tmp_path, monkeypatch):
        network = folder_of(tmp_path, VIT)
        config = json.loads((tmp_path / "open_clip_config.json").read_text())["model_cfg"]
        (tmp_path / "tiny-B.json").write_text(json.dumps(config))
        open_clip.add_model_config(tmp_path / "tiny-B.json")
        file = tmp_path / "open_clip_model.safetensors"
        built = source.build("tiny-B", str(file), Given())
        x = torch.randn(1, 3, 32, 32)
        torch.testing.assert_close(built.module.eval()(x), network.encode_image(x))
        assert built.mean == () and not built.exact
        with pytest.raises(PhospheneError, match="--mean and --std"):
            models.load("open_clip:tiny-B", file)
        assert models.load("open_clip:tiny-B", file, mean="0.5", std="0.5").embedding == "visual"

    def test_what_the_library_knows_of_an_architecture_and_of_weights(self):
        said, file = source._tagged(open_clip, "ViT-B-32", "laion2b_s34b_b79k")
        assert said["mean"] == pytest.approx((0.48145466, 0.4578275, 0.40821073)) and file == ""
        assert source._tagged(open_clip, "ViT-B-16-SigLIP", "")[0]["mean"] == (0.5, 0.5, 0.5)

    @pytest.mark.parametrize(
        ("name", "code", "words"),
        [
            ("ViT-B-33", "E_MODEL", "the nearest are ViT-B-32"),
            ("ViT-B-32/laion2", "E_MODEL", "the nearest are laion2b_e16"),
            ("ViT-B-32/laion2b_s34b_b79k", "E_WEIGHTS", "--weights FILE"),
            ("roberta-ViT-B-32", "E_MODEL", "text tower from the hub"),
        ],
    )
    def test_what_is_not_there(self, name, code, words):
        with pytest.raises(PhospheneError, match=words) as error:
            source.build(name, "", Given())
        assert error.value.code == code

    def test_a_folder_without_configuration(self, tmp_path):
        with pytest.raises(PhospheneError) as error:
            source.build(str(tmp_path), "", Given())
        assert error.value.code == "E_MODEL"

    def test_without_the_library(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "open_clip", None)
        with pytest.raises(PhospheneError, match=r'pip install "phosphene\[open_clip\]"'):
            source.build("ViT-B-32", "", Given())

    def test_nothing_is_left_in_the_logs(self, tmp_path):
        folder_of(tmp_path, VIT)
        root = logging.getLogger()
        before = list(root.handlers), root.manager.disable
        source.build(str(tmp_path), "", Given())
        assert (list(root.handlers), root.manager.disable) == before
