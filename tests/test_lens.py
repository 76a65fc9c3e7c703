"""What a lens captures, by value, and what it leaves behind: nothing."""

import copy
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from networks import Fails, Twice, branching, photo, seeded, strided
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGE = photo(2, 3, 65, 70)


def hooks(module):
    return sum(
        len(registry)
        for part in module.modules()
        for registry in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks)
    )


def plain(network, x):
    """Every layer of `branching()` step by step, nothing in place."""
    acts = {"stem": network.stem(x)}
    acts["bn"] = network.bn(acts["stem"])
    acts["act"] = acts["bn"].relu()
    acts["pool"] = F.max_pool2d(acts["act"], 3, 2, ceil_mode=True)
    acts["left"] = network.left(acts["pool"])
    acts["right.0"] = network.right[0](acts["pool"])
    acts["right"] = acts["right.1"] = acts["right.0"].relu()
    acts["mix"] = torch.cat([acts["left"], acts["right"]], 1)
    acts["tail"] = network.tail(acts["mix"])
    acts["head"] = network.head(acts["tail"].relu().mean((2, 3)))
    return acts


@torch.no_grad()
def look_at(lens, layers, image=IMAGE):
    with lens.watching(layers) as look:
        return look(image)


def test_captures_are_those_of_a_plain_forward():
    expected = plain(branching(), IMAGE)
    got = look_at(Lens(branching()), expected)
    assert set(got) == {*expected, "input"}
    for name, act in expected.items():
        assert got[name].shape == act.shape
        assert torch.allclose(got[name], act, atol=1e-5), name
    assert got["input"] is IMAGE


@pytest.mark.parametrize("layer", list(plain(branching(), IMAGE)))
def test_each_layer_alone_is_what_it_is_in_company(layer):
    """Before and after activations alike; what works in place later changes nothing."""
    got = look_at(Lens(branching()), [layer])
    assert torch.allclose(got[layer], plain(branching(), IMAGE)[layer], atol=1e-5)


def test_work_in_place_after_a_layer_does_not_reach_its_capture():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.same = nn.Conv2d(3, 4, 3), nn.Identity()

        def forward(self, x):
            return self.same(F.relu_(self.conv(x)).mul_(2))

    network = seeded(InPlace())
    got = look_at(Lens(network), ["conv", "same"])
    assert got["conv"].min() < 0
    assert torch.allclose(got["same"], 2 * got["conv"].relu())


def test_gradients_reach_the_image_through_several_layers():
    lens, image = Lens(branching()), IMAGE.clone().requires_grad_()
    with lens.watching(["bn", "mix", "head"]) as look:
        acts = look(image)
    (acts["bn"].square().sum() + acts["mix"].square().sum() + acts["head"].sum()).backward()
    leaf = IMAGE.clone().requires_grad_()
    acts = plain(branching(), leaf)
    (acts["bn"].square().sum() + acts["mix"].square().sum() + acts["head"].sum()).backward()
    assert torch.allclose(image.grad, leaf.grad, rtol=1e-4, atol=1e-4 * leaf.grad.abs().max().item())


def test_the_input_alone_runs_nothing():
    bomb = Fails(AssertionError("ran"))
    lens = Lens(nn.Sequential(bomb))
    calls = lens.module[0].calls
    assert look_at(lens, ["input"])["input"] is IMAGE
    assert lens.module[0].calls == calls


class TestEarlyStop:
    def lens(self, error=RuntimeError):
        network = nn.Sequential(*strided()[:4], Fails(error("ran too far")), nn.Conv2d(8, 2, 1))
        return Lens(network)

    def test_nothing_after_the_last_watched_layer_runs(self):
        lens = self.lens()
        look_at(lens, ["3"])
        calls = lens.module[4].calls
        with lens.watching(["0", "3"]) as look:
            for _ in range(3):
                assert look(IMAGE)["3"].shape[1] == 8
        assert lens.module[4].calls == calls

    def test_the_order_of_names_does_not_matter(self):
        assert set(look_at(self.lens(), ["3", "0", "3"])) == {"0", "3", "input"}

    def test_a_container_and_its_last_part(self):
        lens = Lens(nn.Sequential(strided(), Fails(RuntimeError("ran too far"))))
        got = look_at(lens, ["0", "0.5"])
        assert torch.equal(got["0"], got["0.5"])

    @pytest.mark.parametrize("error", [ValueError, RuntimeError, NotImplementedError])
    def test_errors_of_the_network_come_through_in_one_line(self, error):
        lens = self.lens(error)
        with pytest.raises(PhospheneError, match=f"{error.__name__}: ran too far") as caught:
            look_at(lens, ["5"])
        assert caught.value.code == "E_MODEL" and isinstance(caught.value.__cause__, error)
        assert not hooks(lens.module)
        assert look_at(lens, ["3"])["3"].shape[1] == 8


