"""The fast path against the plain one and against doubles, by value, on real architectures."""

import copy
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from statistics import median

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from networks import Twice, branching, photo, seeded, strided, unpadded
from phosphene.ascent import Fast, ready
from phosphene.ascent.kernel import Kernel
from phosphene.ascent.steps import Convolution
from phosphene.lens import Lens
from phosphene.memory import _Counted
from phosphene.models import efficientnet_lite
from phosphene.models.bvlc_googlenet import BVLCGoogLeNet
from phosphene.models.fit import NoWeights

WEIGHTS = Path(__file__).resolve().parents[2] / "shared/data/weights/bvlc_googlenet.safetensors"
NAMES = ["efficientnet_lite0", "efficientnet_lite2", "bvlc", "googlenet", "resnet50", "vgg16"]
LAYERS = {  # where the gradient is taken, and layers before and after activations
    "efficientnet_lite0": ("blocks.4.1", "conv_stem bn1 bn1.drop bn1.act blocks.1.0.conv_pw blocks.2.1"),
    "efficientnet_lite2": ("blocks.4.1", "blocks.1.1.bn2 blocks.2.0.conv_dw blocks.2.0.bn3 blocks.3.1"),
    "bvlc": ("inception_4c/output", "conv1/7x7_s2 pool1/norm1 inception_3a/relu_5x5 inception_3b/5x5_reduce"),
    "googlenet": ("inception4c", "conv1.conv conv1.bn conv1 maxpool1 inception3a inception3b.branch2.1.bn"),
    "resnet50": ("layer2", "conv1 bn1 maxpool layer1.0 layer1.1.bn3 layer2.0.downsample layer2.1.conv2"),
    "vgg16": ("15", "0 1 4 5 11"),
}


def he(network):
    """Weights drawn from a seed that keep the size of what passes through, and batch norms at work."""
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            fan = part.weight[0].numel()
            part.weight.data = torch.randn(part.weight.shape, generator=generator) * (2 / fan) ** 0.5
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight.data, part.running_var, part.bias.data, part.running_mean):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.5)
    return network


class EnoughError(Exception):
    """The layer has been seen."""


@cache
def network(name):
    if name.startswith("efficientnet"):
        module = efficientnet_lite.build(name).module
    elif name == "bvlc":
        module = he(BVLCGoogLeNet())
    elif name == "googlenet":
        module = he(torchvision.models.googlenet(weights=None, init_weights=False, aux_logits=False))
    elif name == "vgg16":
        module = he(torchvision.models.vgg16(weights=None).features[:17])
    else:
        module = he(torchvision.models.resnet50(weights=None))
    return ready(module, "cpu", "float32")


def look(module, layers, plain=False):
    """What a lens on `module` sees in an image; the fast path must be there unless it is `plain`."""
    lens = Lens(module, plain=plain)
    assert plain or lens._ways.fast.watching(frozenset(layers))

    def see(image):
        with lens.watching(layers) as looking:
            return looking(image)

    return see


def slope(act, image):
    """The gradient of the mean square of an activation."""
    return torch.autograd.grad(act.square().mean(), image)[0]


def distance(module, fast, layer, size, seed):
    """How far the plain and the fast gradient are from one in doubles, relative."""
    image = photo(1, 3, size, size + 5, seed=seed) * 4 - 2
    gradients = []
    for dtype, see in (
        (torch.float32, look(module, [layer], plain=True)),
        (torch.float32, lambda x: fast(x.contiguous(memory_format=torch.channels_last))),
        (torch.float64, doubles(module, layer)),
    ):
        leaf = image.to(dtype).requires_grad_()
        gradients.append(slope(see(leaf)[layer], leaf).double())
    plain, quick, exact = gradients
    return ((plain - exact).norm() / exact.norm()).item(), ((quick - exact).norm() / exact.norm()).item()


def doubles(module, layer):
    exact = copy.deepcopy(module).double()

    def see(image):
        seen = {}

        def hook(_module, _inputs, output):
            seen[layer] = output
            raise EnoughError

        with exact.get_submodule(layer).register_forward_hook(hook), suppress(EnoughError):
            exact(image)
        return seen

    return see


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_as_exact_as_the_plain_one(name):
    """Medians, as a unit within a rounding error of zero may fall on either side of its ReLU."""
    module, layer = network(name), LAYERS[name][0]
    fast = Fast(module).watching(frozenset([layer]))
    distances = [distance(module, fast, layer, 64, seed) for seed in range(5)]
    plain, quick = (median(column) for column in zip(*distances, strict=True))
    assert quick <= 3 * plain < 1e-4


