"""A state dict into a network: all of it, most of it, or a message (FAULTS 51)."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from phosphene import Lens
from phosphene.errors import PhospheneError
from phosphene.models.fit import fit


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            first=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), last=nn.Conv2d(4, 2, 1), top=nn.Conv2d(2, 2, 1)
        )
    )


def fit_error(module, state):
    with pytest.raises(PhospheneError) as error:
        fit(module, state, "file.pt")
    assert error.value.code == "E_WEIGHTS"
    return str(error.value)


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module._orig_mod.", "teacher.backbone."])
def test_fit_loads_through_prefixes_and_past_auxiliary_heads(prefix):
    source, target = network(), network()
    for tensor in (*source.parameters(), source.norm.running_mean):
        nn.init.normal_(tensor)
    state = {prefix + key: value for key, value in source.state_dict().items() if "num_batches" not in key}
    if not prefix:
        state |= {"loss1/classifier.weight": torch.ones(1), "aux1.conv.weight": torch.ones(1)}
    assert fit(target, state, "file.pt") == ()
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value)


def test_fit_lists_the_first_five_keys_that_do_not_fit():
    state = {f"other.{index}": torch.ones(1) for index in range(9)}
    message = fit_error(network(), state)
    assert "10 missing: first.weight, first.bias, norm.weight, norm.bias, norm.running_mean, …" in message
    assert "9 unexpected: other.0, other.1, other.2, other.3, other.4, …" in message


def test_fit_tells_shapes():
    state = network().state_dict() | {"last.weight": torch.ones(2, 4, 3, 3)}
    message = fit_error(network(), state)
    assert "1 of another shape: last.weight [2, 4, 3, 3] instead of [2, 4, 1, 1]" in message


def without(state, *parts):
    return {key: value for key, value in state.items() if not key.startswith(parts)}


@pytest.mark.parametrize("part", ["norm", "last"])
def test_a_file_without_a_part_serves_up_to_there(part):
    target = network().eval()
    (note,) = fit(target, without(network().state_dict(), part, "top"), "file.pt")
    assert f"file.pt has no weights for {part}.weight" in note
    lens = Lens(target)
    with lens.watching(["first"]) as look:
        assert look(torch.ones(1, 3, 8, 8))["first"].shape == (1, 4, 6, 6)
    for layer in (part, "top"):
        with (
            lens.watching([layer]) as look,
            pytest.raises(PhospheneError, match=f"no weights for {part} .*missing: {part}.weight") as error,
        ):
            look(torch.ones(1, 3, 8, 8))
        assert error.value.code == "E_WEIGHTS"


class Backwards(nn.Module):
    """Registers its head first, owns a scale, and reaches into a part without calling it."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(2, 2, 1)
        self.block = Scaled()
        self.stem = nn.Conv2d(3, 2, 1)
        self.reached = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        x = self.block(self.stem(x))
        return self.head(nn.functional.conv2d(x, self.reached.weight))


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        return self.conv(x) * self.scale


@pytest.mark.parametrize(
    ("missing", "serves", "fails"),
    [
        (["head"], ["stem", "block.conv", "block"], ["head"]),
        (["block.scale"], ["stem"], ["block", "head"]),
        (["reached"], ["stem", "block.conv", "block"], ["head"]),
        (["stem"], [], ["stem", "block.conv", "block", "head"]),
    ],
)
def test_the_order_is_that_of_running_not_that_of_keys(missing, serves, fails):
    module = Backwards()
    fit(module, without(Backwards().state_dict(), *missing), "file.pt")
    lens = Lens(module)
    for layer in serves:
        with torch.no_grad(), lens.watching([layer]) as look:
            assert look(torch.ones(1, 3, 8, 8))[layer].shape == (1, 2, 8, 8)
    for layer in fails:
        with torch.no_grad(), lens.watching([layer]) as look, pytest.raises(PhospheneError) as error:
            look(torch.ones(1, 3, 8, 8))
        assert error.value.code == "E_WEIGHTS" and missing[0] in str(error.value)


def test_a_network_of_one_module_needs_all_of_it():
    assert "1 missing: bias" in fit_error(nn.Conv2d(1, 1, 1), {"weight": torch.ones(1, 1, 1, 1)})
