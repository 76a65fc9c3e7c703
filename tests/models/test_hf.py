"""Folders in transformers' format, as `save_pretrained` writes them: loaded for real, bit for bit."""

import copy
import json
import shutil
import sys

import pytest
import torch
import transformers as t

from phosphene import models
from phosphene.errors import PhospheneError
from phosphene.models.sources import Given, hf
from towers import PROCESSOR, VISION, clip, clip_folder, drawn, saved, tokenizer

SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2]}
CASES = {  # network, patch, prefix, head, embedding
    "vit": (lambda: t.ViTForImageClassification(t.ViTConfig(**VISION, num_labels=5)), 8, 1, "classifier", ""),
    "vit alone": (lambda: t.ViTModel(t.ViTConfig(**VISION)), 8, 1, "", ""),
    "deit": (
        lambda: t.DeiTForImageClassification(t.DeiTConfig(**VISION, num_labels=5)),
        8,
        2,
        "classifier",
        "",
    ),
    "dinov2": (
        lambda: t.Dinov2Model(t.Dinov2Config(**{**VISION, "image_size": 35, "patch_size": 7})),
        7,
        1,
        "",
        "",
    ),
    "registers": (
        lambda: t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**VISION, num_register_tokens=3)),
        8,
        4,
        "",
        "",
    ),
    "dinov3": (lambda: t.DINOv3ViTModel(t.DINOv3ViTConfig(**VISION, num_register_tokens=3)), 8, 4, "", ""),
    "swin": (
        lambda: t.SwinForImageClassification(t.SwinConfig(**SWIN, window_size=4, num_labels=5)),
        4,
        0,
        "classifier",
        "",
    ),
    "convnext": (
        lambda: t.ConvNextForImageClassification(
            t.ConvNextConfig(hidden_sizes=[8, 12, 16, 16], depths=[1, 1, 1, 1], num_labels=5, image_size=64)
        ),
        0,
        0,
        "classifier",
        "",
    ),
    "clip": (clip, 8, 1, "", "visual_projection"),
    "clip's eye": (lambda: t.CLIPVisionModel(t.CLIPVisionConfig(**VISION)), 8, 1, "", ""),
    "siglip": (
        lambda: t.SiglipModel(
            t.SiglipConfig(
                text_config={**VISION, "vocab_size": 60, "max_position_embeddings": 12}, vision_config=VISION
            )
        ),
        8,
        0,
        "",
        "vision_model.head",
    ),
}
OTHER = [(70, 101), (64, 96), (40, 72)]


