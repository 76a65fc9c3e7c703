"""BVLC GoogLeNet's names and arithmetic, on seeded random weights."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from phosphene import models
from phosphene.errors import PhospheneError
from phosphene.models import bvlc_googlenet

STEM = [
    *("data", "conv1/7x7_s2", "conv1/relu_7x7", "pool1/3x3_s2", "pool1/norm1"),
    *("conv2/3x3_reduce", "conv2/relu_3x3_reduce", "conv2/3x3", "conv2/relu_3x3", "conv2/norm2"),
    "pool2/3x3_s2",
]
CELL = [
    *("1x1", "relu_1x1"),
    *("3x3_reduce", "relu_3x3_reduce", "3x3", "relu_3x3"),
    *("5x5_reduce", "relu_5x5_reduce", "5x5", "relu_5x5"),
    *("pool", "pool_proj", "relu_pool_proj"),
    "output",
]
TOP = ["pool5/7x7_s1", "pool5/drop_7x7_s1", "loss3/classifier", "prob"]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return bvlc_googlenet.BVLCGoogLeNet().eval()


def activations(network, image, *names):
    seen = {}
    parts = dict(network.named_modules())
    handles = [
        parts[name].register_forward_hook(
            lambda _m, _i, out, name=name: seen.__setitem__(name, out.numpy()[0])
        )
        for name in names
    ]
    with torch.no_grad():
        network(image)
    for handle in handles:
        handle.remove()
    return [seen[name] for name in names]


def test_layers_have_caffe_names_in_caffe_order(network):
    names = [name for name, _ in network.named_modules() if name]
    expected = list(STEM)
    for cell in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        expected += {"4a": ["pool3/3x3_s2"], "5a": ["pool4/3x3_s2"]}.get(cell, [])
        expected += [f"inception_{cell}/{name}" for name in CELL]
    assert names == expected + TOP


def test_its_parameters_are_those_of_the_model_zoo(network):
    assert sum(parameter.numel() for parameter in network.parameters()) == 6_998_552
    assert len(network.state_dict()) == 116


@pytest.mark.parametrize(("height", "width"), [(224, 224), (65, 90)])
def test_pooling_rounds_up_as_caffe_does(network, height, width):
    pools = ("pool1/3x3_s2", "pool2/3x3_s2", "pool3/3x3_s2", "pool4/3x3_s2")
    found = activations(network, torch.randn(1, 3, height, width), *pools)
    size = np.array([(height - 1) // 2 + 1, (width - 1) // 2 + 1])
    for act in found:
        size = np.ceil((size - 3) / 2).astype(int) + 1
        assert act.shape[1:] == tuple(size)


def convolved(x, layer, pad, stride=1):
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    out = [
        sum(correlate2d(plane, kernel, "valid") for plane, kernel in zip(x, w, strict=True)) for w in weight
    ]
    return np.stack(out)[:, ::stride, ::stride] + bias[:, None, None]


def pooled(x, stride, pad):
    """Max over 3×3 windows, the last one possibly cut off by the edge."""
    height, width = x.shape[1:]
    x = np.pad(x, ((0, 0), (pad, pad + 2), (pad, pad + 2)), constant_values=-np.inf)
    rows, columns = (int(np.ceil((size + 2 * pad - 3) / stride)) + 1 for size in (height, width))
    return np.stack(
        [
            [
                x[:, r * stride : r * stride + 3, c * stride : c * stride + 3].max((1, 2))
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    ).transpose(2, 0, 1)


def normalised(x):
    sums = [(x[max(0, c - 2) : c + 3] ** 2).sum(0) for c in range(len(x))]
    return x / (1 + 1e-4 / 5 * np.stack(sums)) ** 0.75


def test_the_first_layers_against_numpy(network):
    image = 100 * torch.randn(1, 3, 38, 41)
    names = ("conv1/7x7_s2", "pool1/3x3_s2", "pool1/norm1", "conv2/3x3_reduce")
    conv1, pool1, norm1, reduced = activations(network, image, *names)
    by_hand = convolved(image[0].double().numpy(), network.get_submodule("conv1/7x7_s2"), pad=3, stride=2)
    np.testing.assert_allclose(conv1, by_hand, rtol=1e-4, atol=1e-3)  # before the ReLU
    by_hand = pooled(np.maximum(by_hand, 0), stride=2, pad=0)
    np.testing.assert_allclose(pool1, by_hand, rtol=1e-4, atol=1e-3)
    by_hand = normalised(by_hand)
    np.testing.assert_allclose(norm1, by_hand, rtol=1e-4, atol=1e-3)
    by_hand = convolved(by_hand, network.get_submodule("conv2/3x3_reduce"), pad=0)
    np.testing.assert_allclose(reduced, by_hand, rtol=1e-4, atol=1e-3)


def test_an_inception_cell_against_numpy(network):
    image = 100 * torch.randn(1, 3, 64, 80)
    x, out = activations(network, image, "pool2/3x3_s2", "inception_3a/output")

    def conv(x, name, pad):
        return np.maximum(convolved(x, network.get_submodule(f"inception_3a/{name}"), pad), 0)

    x = x.astype(np.float64)
    branches = [
        conv(x, "1x1", 0),
        conv(conv(x, "3x3_reduce", 0), "3x3", 1),
        conv(conv(x, "5x5_reduce", 0), "5x5", 2),
        conv(pooled(x, stride=1, pad=1), "pool_proj", 0),
    ]
    np.testing.assert_allclose(out, np.concatenate(branches), rtol=1e-4, atol=1e-4)


def test_the_classifier_sees_the_mean_of_the_whole_map(network):
    last, logits, prob = activations(
        network, 100 * torch.randn(1, 3, 96, 130), "inception_5b/output", "loss3/classifier", "prob"
    )
    layer = network.get_submodule("loss3/classifier")
    by_hand = layer.weight.detach().numpy() @ last.mean((1, 2)) + layer.bias.detach().numpy()
    np.testing.assert_allclose(logits, by_hand, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(prob, np.exp(by_hand) / np.exp(by_hand).sum(), rtol=1e-4)


@pytest.mark.parametrize("old", [None, True, False], ids=["safetensors", "V1", "V2"])
def test_the_lens_reads_safetensors_and_caffemodel(tmp_path, network, old):
    from caffe_writer import caffemodel
    from safetensors.torch import save_file

    path, state = tmp_path / "weights", network.state_dict()
    if old is None:
        save_file(state, path)
    else:
        names = dict.fromkeys(key.rpartition(".")[0] for key in state)
        arrays = [(name, [state[f"{name}.{key}"].numpy() for key in ("weight", "bias")]) for name in names]
        layers = [(name, "Convolution" if a[0].ndim == 4 else "InnerProduct", a) for name, a in arrays]
        aux = ("loss1/fc", "InnerProduct", [np.ones((3, 2)), np.ones(3)])
        path.write_bytes(caffemodel([aux, *layers], old))
    lens = models.load("bvlc_googlenet", path, device="cpu")
    assert lens.name == "bvlc_googlenet" and lens.head in lens.layers and len(lens.classes) == 1000
    found = lens.module.state_dict()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_the_lens_gives_the_network_bgr_minus_the_mean(tmp_path, network):
    from safetensors.torch import save_file

    save_file(network.state_dict(), tmp_path / "weights")
    lens = models.load("bvlc_googlenet", tmp_path / "weights", device="cpu")
    with torch.no_grad(), lens.watching(["data"]) as look:
        data = look(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 32, 32))["data"]
    assert data[0, :, 0, 0].tolist() == [0 - 104.0, 127.5 - 116.0, 255 - 122.0]


def test_weights_without_the_classifier_still_dream(tmp_path, network):
    from safetensors.torch import save_file

    state = {key: value for key, value in network.state_dict().items() if not key.startswith("loss3")}
    save_file(state, tmp_path / "weights")
    lens = models.load("bvlc_googlenet", tmp_path / "weights", device="cpu")
    image = torch.full((1, 3, 64, 64), 0.5)
    with torch.no_grad(), lens.watching(["inception_4c/output"]) as look:
        assert look(image)["inception_4c/output"].shape == (1, 512, 4, 4)
    with (
        torch.no_grad(),
        lens.watching([lens.head]) as look,
        pytest.raises(PhospheneError, match="no weights for loss3/classifier"),
    ):
        look(image)
