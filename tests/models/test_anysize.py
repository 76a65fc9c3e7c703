"""Transformers at other sizes than their own: position embeddings, edges, and bit for bit at their own."""

import copy

import numpy as np
import pytest
import timm
import torch
from torch.nn import functional as F
from torchvision.models import SwinTransformer, VisionTransformer
from torchvision.models.vision_transformer import interpolate_embeddings

from phosphene.models.anysize import any_size, padded, positions, prefix_of
from phosphene.models.heads import Heads
from towers import drawn


def vit(image_size=32):
    torch.manual_seed(0)
    return drawn(
        VisionTransformer(
            image_size=image_size,
            patch_size=8,
            num_layers=2,
            num_heads=4,
            hidden_dim=32,
            mlp_dim=48,
            num_classes=5,
        )
    )


def of_timm(name, **more):
    torch.manual_seed(0)
    return drawn(timm.create_model(name, num_classes=5, **more))


SMALL = {"embed_dim": 48, "depth": 2, "num_heads": 4, "img_size": 64}
CASES = {
    "torchvision ViT": (vit, 32, 8, 1),
    "torchvision Swin": (
        lambda: drawn(SwinTransformer([4, 4], 16, [2, 2], [2, 2], [4, 4], num_classes=5)),
        64,
        4,
        0,
    ),
    "timm ViT": (lambda: of_timm("vit_tiny_patch16_224", **SMALL), 64, 16, 1),
    "timm DeiT": (lambda: of_timm("deit_tiny_distilled_patch16_224", **SMALL), 64, 16, 2),
    "timm DINOv2": (lambda: of_timm("vit_small_patch14_reg4_dinov2", **{**SMALL, "img_size": 70}), 70, 14, 5),
    "timm DINOv3": (lambda: of_timm("vit_small_patch16_dinov3", **SMALL), 64, 16, 5),
    "timm SigLIP": (lambda: of_timm("vit_base_patch16_siglip_224", **SMALL), 64, 16, 0),
    "timm EVA-02": (lambda: of_timm("eva02_tiny_patch14_224", **{**SMALL, "img_size": 70}), 70, 14, 1),
    "timm Swin": (
        lambda: of_timm(
            "swin_tiny_patch4_window7_224", img_size=56, embed_dim=16, depths=(2, 2), num_heads=(2, 2)
        ),
        56,
        4,
        0,
    ),
}
each = pytest.mark.parametrize("case", CASES)


@pytest.fixture(autouse=True)
def _quick(one_thread):
    pass


@each
def test_its_own_size_is_its_own_forward_bit_for_bit(case):
    make, side, patch, prefix = CASES[case]
    network = make()
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1)).requires_grad_()
    wanted = network(x)
    (g,) = torch.autograd.grad(wanted.square().sum(), x)
    found, *known = any_size(copy.deepcopy(network))
    assert known == [patch, prefix]
    found = copy.deepcopy(found)  # as a lens takes it
    y = found(x)
    assert torch.equal(y, wanted)
    assert torch.equal(torch.autograd.grad(y.square().sum(), x)[0], g)
    assert {*network.state_dict()} == {*found.state_dict()}


@each
@pytest.mark.parametrize("size", [(100, 131), (48, 96), (33, 70)])
def test_any_other_size(case, size):
    make, _, patch, _ = CASES[case]
    network = any_size(make())[0]
    x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1)).requires_grad_()
    y = network(x)
    assert bool(torch.isfinite(y).all())
    whole = padded(x.detach(), patch)
    assert all(side % patch == 0 for side in whole.shape[-2:])
    torch.testing.assert_close(network(whole), y, atol=0, rtol=0)
    (g,) = torch.autograd.grad(y.square().sum(), x)
    assert bool((g != 0).any(1).all()), "every pixel is seen, those at the edges, too"


def test_the_edge_is_repeated_and_its_gradient_is_the_sum_of_its_copies():
    x = torch.arange(2 * 5 * 7, dtype=torch.float32).view(1, 2, 5, 7).requires_grad_()
    found = padded(x, 4)
    wanted = np.pad(x.detach().numpy(), ((0, 0), (0, 0), (0, 3), (0, 1)), mode="edge")
    np.testing.assert_array_equal(found.detach().numpy(), wanted)
    (g,) = torch.autograd.grad(found.sum(), x)
    counts = np.outer([1, 1, 1, 1, 4], [1, 1, 1, 1, 1, 1, 2])
    np.testing.assert_array_equal(g[0, 0].numpy(), counts)
    assert padded(x, 1) is x


def cubic(x, a):
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def resized(values, size, *, corners=False, antialias=False):
    """Bicubic by the formula, [H, W, C]: Keys's kernel, edges repeated or, antialiased, left out."""
    for axis, target in enumerate(size):
        source = values.shape[axis]
        step = (source - 1) / (target - 1) if corners else source / target
        places = np.arange(target) * step if corners else (np.arange(target) + 0.5) * step - 0.5
        wide = max(step, 1.0) if antialias else 1.0
        a = -0.5 if antialias else -0.75
        weights = np.zeros((target, source))
        for i, place in enumerate(places):
            reach = int(np.ceil(2 * wide)) + 1
            for j in range(int(np.floor(place)) - reach, int(np.floor(place)) + reach + 2):
                weight = cubic((place - j) / wide, a)
                if antialias and not 0 <= j < source:
                    continue
                weights[i, min(max(j, 0), source - 1)] += weight
        if antialias:
            weights /= weights.sum(1, keepdims=True)
        values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
    return values