class TestNothingIsLeft:
    def test_after_with(self):
        lens = Lens(branching())
        with lens.watching(["bn", "mix"]) as look:
            look(IMAGE)
            assert hooks(lens.module) == 2
        assert not hooks(lens.module)

    def test_after_an_exception(self):
        lens = Lens(branching())
        with pytest.raises(ZeroDivisionError), lens.watching(["bn"]):
            raise ZeroDivisionError
        assert not hooks(lens.module)

    def test_after_a_wrong_layer(self):
        lens = Lens(branching())
        with pytest.raises(PhospheneError), lens.watching(["bn", "nope"]):
            pass
        assert not hooks(lens.module)

    def test_hooks_act_only_while_looking(self):
        lens = Lens(branching())
        with lens.watching(["bn"]):
            assert lens.module(IMAGE).shape == (2, 10)

    def test_two_watchers_at_once_do_not_meet(self):
        lens = Lens(branching())
        with torch.no_grad(), lens.watching(["mix"]) as outer, lens.watching(["stem"]) as inner:
            assert set(outer(IMAGE)) == {"mix", "input"}
            assert set(inner(IMAGE)) == {"stem", "input"}
            assert set(outer(IMAGE)) == {"mix", "input"}

    def test_acts_stay_what_they_were_when_looking_again(self):
        lens = Lens(branching())
        with torch.no_grad(), lens.watching(["mix"]) as look:
            first = look(IMAGE)
            before = first["mix"].clone()
            look(1 - IMAGE)
        assert torch.equal(first["mix"], before)

    def test_grad_mode_and_threads(self):
        threads, grad = threading.active_count(), torch.is_grad_enabled()
        look_at(Lens(branching()), ["head"])
        assert (threading.active_count(), torch.is_grad_enabled()) == (threads, grad)


class TestTheUsersModule:
    def test_is_untouched(self):
        network = branching().train()
        network.stem.bias.requires_grad_(False)
        network.act.register_forward_hook(lambda *_: pytest.fail("the user's hook ran"))
        before = copy.deepcopy(network.state_dict())
        lens = Lens(network, device="cpu")
        look_at(lens, ["head"])
        assert network.training and network.act.inplace and network.right[1].inplace
        assert hooks(network) == 1
        assert [p.requires_grad for p in network.parameters()][1:3] == [False, True]
        assert network.stem.weight.is_contiguous()
        assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
        assert all(parameter.grad is None for parameter in network.parameters())

    def test_shares_nothing_with_the_lens(self):
        network = branching()
        lens = Lens(network)
        before = look_at(lens, ["mix"])["mix"]
        with torch.no_grad():
            network.stem.weight.zero_()
        assert torch.equal(look_at(lens, ["mix"])["mix"], before)

    def test_the_copy_is_frozen_in_eval_mode(self):
        module = Lens(branching().train()).module
        assert not any(part.training for part in module.modules())
        assert not any(parameter.requires_grad for parameter in module.parameters())

    def test_a_lens_made_in_inference_mode_works_outside(self):
        with torch.inference_mode():
            lens = Lens(branching(), mean=(0.5,) * 3, std=(0.2,) * 3)
        image = IMAGE.clone().requires_grad_()
        with lens.watching(["mix"]) as look:
            look(image)["mix"].sum().backward()
        assert image.grad.abs().sum() > 0


class TestLayers:
    def test_names_in_module_order(self):
        assert Lens(branching()).layers == (
            *("stem", "bn", "act", "pool", "left", "right", "right.0", "right.1", "mix", "tail", "head"),
        )

    def test_vectors(self):
        lens = Lens(branching())
        assert look_at(lens, ["head"])["head"].shape == (2, 10)
        assert lens.channels("head") == 10 and lens.channels("mix") == 9

    @pytest.mark.parametrize("name", ["mxi", "", "right.2", "mix ", "x" * 100_000])
    def test_a_wrong_name_lists_the_nearest(self, name):
        with pytest.raises(PhospheneError) as caught:
            look_at(Lens(branching(), name="net"), [name])
        assert caught.value.code == "E_LAYER" and len(str(caught.value)) < 600
        with pytest.raises(PhospheneError, match=r"net has no layer 'mxi'; the nearest are mix"):
            look_at(Lens(branching(), name="net"), ["mxi"])

    @pytest.mark.parametrize("layers", [["relu"], ["first", "relu"], ["relu", "second"]])
    def test_a_layer_that_runs_twice_is_refused(self, layers):
        with pytest.raises(PhospheneError, match="'relu' runs more than once") as caught:
            look_at(Lens(Twice()), layers)
        assert caught.value.code == "E_LAYER"

    def test_its_neighbours_are_not(self):
        assert set(look_at(Lens(Twice()), ["first", "second"])) == {"first", "second", "input"}

    def test_a_layer_that_never_runs_is_refused(self):
        network = strided()
        network[0].add_module("spare", nn.Conv2d(1, 1, 1))
        with pytest.raises(PhospheneError, match="doesn't run") as caught:
            look_at(Lens(network), ["0.spare", "3"])
        assert caught.value.code == "E_LAYER"

    @pytest.mark.parametrize("output", [lambda x: (x, x), lambda x: x.flatten(2), lambda x: x.mean(), list])
    def test_a_layer_that_gives_no_map_is_refused(self, output):
        class Odd(nn.Module):
            def forward(self, x):
                return output(x)

        with pytest.raises(PhospheneError, match=r"expected \[N, C, H, W\] or|gives several") as caught:
            look_at(Lens(nn.Sequential(Odd())), ["0"])
        assert caught.value.code == "E_LAYER"


