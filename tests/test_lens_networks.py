"""Every layer of other people's networks, seeded: captured as hooks and an fx interpreter see it, or refused.

A sample runs with the suite; PHOSPHENE_ALL_NETWORKS=1 runs all of them, in some minutes.
"""

import os
import random

import pytest
import timm
import torch
import torchvision
from torch import Tensor, fx

from networks import photo
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore"),  # what other people's networks say of themselves
]
SIDE = {"vit_b_32": 224, "inception_v3": 96, "maxvit_t": 224}  # px, of torchvision's; 64 else
TORCHVISION = [
    "alexnet",
    "convnext_tiny",
    "deeplabv3_mobilenet_v3_large",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "fcn_resnet50",
    "googlenet",
    "inception_v3",
    "lraspp_mobilenet_v3_large",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11",
    "vgg16_bn",
    "vit_b_32",
    "wide_resnet50_2",
]
TIMM = [
    "beit_base_patch16_224",
    "botnet26t_256",
    "cait_xxs24_224",
    "coat_lite_tiny",
    "coatnet_nano_rw_224",
    "convformer_s18",
    "convit_tiny",
    "convmixer_768_32",
    "convnext_atto",
    "convnextv2_atto",
    "crossvit_tiny_240",
    "cspresnet50",
    "davit_tiny",
    "deit_tiny_distilled_patch16_224",
    "densenet121",
    "dla34",
    "dm_nfnet_f0",
    "dpn48b",
    "edgenext_xx_small",
    "efficientformer_l1",
    "efficientnet_b0",
    "efficientvit_b0",
    "efficientvit_m0",
    "eva02_tiny_patch14_224",
    "fastvit_t8",
    "fbnetc_100",
    "focalnet_tiny_srf",
    "gcvit_xxtiny",
    "ghostnet_100",
    "halonet26t",
    "hardcorenas_a",
    "hrnet_w18_small",
    "inception_next_tiny",
    "lcnet_050",
    "levit_128s",
    "maxvit_nano_rw_256",
    "mixer_s16_224",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small",
    "mobileone_s0",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "mvitv2_tiny",
    "nf_regnet_b0",
    "nfnet_l0",
    "pit_ti_224",
    "poolformer_s12",
    "pvt_v2_b0",
    "regnetx_002",
    "regnety_002",
    "repvgg_a0",
    "res2net50_14w_8s",
    "resmlp_12_224",
    "resnest14d",
    "resnet10t",
    "rexnet_100",
    "selecsls42",
    "sequencer2d_s",
    "swin_tiny_patch4_window7_224",
    "swinv2_cr_tiny_224",
    "tf_efficientnet_lite0",
    "tiny_vit_5m_224",
    "tnt_s_legacy_patch16_224",
    "twins_pcpvt_small",
    "vit_small_patch14_reg4_dinov2",
    "vit_tiny_patch16_224",
    "volo_d1_224",
    "xception41",
    "xcit_nano_12_p16_224",
]
SAMPLE = [
    "torchvision:resnet18",
    "torchvision:squeezenet1_1",
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:swin_t",
    "torchvision:mobilenet_v3_small",
    "timm:vit_tiny_patch16_224",
    "timm:deit_tiny_distilled_patch16_224",
    "timm:convnext_atto",
    "timm:pit_ti_224",
    "timm:lcnet_050",
    "timm:pvt_v2_b0",
    "timm:resnet10t",
    "timm:regnetx_002",
]
ALL = [f"torchvision:{name}" for name in TORCHVISION] + [f"timm:{name}" for name in TIMM]
NAMES = ALL if os.environ.get("PHOSPHENE_ALL_NETWORKS") else SAMPLE


def build(name):
    """The network with seeded weights of its own kind, none of them zero, and a size in px that it takes."""
    torch.manual_seed(0)
    library, _, name = name.partition(":")
    if library == "torchvision":
        more = {"weights_backbone": None} if "deeplab" in name or "fcn" in name or "lraspp" in name else {}
        more |= {"aux_logits": False} if name in ("googlenet",) else {}
        network, side = torchvision.models.get_model(name, weights=None, **more), SIDE.get(name, 64)
    else:
        network = timm.create_model(name, pretrained=False)
        config = network.pretrained_cfg
        fixed = config.get("fixed_input_size") or "halo" in name
        side = config["input_size"][-1] if fixed else 96
    generator = torch.Generator().manual_seed(0)
    for key, tensor in network.state_dict().items():
        if (
            tensor.is_floating_point()
            and not key.endswith("running_var")
            and float(tensor.std(correction=0)) == 0
        ):
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    return network.eval(), side


def tensors(output, path=""):
    """Every floating-point tensor in `output`, by what is written after the layer's name."""
    if isinstance(output, Tensor):
        return {path: output.detach().clone()} if output.is_floating_point() else {}
    if isinstance(output, dict):
        items = output.items()
    else:
        items = enumerate(output) if isinstance(output, (tuple, list)) else ()
    found = {}
    for key, value in items:
        found |= tensors(value, f"{path}[{key}]")
    return found


@torch.no_grad()
def hooked(network, x):
    """What every module gives, `{name: [{item: tensor}, one for each call]}`, copied when it gives it."""
    seen, handles = {}, []
    for name, part in network.named_modules():
        handles.append(
            part.register_forward_hook(
                lambda _module, _inputs, output, name=name: seen.setdefault(name, []).append(tensors(output))
            )
        )
    network(x)
    for handle in handles:
        handle.remove()
    return seen


