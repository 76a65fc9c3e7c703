"""The copy of a network that is climbed."""

import pytest
import torch
from torch import nn

from networks import branching, photo, strided
from phosphene.ascent import DTYPES, ready

pytestmark = pytest.mark.usefixtures("one_thread")


def test_gives_the_same_values():
    image = photo(2, 3, 41, 50)
    assert torch.allclose(ready(branching(), "cpu", "float32")(image), branching()(image), atol=1e-5)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_is_channels_last_in_the_dtype(dtype):
    copy = ready(branching(), "cpu", dtype)
    tensors = [*copy.parameters(), copy.bn.running_mean]
    assert {tensor.dtype for tensor in tensors} == {DTYPES[dtype]}
    assert copy.bn.num_batches_tracked.dtype == torch.int64
    assert copy.stem.weight.is_contiguous(memory_format=torch.channels_last)


def test_does_nothing_in_place_and_has_no_hooks():
    network = strided()
    network[1].register_forward_hook(lambda *_: pytest.fail("the user's hook ran"), with_kwargs=False)
    network[1].register_forward_hook(lambda *_: pytest.fail("the user's hook ran"), with_kwargs=True)
    copy = ready(network, "cpu", "float32")
    assert not any(getattr(part, "inplace", False) for part in copy.modules())
    assert copy(photo(1, 3, 32, 32)).shape[1] == 7
    assert network[1].inplace and len(network[1]._forward_hooks) == 2


def test_dropout_and_batch_norm_are_those_of_eval_mode():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.9)).train()
    image = photo(2, 3, 8, 8)
    copy = ready(network, "cpu", "float32")
    assert torch.allclose(copy(image), image, atol=1e-4)
    assert network.training and network[0].num_batches_tracked == 0


def test_weights_made_in_inference_mode_can_be_climbed():
    with torch.inference_mode():
        network = branching()
    image = photo(1, 3, 41, 50).requires_grad_()
    ready(network, "cpu", "float32")(image).sum().backward()
    assert image.grad.any()