@pytest.fixture(autouse=True)
def _quick(one_thread):
    pass


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Each of the networks, and the folder that it is in."""
    made = {}

    def get(case):
        if case not in made:
            torch.manual_seed(0)
            network = drawn(CASES[case][0]())
            made[case] = network, saved(tmp_path_factory.mktemp("hf"), network)
        return made[case]

    return get


def given(output):
    return output.logits if "logits" in output else output.last_hidden_state


def forward(network, x):
    if hasattr(network, "get_image_features"):
        return network.get_image_features(x).pooler_output
    return given(network(x))


def found(module, x):
    y = module(x)
    return y if isinstance(y, torch.Tensor) else given(y)


each = pytest.mark.parametrize("case", CASES)


@each
def test_a_folder_is_the_librarys_own_network_bit_for_bit(folders, case):
    network, folder = folders(case)
    _, patch, prefix, head, embedding = CASES[case]
    built = hf.build(str(folder), "", Given())
    assert (built.patch, built.prefix, built.head, built.embedding) == (patch, prefix, head, embedding)
    assert (built.mean, built.std, built.scale) == ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), 1.0)
    assert built.exact and not built.notes and len(built.weights_sha256) == 64
    x = torch.randn(2, 3, built.size, built.size, generator=torch.Generator().manual_seed(1)).requires_grad_()
    wanted = forward(copy.deepcopy(network), x)
    y = found(copy.deepcopy(built.module).eval(), x)  # as a lens takes it
    assert torch.equal(y, wanted)
    g = [torch.autograd.grad(out.square().sum(), x)[0] for out in (y, wanted)]
    assert torch.equal(*g)


@each
@pytest.mark.parametrize("size", OTHER)
def test_any_other_size(folders, case, size):
    network, folder = folders(case)
    built = hf.build(str(folder), "", Given())
    x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1)).requires_grad_()
    y = found(built.module.eval(), x)
    assert bool(torch.isfinite(y).all())
    (g,) = torch.autograd.grad(y.square().sum(), x)
    assert bool((g != 0).any(1).all()) or case == "convnext"
    if size == (64, 96) and built.patch == 8 and "vit" in case:
        inner = network.vit if hasattr(network, "vit") else network
        wanted = inner(x, **({} if "dino" in case else {"interpolate_pos_encoding": True})).last_hidden_state
        assert wanted.shape[1] == 8 * 12 + built.prefix


def test_positions_of_another_size_are_what_numpy_makes_of_them(folders):
    from test_anysize import resized

    network, folder = folders("vit alone")
    lens = models.load(f"hf:{folder}")
    seen = {}
    lens.module.embeddings.register_forward_hook(lambda _m, _i, out: seen.update(out=out))
    x = torch.rand(1, 3, 48, 72, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        lens.module(lens.prepare(x))
    kernel, bias = network.embeddings.patch_embeddings.projection.parameters()
    pixels = (x - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.2, 0.25, 0.3]).view(3, 1, 1)
    blocks = pixels.double().reshape(3, 6, 8, 9, 8).permute(1, 3, 0, 2, 4).reshape(54, -1)
    patches = blocks @ kernel.double().reshape(32, -1).T + bias
    table = network.embeddings.position_embeddings[0].detach().double().numpy()
    wanted = patches.detach().numpy() + resized(table[1:].reshape(4, 4, 32), (6, 9)).reshape(54, 32)
    assert abs(seen["out"][0, 1:].double().numpy() - wanted).max() < 1e-4


class TestWeights:
    def test_a_file_replaces_them(self, folders, tmp_path):
        network, folder = folders("vit")
        torch.manual_seed(5)
        other = drawn(t.ViTForImageClassification(network.config), 7)
        file = saved(tmp_path, other) / "model.safetensors"
        built = hf.build(str(folder), str(file), Given())
        x = torch.randn(1, 3, 32, 32)
        torch.testing.assert_close(found(built.module.eval(), x), forward(other, x))
        assert not built.exact

    def test_shards(self, folders, tmp_path):
        network, _ = folders("vit")
        network.save_pretrained(tmp_path, max_shard_size="20KB")
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        built = hf.build(str(tmp_path), "", Given())
        x = torch.randn(1, 3, 32, 32)
        torch.testing.assert_close(found(built.module.eval(), x), forward(network, x))

    def test_an_index_that_leads_elsewhere(self, folders, tmp_path):
        _, folder = folders("vit")
        shutil.copy(folder / "config.json", tmp_path)
        (tmp_path / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"a": "../../elsewhere.safetensors"}})
        )
        with pytest.raises(PhospheneError, match="expected files beside it") as error:
            hf.build(str(tmp_path), "", Given())
        assert error.value.code == "E_WEIGHTS"

    def test_a_pickle_with_code_is_refused_and_does_not_run(self, folders, tmp_path):
        _, folder = folders("vit")
        shutil.copy(folder / "config.json", tmp_path)

        class Payload:
            def __reduce__(self):
                return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

        torch.save({"vit.layernorm.weight": Payload()}, tmp_path / "pytorch_model.bin")
        with pytest.raises(PhospheneError) as error:
            hf.build(str(tmp_path), "", Given())
        assert error.value.code == "E_WEIGHTS" and not (tmp_path / "ran").exists()

    def test_those_of_another_network(self, folders):
        with pytest.raises(PhospheneError, match="not for this network") as error:
            hf.build(str(folders("vit")[1]), str(folders("convnext")[1] / "model.safetensors"), Given())
        assert error.value.code == "E_WEIGHTS"

    def test_a_head_that_is_missing_is_told_and_can_not_run(self, folders, tmp_path):
        network, _ = folders("vit")
        folder = saved(tmp_path, network)
        state = {key: value for key, value in network.state_dict().items() if "classifier" not in key}
        network.save_pretrained(tmp_path, state_dict=state)
        lens = models.load(f"hf:{folder}")
        assert any("no weights for classifier" in note for note in lens.notes)
        with pytest.raises(PhospheneError) as error:
            lens.module(torch.randn(1, 3, 32, 32))
        assert error.value.code == "E_WEIGHTS"

    def test_none(self, folders, tmp_path):
        shutil.copy(folders("vit")[1] / "config.json", tmp_path)
        with pytest.raises(PhospheneError, match="--weights FILE"):
            hf.build(str(tmp_path), "", Given())
        first, again = (hf.build(str(tmp_path), "", Given(untrained=True)) for _ in range(2))
        assert "random" in first.notes[0]
        state = zip(first.module.state_dict().values(), again.module.state_dict().values(), strict=True)
        assert all(torch.equal(*pair) for pair in state)


class TestProcessor:
    def build(self, folder, tmp_path, processor, name="preprocessor_config.json"):
        for file in ("config.json", "model.safetensors"):
            shutil.copy(folder / file, tmp_path)
        (tmp_path / name).write_text(processor if isinstance(processor, str) else json.dumps(processor))
        return hf.build(str(tmp_path), "", Given())

    def test_none_asks_for_the_flags(self, folders, tmp_path):
        for file in ("config.json", "model.safetensors"):
            shutil.copy(folders("vit")[1] / file, tmp_path)
        assert hf.build(str(tmp_path), "", Given()).mean == ()
        with pytest.raises(PhospheneError, match="--mean and --std"):
            models.load(f"hf:{tmp_path}")
        assert models.load(f"hf:{tmp_path}", mean="0.5", std="0.5").patch == 8

    def test_raw_values_not_normalised(self, folders, tmp_path):
        built = self.build(
            folders("vit")[1], tmp_path, {**PROCESSOR, "do_normalize": False, "do_rescale": False}
        )
        assert (built.mean, built.std, built.scale) == ((0.0,), (1.0,), 255.0)

    def test_a_scale_with_an_offset_and_channels_the_other_way(self, folders, tmp_path):
        said = {
            **PROCESSOR,
            "rescale_factor": 1 / 127.5,
            "rescale_offset": True,
            "do_flip_channel_order": True,
        }
        built = self.build(folders("vit")[1], tmp_path, said)
        assert built.scale == pytest.approx(2) and built.channel_order == "bgr"
        assert built.mean == pytest.approx((1.5, 1.4, 1.3))

    def test_inside_a_processor_of_text_and_pictures(self, folders, tmp_path):
        built = self.build(
            folders("vit")[1], tmp_path, {"image_processor": PROCESSOR}, "processor_config.json"
        )
        assert built.mean == (0.5, 0.4, 0.3)

    def test_what_a_file_leaves_out_is_its_classes(self, folders, tmp_path):
        built = self.build(folders("vit")[1], tmp_path, {"image_processor_type": "ViTImageProcessor"})
        assert (built.mean, built.std) == ((0.5,) * 3, (0.5,) * 3)

    @pytest.mark.parametrize(
        "said", ["{", "[]", {**PROCESSOR, "image_mean": ["x"]}, {**PROCESSOR, "image_std": [0, 1, 1]}]
    )
    def test_nonsense(self, folders, tmp_path, said):
        with pytest.raises(PhospheneError) as error:
            self.build(folders("vit")[1], tmp_path, said)
        assert error.value.code == "E_MODEL"


class TestNames:
    @pytest.mark.parametrize("name", ["./not/there", "/not/there", "../x", "a b", ""])
    def test_no_such_folder(self, name):
        with pytest.raises(PhospheneError) as error:
            hf.build(name or " ", "", Given())
        assert error.value.code == "E_MODEL"

    def test_a_name_of_the_hub_that_is_not_here_is_not_looked_for_in_the_net(self, monkeypatch):
        import socket

        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("the net was asked"))
        with pytest.raises(PhospheneError, match="neither a folder") as error:
            hf.build("somebody/some-network", "", Given())
        assert error.value.code == "E_WEIGHTS"

    @pytest.mark.parametrize(
        "config", ["{", "[]", "{}", '{"model_type": "no_such_thing"}', '{"model_type": "bert"}']
    )
    def test_a_config_that_is_none(self, tmp_path, config):
        (tmp_path / "config.json").write_text(config)
        with pytest.raises(PhospheneError) as error:
            hf.build(str(tmp_path), "", Given())
        assert error.value.code in {"E_MODEL", "E_WEIGHTS"}

    def test_code_in_the_folder_does_not_run(self, tmp_path):
        (tmp_path / "modeling_x.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        auto = {"AutoConfig": "modeling_x.C", "AutoModel": "modeling_x.M"}
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "x", "auto_map": auto}))
        with pytest.raises(PhospheneError) as error:
            hf.build(str(tmp_path), "", Given())
        assert error.value.code == "E_MODEL" and not (tmp_path / "ran").exists()

    def test_networks_that_look_at_no_picture(self, tmp_path):
        small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        text = {**small, "vocab_size": 30, "max_position_embeddings": 8}
        patches = t.Siglip2Config(
            text_config={**text, "bos_token_id": 1, "eos_token_id": 2},
            vision_config={**small, "num_patches": 16},
        )
        torch.manual_seed(0)
        for network in (t.BertModel(t.BertConfig(**text)), t.Siglip2Model(patches)):
            saved(tmp_path, network)
            with pytest.raises(PhospheneError, match="looks at no plain picture") as error:
                hf.build(str(tmp_path), "", Given())
            assert error.value.code == "E_MODEL"

    def test_without_the_library(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(PhospheneError, match=r'pip install "phosphene\[transformers\]"') as error:
            hf.build("some/thing", "", Given())
        assert error.value.code == "E_MODEL"


def test_classes_by_name(tmp_path):
    torch.manual_seed(0)
    config = t.ViTConfig(
        **VISION, id2label={0: "tench", 1: "cat, tabby"}, label2id={"tench": 0, "cat, tabby": 1}
    )
    saved(tmp_path, drawn(t.ViTForImageClassification(config)))
    lens = models.load(f"hf:{tmp_path}")
    assert lens.classes == ("tench", "cat, tabby") and lens.head == "classifier"


class TestText:
    def test_embeddings_are_the_librarys(self, tmp_path):
        network = clip_folder(tmp_path)
        lens = models.load(f"hf:{tmp_path}")
        ids = t.AutoTokenizer.from_pretrained(tmp_path)(
            ["a cat", "coral reef"], padding=True, return_tensors="pt"
        )
        with torch.no_grad():
            wanted = network.get_text_features(**ids).pooler_output
        wanted = wanted / wanted.norm(dim=1, keepdim=True)
        torch.testing.assert_close(lens.text(["a cat", "coral reef"]), wanted)

    def test_siglip_reads_prompts_as_it_was_trained(self, tmp_path):
        words = len(tokenizer(tmp_path))
        torch.manual_seed(0)
        ends = {"vocab_size": words, "max_position_embeddings": 12, "bos_token_id": 1, "eos_token_id": 2}
        config = t.SiglipConfig(text_config={**VISION, **ends}, vision_config=VISION)
        network = drawn(t.SiglipModel(config))
        saved(tmp_path, network)
        ids = t.AutoTokenizer.from_pretrained(tmp_path)(
            ["coral reef"], padding="max_length", max_length=12, return_tensors="pt"
        ).input_ids
        with torch.no_grad():
            wanted = network.get_text_features(ids).pooler_output
        wanted = wanted / wanted.norm(dim=1, keepdim=True)
        torch.testing.assert_close(models.load(f"hf:{tmp_path}").text(["coral reef"]), wanted)

    def test_a_prompt_that_is_too_long(self, tmp_path):
        clip_folder(tmp_path)
        with pytest.raises(PhospheneError, match="at most 20"):
            models.load(f"hf:{tmp_path}").text(["a cat " * 20])

    def test_no_tokenizer(self, tmp_path):
        saved(tmp_path, clip())
        with pytest.raises(PhospheneError, match="no tokenizer") as error:
            models.load(f"hf:{tmp_path}").text(["cat"])
        assert error.value.code == "E_PARAM"

    def test_the_text_tower_is_no_layer(self, tmp_path):
        clip_folder(tmp_path)
        lens = models.load(f"hf:{tmp_path}")
        assert lens.layers and not any("text" in layer for layer in lens.layers)


class TestCache:
    def test_the_hubs_cache_is_read_as_its_library_wrote_it(self, folders, tmp_path, monkeypatch):
        _, folder = folders("vit")
        commit = "0123456789abcdef" * 2 + "01234567"
        place = tmp_path / "models--somebody--net"
        (place / "refs").mkdir(parents=True)
        (place / "refs/main").write_text(commit)
        shutil.copytree(folder, place / "snapshots" / commit)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        lens = models.load("hf:somebody/net")
        assert lens.classes == () and lens.head == "classifier"
        (place / "refs/main").write_text("../../..")
        with pytest.raises(PhospheneError, match="neither a folder"):
            models.load("hf:somebody/net")
