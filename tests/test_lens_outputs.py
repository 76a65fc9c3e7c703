"""Networks as people write them: work in place, calls again, several tensors, tokens, odd attributes."""

import dataclasses
import threading
from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from networks import photo
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.features import settings, visualize
from phosphene.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGE = photo(2, 3, 70, 83)
Named = namedtuple("Named", "small large")
ways = pytest.mark.parametrize("plain", [True, False], ids=["plain", "fast"])


@dataclasses.dataclass
class Record:
    features: torch.Tensor
    count: int = 3


@torch.no_grad()
def look_at(lens, layers, image=IMAGE):
    with lens.watching(layers) as look:
        return look(image)


def refused(lens, layers, image=IMAGE):
    with pytest.raises(PhospheneError) as caught:
        look_at(lens, layers, image)
    assert "\n" not in str(caught.value)
    return caught.value.code, str(caught.value)


class Gives(nn.Module):
    """Its part "o" gives what `make` makes of a map [N, 6, 34, 41]."""

    class Part(nn.Module):
        def __init__(self, make):
            super().__init__()
            self.conv, self.make = nn.Conv2d(3, 6, 3, stride=2, padding=1), make

        def forward(self, x):
            return self.make(self.conv(x))

    def __init__(self, make):
        super().__init__()
        self.o = self.Part(make)

    def forward(self, x):
        return self.o(x)

    def raw(self, image=IMAGE):
        return self.o.conv(image).detach()


class TestWorkInPlace:
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
            self.second, self.end = nn.Conv2d(8, 8, 3, padding=1), nn.Identity()

        def forward(self, x):
            a = self.bn(self.conv(x))
            F.relu(a, inplace=True)
            b = self.second(a)
            b += a
            b.relu_()
            b.mul_(2)
            return self.end(b)

    @ways
    def test_every_layer_and_gradient_is_that_of_work_elsewhere(self, plain):
        network, image, leaf = self.Network().eval(), IMAGE.clone().requires_grad_(), IMAGE.clone()
        acts = {"conv": network.conv(leaf.requires_grad_())}
        acts["bn"] = network.bn(acts["conv"])
        acts["second"] = network.second(acts["bn"].relu())
        acts["end"] = 2 * (acts["second"] + acts["bn"].relu()).relu()
        with Lens(network, plain=plain).watching(acts) as look:
            got = look(image)
            sum(got[name].square().sum() for name in acts).backward()
        sum(act.square().sum() for act in acts.values()).backward()
        for name, act in acts.items():
            assert torch.allclose(got[name], act, atol=1e-5), name
        assert torch.allclose(image.grad, leaf.grad, rtol=1e-3, atol=1e-4)


class TestCalls:
    class Network(nn.Module):
        """`a` is also `b`; `block`, also `other`, runs once for every 40 px of width."""

        def __init__(self):
            super().__init__()
            self.a = self.b = nn.Conv2d(3, 3, 3, padding=1)
            self.block = self.other = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())

        def forward(self, x):
            x = self.a(x)
            for _ in range(x.shape[-1] // 40):
                x = self.other(x)
            return x

    @ways
    def test_each_by_its_number_under_all_names(self, plain):
        network = self.Network()
        got = look_at(Lens(network, plain=plain), ["a", "b", "block#0", "other#1", "other.1#0", "block.0#1"])
        with torch.no_grad():
            one = network.block(network.a(IMAGE))
            assert torch.allclose(got["a"], network.a(IMAGE), atol=1e-6) and torch.equal(got["a"], got["b"])
            assert torch.allclose(got["block#0"], one, atol=1e-6)
            assert torch.equal(got["other.1#0"], got["block#0"])
            assert torch.allclose(got["block.0#1"], network.block[0](one), atol=1e-6)
            assert torch.allclose(got["other#1"], network.block(one), atol=1e-6)

    @ways
    def test_without_a_number_it_is_refused(self, plain):
        code, said = refused(Lens(self.Network(), plain=plain), ["block"])
        assert code == "E_LAYER" and "'block#0', 'block#1'" in said
        assert "4 times only" in refused(Lens(self.Network(), plain=plain), ["block#9"])[1]

    def test_what_runs_again_only_in_large_pictures(self):
        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 1)

            def forward(self, x):
                for _ in range(1 + int(x.shape[-1] > 200)):
                    x = self.a(x)
                return self.b(x)

        lens = Lens(Network())
        assert look_at(lens, ["a"])["a"].shape == IMAGE.shape
        assert "'a#0', 'a#1'" in refused(lens, ["a"], torch.rand(1, 3, 64, 300))[1]

    def test_addresses_name_every_call_once(self):
        found = Lens(self.Network()).addresses(64, 96)
        assert found["a"] == (1, 3, 64, 96) and {"block#0", "block#1", "block.0#0"} <= found.keys()
        assert "block" not in found and "b" not in found


