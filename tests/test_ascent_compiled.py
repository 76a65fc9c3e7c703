"""Compiled steps by value, what they keep and where, and what is said where nothing can be compiled."""

import os

import pytest
import torch
from torch import nn

from networks import Twice, branching, photo, strided
from phosphene.ascent import Compiled, exact, ready, toolchain
from phosphene.ascent.compiled import in_parts
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # PyTorch's compiler has some of its own
]
SIZES = [(64, 64), (65, 70), (41, 96)]
CPU = torch.device("cpu")


@pytest.fixture
def interpreted(monkeypatch):
    """torch.compile without the compiler: the same parts, run as they are; gives what was compiled."""
    parts = []
    monkeypatch.setattr(torch, "compile", lambda part, **options: parts.append((part, options)) or part)
    return parts


def gradient(lens, layers, image):
    x = image.clone().requires_grad_()
    with lens.watching(layers) as look:
        acts = look(x)
    return torch.autograd.grad(sum(acts[layer].square().mean() for layer in layers), x)[0]


def same(network, layers, size):
    image = photo(1, 3, *size)
    expected, got = (
        gradient(lens, layers, image) for lens in (Lens(network, plain=True), network_lens(network))
    )
    return torch.allclose(got, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def network_lens(network, _made={}):  # noqa: B006
    return _made.setdefault(id(network), Lens(network, compile=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's compiler warns of its own doings
def test_gradients_are_those_of_the_plain_path_at_every_size_and_are_kept(tmp_path, monkeypatch):
    monkeypatch.delenv(toolchain.CACHE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network = strided()
    for size in SIZES:
        assert same(network, ["4"], size)
    assert any((tmp_path / "phosphene" / "compiled").iterdir())


@pytest.mark.parametrize("layers", [["bn"], ["mix"], ["stem", "act", "tail"], ["head"]])
@pytest.mark.parametrize("plain", [False, True])
def test_the_parts_are_the_network(layers, plain, interpreted):
    image = photo(2, 3, 65, 70)
    expected = gradient(Lens(branching(), plain=True), layers, image)
    got = gradient(Lens(branching(), compile=True, plain=plain), layers, image)
    assert interpreted or layers == ["bn"]  # of which the size is the stem's own
    assert torch.allclose(got, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_what_changes_the_size_stays_as_it_is(interpreted):
    Compiled(ready(strided(), "cpu", "float32"), CPU).watching(frozenset(["4"]))
    inside = [part for module, _ in interpreted for part in module.modules()]
    assert any(isinstance(part, nn.Conv2d) for part in inside)
    assert not any(getattr(part, "stride", (1, 1)) not in (1, (1, 1)) for part in inside)
    assert all(options["dynamic"] for _, options in interpreted)


def test_on_a_gpu_parts_are_graphs(interpreted):
    steps = torch.fx.symbolic_trace(ready(strided(), "cpu", "float32"))
    in_parts(steps, True)
    assert {options["mode"] for _, options in interpreted} == {"reduce-overhead"}


def test_without_gradients_nothing_is_compiled_again(interpreted):
    lens = Lens(strided(), compile=True)
    with torch.no_grad(), lens.watching(["4"]) as look:
        assert look(photo(1, 3, 64, 64))["4"].shape[1] == 8


def test_a_network_that_cannot_be_traced_runs_as_it_is(interpreted):
    image = photo(1, 3, 32, 32)
    expected = gradient(Lens(Twice(), plain=True), ["second"], image)
    lens = Lens(Twice(), compile=True)
    lens.module.load_state_dict(Lens(Twice()).module.state_dict())
    assert gradient(lens, ["second"], image).shape == expected.shape


class TestToolchain:
    def test_no_compiler_is_one_line_with_advice(self, monkeypatch):
        from torch._inductor import cpp_builder
        from torch._inductor.exc import InvalidCxxCompiler

        def absent(*_):
            raise InvalidCxxCompiler

        monkeypatch.setattr(cpp_builder, "get_cpp_compiler", absent)
        lens = Lens(strided(), compile=True)
        with (
            pytest.raises(PhospheneError, match=r"C\+\+ compiler.*leave --compile out") as caught,
            lens.watching(["4"]),
        ):
            pass
        assert caught.value.code == "E_DEVICE" and "\n" not in str(caught.value)

    def test_what_the_compiler_says_is_one_line(self):
        from torch._inductor.exc import CppCompileError

        with pytest.raises(PhospheneError, match="no such thing") as caught, toolchain.compiling(CPU):
            raise CppCompileError(["g++"], "x.cpp: error: no such thing\nand more")
        assert caught.value.code == "E_DEVICE" and "\n" not in str(caught.value)

    def test_a_place_that_pytorch_chose_gives_way(self, monkeypatch, tmp_path):
        from torch._inductor.runtime.cache_dir_utils import default_cache_dir

        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv(toolchain.CACHE, default_cache_dir())
        with toolchain.compiling(CPU):
            assert os.environ[toolchain.CACHE] == str(tmp_path / "phosphene" / "compiled")

    def test_where_it_is_kept(self, monkeypatch, tmp_path):
        assert toolchain.cache_folder({"XDG_CACHE_HOME": "/x"}).parts[-2:] == ("phosphene", "compiled")
        monkeypatch.setenv(toolchain.CACHE, str(tmp_path))
        with toolchain.compiling(CPU):
            assert os.environ[toolchain.CACHE] == str(tmp_path)


def test_exact_is_put_back():
    conv = torch.backends.cudnn.conv
    before = conv.fp32_precision
    with exact(True):
        assert conv.fp32_precision == "ieee"
    assert conv.fp32_precision == before
    with exact(False):
        assert conv.fp32_precision == before