class TestInput:
    @pytest.mark.parametrize("order", ["rgb", "bgr", "gbr"])
    def test_order_scale_mean_and_std(self, order):
        mean, std, scale = (104.0, 116.0, 122.0), (1.0, 2.0, 0.5), 255.0
        lens = Lens(nn.Sequential(nn.Identity()), mean=mean, std=std, scale=scale, channel_order=order)
        got = look_at(lens, ["0"])["0"]
        for place, color in enumerate(order):
            expected = (scale * IMAGE[:, "rgb".index(color)] - mean[place]) / std[place]
            assert torch.allclose(got[:, place], expected, atol=1e-4)

    def test_is_channels_last_and_not_the_users_memory(self):
        seen = []

        class Scribbles(nn.Module):
            def forward(self, x):
                seen.append(x.is_contiguous(memory_format=torch.channels_last))
                return x.zero_()

        before = IMAGE.clone()
        look_at(Lens(nn.Sequential(Scribbles())), ["0"])
        assert torch.equal(IMAGE, before)
        assert all(seen)

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_other_dtypes_give_float32(self, dtype):
        got = look_at(Lens(branching(), dtype=dtype), ["mix"])["mix"]
        assert got.dtype == torch.float32
        expected = plain(branching(), IMAGE)["mix"]
        assert torch.allclose(got, expected, atol=0.05 * expected.abs().max().item())

    @pytest.mark.parametrize(
        "wrong", [{"channel_order": "rgg"}, {"channel_order": "rg"}, {"dtype": "float64"}]
    )
    def test_wrong_settings(self, wrong):
        with pytest.raises(PhospheneError) as caught:
            Lens(strided(), **wrong)
        assert caught.value.code == "E_PARAM"

    def test_a_picture_too_small_for_the_network(self):
        lens = Lens(nn.Sequential(nn.Conv2d(3, 4, 7), nn.MaxPool2d(4)), name="net")
        with pytest.raises(PhospheneError, match="5×4 px") as caught:
            look_at(lens, ["1"], torch.rand(1, 3, 4, 5))
        assert caught.value.code == "E_TOO_SMALL"

    def test_memory_that_does_not_suffice(self):
        lens = Lens(nn.Sequential(Fails(RuntimeError("DefaultCPUAllocator: can't allocate memory"))))
        with pytest.raises(PhospheneError, match="--tile") as caught:
            look_at(lens, ["0"])
        assert caught.value.code == "E_MEMORY"


class TestGrey:
    def test_luma_is_what_the_network_gets(self):
        lens = Lens(
            nn.Sequential(nn.Conv2d(1, 3, 3), nn.Identity()), mean=[0.5], std=[0.25], channel_order="l"
        )
        got = look_at(lens, ["0"])["0"]
        red, green, blue = IMAGE.unbind(1)
        grey = (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]
        assert torch.allclose(got, lens.module[0]((grey - 0.5) / 0.25), atol=1e-5)
        assert lens.zero.shape == (3, 1, 1) and torch.allclose(lens.prepare(lens.zero[None]), torch.zeros(1))

    def test_one_number_stands_for_every_channel(self):
        one, three = Lens(strided(), mean=[0.5], std=[2]), Lens(strided(), mean=[0.5] * 3, std=[2] * 3)
        assert torch.equal(one.prepare(IMAGE), three.prepare(IMAGE))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"mean": (0.5, 0.5)},
            {"mean": ()},
            {"std": (1.0, 0.0, 1.0)},
            {"std": (float("nan"),)},
            {"scale": 0.0},
            {"mean": (0.0, 0.0, 0.0), "channel_order": "l"},
            {"mean": ["a"]},
        ],
    )
    def test_numbers_are_checked(self, wrong):
        with pytest.raises(PhospheneError) as caught:
            Lens(strided(), **wrong)
        assert caught.value.code == "E_PARAM" and "expected" in str(caught.value)


def test_a_grey_network_is_known_by_its_first_convolution():
    grey = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = []
    for order in ("", "l"):
        lens = Lens(grey, mean=(0.5,), std=(0.25,), channel_order=order)
        with torch.no_grad(), lens.watching(["1"]) as look:
            found.append(look(image)["1"])
    assert torch.equal(*found)
    assert Lens(strided()).channels("0") > 0
