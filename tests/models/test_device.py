"""Which arithmetic a device has of its own, and what a lens then calculates in."""

import pytest
import torch

from phosphene import Lens, ascent, models
from phosphene.models import device, efficientnet_lite

pytestmark = pytest.mark.usefixtures("one_thread")


def able(monkeypatch, *names):
    monkeypatch.setattr(device, "capabilities", lambda: frozenset(names))


@pytest.mark.parametrize(
    ("dtype", "flag"),
    [("bfloat16", "avx512_bf16"), ("bfloat16", "amx_bf16"), ("bfloat16", "bf16"), ("float16", "asimdhp")],
)
def test_a_processor_that_has_it_takes_it(monkeypatch, dtype, flag):
    able(monkeypatch, flag, "avx2")
    assert device.arithmetic(dtype, "cpu") == (dtype, ())
    lens = models.load("efficientnet_lite0", device="cpu", dtype=dtype)
    assert lens.dtype == dtype and not lens.notes
    assert next(lens.module.parameters()).dtype == getattr(torch, dtype)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_one_that_has_not_stays_in_float32_and_says_so(monkeypatch, dtype):
    able(monkeypatch, "avx2", "avx512_f")
    lens = models.load("efficientnet_lite0", device="cpu", dtype=dtype)
    assert lens.dtype == "float32"
    (note,) = lens.notes
    assert "will not help" in note and dtype in note and "float32" in note
    assert next(lens.module.parameters()).dtype == torch.float32


def test_float32_and_unknown_words_pass():
    assert device.arithmetic("float32", "cpu") == ("float32", ())
    assert device.arithmetic("float64", "cpu") == ("float64", ())  # the lens refuses it


def test_gpus(monkeypatch):
    for has in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has=has: has)
        assert device.native("bfloat16", "cuda:0") is has
        assert device.native("float16", "cuda:0") and device.native("bfloat16", "mps")


def test_capabilities_are_words():
    assert all(isinstance(name, str) and name for name in device.capabilities())


def test_bfloat16_is_as_near_as_autocast_comes():
    """The rounding of weights and maps turns some units on or off: PyTorch's own bfloat16 is the measure."""
    image = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))

    def gradient(dtype, autocast=False):
        lens = Lens(efficientnet_lite.build("efficientnet_lite2").module, dtype=dtype, plain=True)
        x = image.clone().requires_grad_()
        with lens.watching(["blocks.4.1"]) as look, torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            score = look(x)["blocks.4.1"].square().mean()
        return torch.autograd.grad(score, x)[0].flatten()

    exact = gradient("float32")
    ours, theirs = gradient("bfloat16"), gradient("float32", autocast=True)
    near, usual = (torch.cosine_similarity(exact, other, dim=0) for other in (ours, theirs))
    assert near > 0.9 and near > usual - 0.02
    assert ours.norm().item() == pytest.approx(exact.norm().item(), rel=0.05)


def test_where_the_fast_path_is():
    quick = {
        (kind, dtype)
        for kind in ("cpu", "cuda", "mps")
        for dtype in ("float32", "bfloat16", "float16")
        if ascent.quick(torch.device(kind), dtype)
    }
    assert quick == {("cpu", "float32"), *(("cuda", dtype) for dtype in ascent.DTYPES)}


def test_plain_and_compile_reach_the_lens(monkeypatch):
    assert models.load("efficientnet_lite0", device="cpu", plain=True).plain
    lens = models.load("efficientnet_lite0", device="cpu", compile=True)
    assert type(lens._ways.fast).__name__ == "Compiled" and not lens.plain