class TestItems:
    @ways
    @pytest.mark.parametrize(
        "make",
        [
            lambda y: (y, None, 3),
            lambda y: [y],
            lambda y: {"features": y, "logits": y.mean((2, 3))},
            lambda y: Record(y),
            lambda y: Named(y.mean((2, 3)), y),
            lambda y: (y, y.argmax(1)),
            lambda y: y.permute(0, 2, 3, 1),
        ],
    )
    def test_the_only_map_is_meant(self, make, plain):
        network = Gives(make)
        assert torch.allclose(look_at(Lens(network, plain=plain), ["o"])["o"], network.raw(), atol=1e-5)

    @ways
    def test_of_several_one_has_to_be_chosen(self, plain):
        network = Gives(lambda y: {"a": y, "b": {"c": [2 * y]}})
        lens = Lens(network, plain=plain)
        code, said = refused(lens, ["o"])
        assert code == "E_LAYER" and "'o[a]', 'o[b][c][0]'" in said
        got = look_at(lens, ["o[b][c][0]", "o[a]"])
        assert torch.allclose(got["o[b][c][0]"], 2 * network.raw(), atol=1e-5)
        assert torch.allclose(got["o[a]"], network.raw(), atol=1e-5)
        assert lens.addresses(64, 96)["o[a]"] == (1, 6, 32, 48)

    def test_fields_by_name(self):
        network = Gives(lambda y: Named(y.mean((2, 3)), y))
        got = look_at(Lens(network), ["o[small]"])["o[small]"]
        assert torch.allclose(got, network.raw().mean((2, 3)), atol=1e-5)

    @pytest.mark.parametrize(
        "make",
        [
            lambda y: y.argmax(1),
            lambda y: torch.fft.fft2(y),
            lambda y: y.mean(),
            lambda y: None,
            lambda y: (y.flatten(2).transpose(1, 2) @ y.flatten(2))[:, None],
            lambda y: y.unfold(2, 2, 2).flatten(0, 1),
            lambda y: torch.ones(1, 4, 8, 8),
        ],
        ids=["numbers", "complex", "scalar", "nothing", "attention", "windows", "constant"],
    )
    def test_what_is_no_map_is_refused(self, make):
        code, said = refused(Lens(Gives(make)), ["o"])
        assert code == "E_LAYER" and "expected [N, C, H, W]" in said


class TestTokens:
    class Network(nn.Module):
        def __init__(self, registers=0):
            super().__init__()
            self.embed = nn.Conv2d(3, 16, 8, 8)
            self.first = nn.Parameter(torch.randn(1, 1 + registers, 16))
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
            self.head = nn.Linear(16, 5)

        def forward(self, x):
            x = self.embed(x).flatten(2).transpose(1, 2)
            x = self.encoder(torch.cat([self.first.expand(len(x), -1, -1), x], 1))
            return self.head(self.attention(x, x, x)[0][:, 0])

    @ways
    @pytest.mark.parametrize("registers", [0, 4])
    def test_a_grid_and_what_comes_before_it(self, registers, plain):
        network = self.Network(registers).eval()
        got = look_at(Lens(network, plain=plain), ["encoder.layers.0", "encoder.layers.0@prefix", "head"])
        with torch.no_grad():
            patches = network.embed(IMAGE).flatten(2).transpose(1, 2)
            tokens = torch.cat([network.first.expand(2, -1, -1), patches], 1)
            expected = network.encoder.layers[0](tokens)
        grid, first = got["encoder.layers.0"], got["encoder.layers.0@prefix"]
        assert grid.shape == (2, 16, 8, 10) and first.shape == (2, 16, 1 + registers)
        for y, x in [(0, 0), (0, 9), (3, 4), (7, 9)]:
            assert torch.allclose(grid[:, :, y, x], expected[:, 1 + registers + 10 * y + x], atol=1e-5)
        assert torch.allclose(first[:, :, 0], expected[:, 0], atol=1e-5)
        assert got["head"].shape == (2, 5)

    def test_attention_with_its_weights_is_the_tokens(self):
        lens = Lens(self.Network())
        assert look_at(lens, ["attention"])["attention"].shape == (2, 16, 8, 10)
        assert lens.channels("attention") == 16 and lens.addresses(64, 96)["encoder@prefix"] == (1, 16, 1)

    def test_a_convolution_has_no_prefix(self):
        assert "@prefix" in refused(Lens(self.Network()), ["embed@prefix"])[1]