@pytest.mark.parametrize("grid", [(6, 9), (3, 2), (4, 5)])
@pytest.mark.parametrize(
    "how",
    [
        {"align_corners": False},
        {"align_corners": True},
        {"antialias": True, "align_corners": False},
    ],
)
def test_positions_are_bicubic_by_the_formula(grid, how):
    table = torch.randn(2 + 16, 6, generator=torch.Generator().manual_seed(3))
    found = positions(table, (4, 4), grid, 2, **how)
    assert torch.equal(found[:2], table[:2])
    wanted = resized(
        table[2:].double().numpy().reshape(4, 4, 6),
        grid,
        corners=how["align_corners"],
        antialias=how.get("antialias", False),
    )
    np.testing.assert_allclose(found[2:].numpy(), wanted.reshape(-1, 6), atol=1e-5)
    assert positions(table, (4, 4), (4, 4), 2, **how) is table


def test_torchvision_is_as_its_own_interpolated_weights():
    network = vit(32)
    state = interpolate_embeddings(56, 8, {**network.state_dict()})
    larger = vit(56)
    larger.load_state_dict(state)
    x = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(any_size(network)[0](x), larger(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"])
def test_timm_is_as_made_for_that_size(name):
    network, larger = of_timm(name, **SMALL), of_timm(name, **{**SMALL, "img_size": (80, 48)})
    from timm.models.vision_transformer import checkpoint_filter_fn

    larger.load_state_dict(checkpoint_filter_fn({**network.state_dict()}, larger))
    x = torch.randn(1, 3, 80, 48, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(any_size(network)[0](x), larger(x), atol=1e-5, rtol=1e-4)


def test_swin_is_as_timm_makes_it_for_any_size():
    shape = {"embed_dim": 16, "depths": (2, 2), "num_heads": (2, 2), "window_size": 7}
    network = of_timm("swin_tiny_patch4_window7_224", img_size=56, **shape)
    larger = of_timm("swin_tiny_patch4_window7_224", img_size=56, dynamic_img_size=True, **shape)
    larger.load_state_dict(network.state_dict(), strict=False)
    x = torch.randn(1, 3, 112, 88, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(any_size(network)[0](x), larger(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("pvt_v2_b0", 4),
        ("xcit_nano_12_p16_224", 16),
        ("vit_tiny_r_s16_p8_224", 32),
        ("swinv2_cr_tiny_ns_224", 4),
        ("samvit_base_patch16_224", 16),
        ("cait_xxs24_224", 16),
    ],
)
def test_the_patch_of_families_that_make_theirs_otherwise(name, patch):
    with torch.device("meta"):
        network = timm.create_model(name).eval()
    found, *known = any_size(network)
    with torch.no_grad():
        shape = found(torch.zeros(1, 3, 224, 224, device="meta")).shape
    assert known[0] == patch and shape == (1, network.num_classes or shape[1], *shape[2:])


def test_networks_without_patches_are_left_alone():
    network = of_timm("convnext_atto")
    kind = type(network)
    assert any_size(network) == (network, 0, 0) and type(network) is kind


def test_its_size_decides_what_runs_so_it_cannot_be_traced():
    with pytest.raises(Exception, match=r"."):
        torch.fx.symbolic_trace(any_size(vit())[0])


class TestHeads:
    def test_each_is_what_attention_gives_before_the_projection(self):
        network = any_size(of_timm("vit_tiny_patch16_224", **SMALL))[0]
        seen = {}
        attention = network.blocks[1].attn
        attention.register_forward_hook(lambda _m, inputs, out: seen.update(x=inputs[0], out=out))
        attention.proj.heads.register_forward_hook(lambda _m, _i, out: seen.update(heads=out))
        with torch.no_grad():
            network(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
        q, k, v = attention.qkv(seen["x"]).double().reshape(1, 17, 3, 4, 12).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-2, -1) / 12**0.5, -1)
        wanted = (weights @ v).transpose(1, 2).reshape(1, 17, 48)
        torch.testing.assert_close(seen["heads"].double(), wanted, atol=1e-5, rtol=1e-4)
        out = F.linear(seen["heads"], attention.proj.weight, attention.proj.bias)
        torch.testing.assert_close(seen["out"], out)

    def test_pytorchs_own_attention_has_them_too(self):
        network = any_size(vit())[0]
        found = {name: part.count for name, part in network.named_modules() if isinstance(part, Heads)}
        assert len(found) == 2 and {*found.values()} == {4}

    def test_a_mask_or_weights_go_the_way_of_pytorch(self):
        from phosphene.models.heads import open_heads

        torch.manual_seed(0)
        attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
        opened = open_heads(torch.nn.Sequential(copy.deepcopy(attention)))[0]
        x, mask = torch.randn(2, 5, 8), torch.ones(5, 5).triu(1).bool()
        for how in (
            {"attn_mask": mask, "need_weights": False},
            {"need_weights": True},
            {"need_weights": False},
        ):
            torch.testing.assert_close(opened(x, x, x, **how)[0], attention(x, x, x, **how)[0])
        torch.testing.assert_close(opened(x, x + 1, x, need_weights=False)[0], attention(x, x + 1, x)[0])


def test_prefix_counts_tokens_of_its_own():
    assert prefix_of(of_timm("vit_small_patch16_dinov3", **SMALL)) == 5