@pytest.mark.parametrize("name", ["efficientnet_lite0", "bvlc", "resnet50"])
@pytest.mark.parametrize("size", [64, 71])
def test_as_exact_without_onednn(name, size, monkeypatch):
    """As on a GPU, where the same chains are PyTorch's own convolutions; of every padding and stride."""
    monkeypatch.setattr("phosphene.ascent.fuse.Packed", Kernel)
    module, layer = network(name), LAYERS[name][0]
    fast = Fast(module)
    plain, quick = distance(module, fast.watching(frozenset([layer])), layer, size, 0)
    assert {type(kernel) for kernel in fast._kernels.values()} == {Kernel}
    assert quick <= max(3 * plain, 1e-5) < 1e-4


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_layers_have_the_values_of_the_plain_path(name):
    layers = [*LAYERS[name][1].split(), LAYERS[name][0]]
    image = photo(2, 3, 83, 66) * 4 - 2
    expected = look(network(name), layers, plain=True)(image)
    together = look(network(name), layers)(image)
    for layer in layers:
        alone = look(network(name), [layer])(image)[layer]
        scale = expected[layer].abs().max().item()
        assert torch.allclose(together[layer], expected[layer], rtol=1e-4, atol=2e-5 * scale), layer
        assert torch.allclose(alone, expected[layer], rtol=1e-4, atol=2e-5 * scale), layer
        assert together[layer].is_contiguous(memory_format=torch.channels_last), layer


@pytest.mark.skipif(not WEIGHTS.exists(), reason="the weights of BVLC GoogLeNet are not here")
def test_the_gradient_of_bvlc_googlenet_with_its_real_weights():
    from safetensors.torch import load_file

    real = BVLCGoogLeNet()
    real.load_state_dict(load_file(WEIGHTS))
    real = ready(real, "cpu", "float32")
    fast = Fast(real).watching(frozenset(["inception_4c/output"]))

    def scaled(x):
        return fast(50 * x)

    real.data = type("Times", (nn.Module,), {"forward": lambda _self, x: 50 * x})()
    distances = [distance(real, scaled, "inception_4c/output", 64, seed) for seed in range(5)]
    plain, quick = (median(column) for column in zip(*distances, strict=True))
    assert quick <= 3 * plain < 1e-4


@pytest.mark.usefixtures("one_thread")
class TestCheckpointing:
    """Activations that are computed again are the same, and fewer are held."""

    @pytest.mark.parametrize("plain", [False, True])
    @pytest.mark.parametrize("name", NAMES)
    def test_the_same_gradient_in_less_memory(self, name, plain):
        image, layer = photo(2, 3, 96, 130), LAYERS[name][0]
        lens = Lens(network(name), plain=plain)
        gradients, peaks = [], []
        for checkpointing in (False, True):
            with lens.watching([layer], checkpointing) as see, _Counted() as counted:
                leaf = image.clone().requires_grad_()
                gradients.append(slope(see(leaf)[layer], leaf))
            peaks.append(counted.peak)
        assert torch.allclose(*gradients, rtol=1e-4, atol=1e-5 * gradients[0].abs().max().item())
        assert peaks[1] < (0.95 if name == "vgg16" else 0.75) * peaks[0]  # VGG holds most at its first layers

    def test_several_layers_and_several_gradients_of_one_pass(self):
        image = photo(1, 3, 70, 66)
        names = ["bn", "mix", "head"]
        found = []
        for checkpointing in (False, True):
            with Lens(branching()).watching(names, checkpointing) as see:
                leaf = image.clone().requires_grad_()
                acts = see(leaf)
                scores = [acts[name].square().mean() for name in names]
                found += [torch.autograd.grad(score, leaf, retain_graph=True)[0] for score in scores]
                found.append(torch.autograd.grad(sum(scores), leaf)[0])
        for one, other in zip(found[:4], found[4:], strict=True):
            assert torch.equal(one, other)
        assert torch.allclose(found[0] + found[1] + found[2], found[3], atol=1e-6)