class TestWhatPeopleWrap:
    def network(self):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(True)).train()

    @pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
    def test_is_unwrapped(self, wrap):
        network = self.network()
        assert torch.equal(look_at(Lens(wrap(network)), ["2"])["2"], look_at(Lens(network), ["2"])["2"])
        assert network.training and network[2].inplace

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: torch.jit.script(nn.Sequential(nn.ReLU())), "TorchScript"),
            (lambda: nn.Sequential(nn.LazyConv2d(3, 3)), "run it once"),
            (lambda: nn.Sequential(nn.Conv2d(3, 3, 3, device="meta")), "meta device"),
            (lambda: {"0.weight": torch.zeros(1)}, "expected a torch.nn.Module"),
            (lambda: nn.ParameterList([torch.zeros(1, dtype=torch.complex64)]), "complex"),
        ],
    )
    def test_what_cannot_be_looked_into(self, make, words):
        with pytest.raises(PhospheneError, match=words) as caught:
            Lens(make())
        assert caught.value.code == "E_MODEL" and "\n" not in str(caught.value)

    def test_attributes_that_cannot_be_copied(self):
        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.lock = nn.Conv2d(3, 4, 3), threading.Lock()
                self.doubled = self.conv.weight * 2
                self.parts = {"lock": threading.Lock(), "conv": self.conv}

            def forward(self, x):
                with self.lock:
                    return self.parts["conv"](x) + self.doubled.mean()

        network = Network()
        lens = Lens(network)
        assert torch.allclose(look_at(lens, ["conv"])["conv"], network.conv(IMAGE), atol=1e-5)
        assert lens.module.parts["conv"] is lens.module.conv is not network.conv

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        "norm",
        [nn.utils.weight_norm, nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm],
    )
    @ways
    def test_weights_that_are_made_before_they_are_used(self, norm, plain):
        network = nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU())
        network(IMAGE)
        lens = Lens(network, plain=plain)
        assert torch.allclose(look_at(lens, ["1"])["1"], network.eval()(IMAGE), atol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_weights_in_other_dtypes(self, dtype):
        network = nn.Sequential(nn.Conv2d(3, 4, 3).to(dtype))
        expected = nn.functional.conv2d(IMAGE, network[0].weight.float(), network[0].bias.float())
        assert torch.allclose(look_at(Lens(network), ["0"])["0"], expected, atol=1e-5)


class TestGradients:
    class Network(nn.Module):
        def __init__(self, stop):
            super().__init__()
            self.a, self.b, self.stop = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), stop

        def forward(self, x):
            if self.stop == "detach":
                return self.b(self.a(x).detach())
            with torch.no_grad():
                x = self.a(x)
            return self.b(x)

    @ways
    @pytest.mark.parametrize("stop", ["detach", "no_grad"])
    def test_that_the_network_lets_not_through(self, stop, plain):
        lens = Lens(self.Network(stop), plain=plain)
        assert look_at(lens, ["b"])["b"].shape == (2, 4, 66, 79)
        with pytest.raises(PhospheneError) as caught:
            next(dream(IMAGE, "b", lens))
        assert caught.value.code == "E_ZERO_GRADIENT"
        assert next(dream(IMAGE, "a", Lens(self.Network("detach"), plain=plain))).image.shape == IMAGE.shape


class TestSize:
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Linear(4 * 16 * 16, 10)

        def forward(self, x):
            return self.fc(self.conv(x).flatten(1))

    @ways
    def test_one_that_a_layer_needs(self, plain):
        lens = Lens(self.Network(), size=32, plain=plain)
        assert look_at(lens, ["conv"])["conv"].shape == (2, 4, 35, 42)
        small = nn.functional.interpolate(IMAGE, (32, 32), mode="bilinear", antialias=True)
        for image, seen in ((IMAGE, small), (IMAGE[..., :32, :32], IMAGE[..., :32, :32])):
            acts = look_at(lens, ["fc", "conv", "input"], image)
            expected = lens.module(seen.contiguous(memory_format=torch.channels_last))
            assert torch.allclose(acts["fc"], expected, atol=1e-5)
            assert acts["conv"].shape == (2, 4, 16, 16) and acts["input"] is image

    @ways
    def test_the_whole_picture_follows_its_gradient(self, plain):
        lens = Lens(self.Network(), size=32, plain=plain)
        assert next(dream(IMAGE, "fc:3", lens)).image.shape == IMAGE.shape
        (seen,) = visualize("fc:3", lens, settings(steps=2), size=48)
        assert seen.image.shape == (3, 48, 48)

    def test_one_that_nobody_has_said(self):
        lens = Lens(self.Network())
        assert look_at(lens, ["fc"], IMAGE[..., :32, :32])["fc"].shape == (2, 10)
        assert "size=…" in refused(Lens(self.Network()), ["fc"])[1]

    def test_a_network_of_ones_own_is_not_copied(self):
        network = self.Network()
        assert Lens(network, own=True).module is network and Lens(network).module is not network