class Interpreter(fx.Interpreter):
    """What every module that is one of fx's steps gives, copied when it gives it."""

    def __init__(self, traced):
        super().__init__(traced)
        self.seen = {}

    def call_module(self, target, args, kwargs):
        out = super().call_module(target, args, kwargs)
        self.seen.setdefault(target, []).append(tensors(out))
        return out


@torch.no_grad()
def interpreted(network, x):
    """The same from torch.fx, for the parts of torch.nn; None for a network that it can't trace."""
    try:
        interpreter = Interpreter(fx.symbolic_trace(network))
        interpreter.run(x)
    except Exception:
        return None
    return interpreter.seen


def same(got, raw):
    """Whether `got` is `raw`: as it is, its channels brought forward, or its tokens on a grid."""
    ways = [raw]
    if raw.dim() == 4 and got.dim() == 4:
        ways.append(raw.permute(0, 3, 1, 2))
    if raw.dim() == 3 and got.dim() == 4:
        count = got.shape[2] * got.shape[3]
        ways = [raw[:, -count:].transpose(1, 2), raw[:, :, -count:]]
        got = got.flatten(2)
    elif raw.dim() == 3 and got.dim() == 3:
        ways = [raw[:, : got.shape[2]].transpose(1, 2), raw[:, :, : got.shape[2]]]
    scale = float(raw.abs().max())
    return any(
        way.shape == got.shape and torch.allclose(way, got, rtol=0, atol=2e-4 * scale + 1e-7) for way in ways
    )


def item(address, name, found):
    """What the address of one of `name`'s calls and items means in an oracle's findings."""
    text = address.removeprefix(name).removesuffix("@prefix")
    call, _, path = text.partition("[")
    items = found[name][int(call.removeprefix("#") or 0)]
    if path:
        return items["[" + path]
    return items


def agrees(address, name, got, found):
    raw = item(address, name, found)
    return same(got, raw) if isinstance(raw, Tensor) else any(same(got, one) for one in raw.values())


@torch.no_grad()
def look_at(lens, layers, image):
    with lens.watching(layers) as look:
        return look(image)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_captured_right_or_refused(name):
    network, side = build(name)
    image = photo(2, 3, side, side)
    oracle = hooked(network, image.contiguous(memory_format=torch.channels_last))
    steps = interpreted(network, image.contiguous(memory_format=torch.channels_last)) or {}
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    plain, fast = Lens(network, size=side, plain=True), Lens(network, size=side)
    addresses = {}
    for address, shape in plain.addresses(side, side).items():
        owner = max((one for one in plain.layers if address.startswith(one)), key=len)
        addresses[address] = owner
        assert owner in oracle and len(shape) in (2, 3, 4)
    everything = look_at(plain, addresses, image)
    for address, owner in addresses.items():
        got = everything[address]
        assert agrees(address, owner, got, oracle), address
        assert owner not in steps or agrees(address, owner, got, steps), address
    for layer in set(plain.layers) - set(addresses):
        with pytest.raises(PhospheneError) as caught:
            look_at(plain, [layer], image)
        assert caught.value.code == "E_LAYER", layer
    shown = [address for address in addresses if "@" not in address]
    assert len(shown) > (0.1 * len(plain.layers) if "crossvit" not in name else 1)  # it has one size inside
    chosen = random.Random(0).sample(shown, min(4, len(shown)))
    for layers in [[one] for one in chosen] + [chosen]:
        for layer, act in look_at(fast, layers, image).items():
            assert layer == "input" or agrees(layer, addresses[layer], act, oracle), layer
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    assert not any(part._forward_hooks for part in network.modules())
    if os.environ.get("PHOSPHENE_ALL_NETWORKS"):
        unmapped = sorted(set(plain.layers) & set(oracle) - set(addresses.values()))
        ways = [fast._ways._known[key] is not None for key in fast._ways._known]
        print(
            f"\n{name} {side} px: {len(shown)}/{len(oracle)} fx {len(steps)} fast {sum(ways)}/{len(ways)} "
            f"not: {[(u, [list(t.shape) for t in oracle[u][0].values()]) for u in unmapped][:12]}"
        )


@pytest.mark.parametrize("name", [name for name in NAMES if name in SAMPLE])
def test_gradients_are_those_of_plain_autograd(name):
    network, side = build(name)
    image = photo(1, 3, side, side, seed=1)
    lenses = Lens(network, size=side, plain=True), Lens(network, size=side)
    maps = [address for address, shape in lenses[0].addresses(side, side).items() if "@" not in address]
    layer = maps[len(maps) * 2 // 3]
    found = []
    for lens in lenses:
        leaf = image.clone().requires_grad_()
        with lens.watching([layer]) as look:
            found.append(torch.autograd.grad(look(leaf)[layer].square().mean(), leaf)[0])
    leaf, kept = image.clone().requires_grad_(), []
    name = max((one for one in lenses[0].layers if layer.startswith(one)), key=len)
    call = int(layer.removeprefix(name).partition("[")[0].removeprefix("#") or 0)
    network.get_submodule(name).register_forward_hook(lambda _m, _i, out: kept.append(out.clone()))
    network(leaf)
    grid = lenses[0].addresses(side, side)[layer]
    out = kept[call]
    if out.dim() == 3 and out.shape[2] == grid[1]:
        out = out[:, -grid[2] * grid[3] :]
    expected = torch.autograd.grad(out.square().mean(), leaf)[0]
    for gradient in found:
        assert (gradient - expected).norm() <= 1e-2 * expected.norm(), layer