class Chunks(nn.Module):
    """Steps that give several tensors, slices, reshapes and sums of different shapes."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3)
        self.bias = nn.Parameter(torch.linspace(-1, 1, 8).view(1, 8, 1, 1))

    def forward(self, x):
        x = self.first(x)
        left, right = torch.chunk(x, 2, 1)
        x = torch.cat([right, left.sigmoid()], 1) + self.bias
        x = x + x.mean((2, 3), keepdim=True)
        n, c = x.shape[0], x.shape[1]
        return self.last(x.view(n, c, -1).view(x.shape)[:, :, 1:] * 0.5)


@pytest.mark.usefixtures("one_thread")
class TestSmallNetworks:
    @pytest.mark.parametrize("checkpointing", [False, True])
    def test_steps_of_every_kind(self, checkpointing):
        module, image = seeded(Chunks()), photo(2, 3, 20, 22).requires_grad_()
        run = Fast(ready(module, "cpu", "float32")).watching(frozenset(["last"]), checkpointing)
        expected = doubles(module, "last")(image.double())["last"]
        got = run(image.contiguous(memory_format=torch.channels_last))["last"]
        assert torch.allclose(got.double(), expected, atol=1e-5)
        assert torch.allclose(slope(got, image), slope(expected, image), rtol=1e-4, atol=1e-7)

    def test_a_sum_of_two_convolutions_and_one_taken_twice(self):
        class Sums(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.c = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))

            def forward(self, x):
                x = F.relu(self.a(x) + self.b(x))
                return self.c(x) + x

        module, image = seeded(nn.Sequential(Sums(), Sums())), photo(2, 3, 20, 22).requires_grad_()
        see = look(module, ["1", "0"])
        acts, expected = see(image), doubles(module, "1")(image.double())["1"]
        assert torch.allclose(acts["1"].double(), expected, atol=1e-5)
        assert torch.allclose(slope(acts["1"], image), slope(expected, image), rtol=1e-4, atol=1e-7)
        with pytest.raises(RuntimeError, match="retain_graph"):
            slope(acts["1"], image)
        acts = see(image)
        both = acts["1"].square().sum() + acts["0"].sum()
        alone = [
            torch.autograd.grad(see(image)[name].pow(power).sum(), image)[0]
            for name, power in (("1", 2), ("0", 1))
        ]
        assert torch.allclose(torch.autograd.grad(both, image)[0], sum(alone), atol=1e-4)

    @pytest.mark.parametrize("make", [branching, strided, unpadded])
    def test_every_layer_alone_and_all_together(self, make):
        image = photo(2, 3, 41, 50).requires_grad_()
        names = [name for name, _ in make().named_modules() if name]
        for name in names:
            expected = look(make(), [name], plain=True)(image)[name]
            wanted = slope(expected, image)
            for watched in ([name], names):
                got = look(make(), watched)(image)[name]
                assert torch.allclose(got, expected, atol=1e-5), name
                assert torch.allclose(slope(got, image), wanted, atol=1e-5 * wanted.abs().max()), name

    @pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 7])
    @pytest.mark.parametrize("stride", [1, 2, 3])
    @pytest.mark.parametrize("padding", [0, 1, 3])
    @pytest.mark.parametrize("groups", [1, 2, 4])
    @pytest.mark.parametrize("dilation", [1, 2])
    def test_any_convolution(self, kernel, stride, padding, groups, dilation):
        conv = nn.Conv2d(4, 8, kernel, stride, padding, dilation, groups, bias=stride != 2)
        self.same(seeded(nn.Sequential(nn.Identity(), conv, nn.BatchNorm2d(8), nn.ReLU6())), 4, "3")

    @pytest.mark.parametrize("kernel", [1, 2, 3, 5])
    @pytest.mark.parametrize("stride", [1, 2, 3])
    @pytest.mark.parametrize("size", [(19, 22), (18, 21), (20, 20)])
    def test_padding_as_in_tensorflow(self, kernel, stride, size):
        from timm.layers import BatchNormAct2d, Conv2dSame

        conv = Conv2dSame(3, 6, kernel, stride, groups=3)
        self.same(seeded(nn.Sequential(conv, BatchNormAct2d(6))), 3, "1", size)

    @pytest.mark.parametrize("act", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.3, 0.7), nn.SiLU(), nn.GELU()])
    def test_activations(self, act):
        self.same(seeded(nn.Sequential(nn.Conv2d(3, 6, 3), act, nn.Conv2d(6, 5, 3), act)), 3, "2")

    def same(self, module, channels, layer, size=(23, 20)):
        image = photo(2, channels, *size).sub(0.5).requires_grad_()
        module = ready(module, "cpu", "float32")
        fast = Fast(module).watching(frozenset([layer]))
        got = fast(image.contiguous(memory_format=torch.channels_last))[layer]
        expected = doubles(module, layer)(image.double())[layer]
        assert torch.allclose(got.double(), expected, atol=1e-5)
        wanted = slope(expected, image)
        assert torch.allclose(slope(got, image), wanted, rtol=1e-4, atol=1e-5 * wanted.abs().max().item())


class TestTheGraph:
    def kinds(self, module, layers):
        tape = Fast(ready(module, "cpu", "float32"))._made(layers)
        return [type(getattr(line.step, "call", line.step)).__name__ for line in tape.lines]

    def test_what_is_watched_is_not_fused_and_what_follows_is_not_there(self):
        assert self.kinds(branching(), ["act"]) == ["Convolution"]
        assert self.kinds(branching(), ["bn", "act"]) == ["Convolution", "ReLU"]
        assert self.kinds(branching(), ["stem", "act"]) == ["Convolution", "BatchNorm2d", "ReLU"]

    def test_weights_are_packed_once_for_all_layers_that_are_watched(self):
        fast = Fast(ready(branching(), "cpu", "float32"))
        tapes = [fast._made(["mix"]), fast._made(["tail"])]
        kernels = [
            [line.step.kernel for line in tape.lines if isinstance(line.step, Convolution)] for tape in tapes
        ]
        assert all(one is other for one, other in zip(*kernels, strict=False))

    def test_a_module_that_runs_twice(self):
        module, image = seeded(Twice()), photo(1, 3, 20, 20)
        expected = look(module, ["second"], plain=True)(image)["second"]
        assert torch.allclose(look(module, ["second"])(image)["second"], expected, atol=1e-6)

    def test_a_missing_layer_is_refused_only_when_it_is_reached(self):
        module = seeded(
            nn.Sequential(nn.Conv2d(3, 4, 3), NoWeights("not in the file", nn.ReLU()), nn.Conv2d(4, 4, 3))
        )
        image = photo(1, 3, 20, 20)
        assert look(module, ["0"])(image)["0"].shape[1] == 4
        with pytest.raises(Exception, match="not in the file"):
            look(module, ["2"])(image)

    @pytest.mark.parametrize("shared", [True, False])
    def test_work_in_place_on_what_others_use_is_left_to_the_plain_path(self, shared):
        class Odd(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.out = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)

            def forward(self, x):
                x = self.conv(x)
                y = F.relu_(x)
                return self.out(x + y if shared else y)

        module, image = seeded(Odd()), photo(1, 3, 20, 20)
        assert (Fast(ready(module, "cpu", "float32")).watching(frozenset(["out"])) is None) == shared
        lens = Lens(module)
        with lens.watching(["out"]) as see:
            assert torch.allclose(see(image)["out"], module(image), atol=1e-5)

    def test_a_network_that_looks_at_its_values_is_left_to_the_plain_path(self):
        class Looks(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 4, 3)

            def forward(self, x):
                return self.conv(x) if x.mean() > 0 else self.conv(-x)

        module, image = seeded(Looks()), photo(1, 3, 20, 20)
        assert Fast(ready(module, "cpu", "float32")).watching(frozenset(["conv"])) is None
        with Lens(module).watching(["conv"]) as see:
            assert torch.allclose(see(image)["conv"], module(image), atol=1e-5)


MEMORY = """
import psutil, torch
from phosphene.ascent import kept

size = 2**28

def resident():
    return psutil.Process().memory_info().rss

def used_and_freed():
    torch.empty(size, dtype=torch.uint8).fill_(1)
    return resident()

before = used_and_freed()
with kept():
    with kept():
        inside = used_and_freed() - before
    between = used_and_freed() - before
print(inside > 0.9 * size, between > 0.9 * size, resident() - before < 0.1 * size)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_kept_and_then_given_back():
    command = [sys.executable, "-c", MEMORY]  # what other tests have freed would be used again here
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["True"] * 3
