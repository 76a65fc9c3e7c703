"""Where a network without a card dreams: at two thirds of its depth, at stride 16, of a whole block."""

import pytest
import torch
from torch import nn

from phosphene import Lens, expression, models
from phosphene.errors import PhospheneError
from phosphene.models import derive

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("name", "objective", "guide"),
    [
        ("torchvision:resnet18", "layer3", "layer2"),
        ("torchvision:squeezenet1_1", "features.9", "features.7"),
        ("torchvision:shufflenet_v2_x0_5", "stage3.6", "stage2"),
        ("timm:vit_tiny_patch16_224", "blocks.7", "blocks.4"),
        ("timm:convnext_atto", "stages.2.blocks.3", "stages.1"),
        ("timm:mobilenetv3_small_050", "blocks.3", "blocks.1"),
    ],
)
def test_known_families(name, objective, guide):
    lens = models.load(name, device="cpu", untrained=True)
    lens.name = "mine"  # no card
    assert (models.own(lens), models.own(lens, guide=True)) == (objective, guide)
    assert not any(part._forward_hooks for part in lens.module.modules())


def test_registration_is_not_the_order_of_running():
    torch.manual_seed(0)

    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(8, 3)
            self.steps = nn.ModuleList(nn.Conv2d(8, 8, 3, 2, 1) for _ in range(5))
            self.stem = nn.Conv2d(3, 8, 1)

        def forward(self, x):
            x = self.stem(x)
            for step in reversed(self.steps):
                x = step(x).relu()
            return self.head(x.mean((2, 3)))

    assert derive.layer(Lens(Backwards(), size=64), 2 / 3, 16) == "steps.1"


def test_a_network_without_a_grid_says_what_to_give():
    lens = Lens(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4)), size=16)
    with pytest.raises(PhospheneError, match="give --objective") as error:
        models.own(lens)
    assert error.value.code == "E_LAYER"


def test_a_name_of_any_kind_is_an_objective():
    network = nn.Sequential()
    for name in ("größe 1", "layer:3", "conv #2"):
        network.add_module(name, nn.Conv2d(3, 3, 3, 2, 1))
    lens = Lens(network, size=64)
    assert models.own(lens) == '"conv #2"'
    assert expression.parse(models.own(lens)).terms[0].layer == "conv #2"


def test_a_card_comes_first():
    lens = Lens(nn.Conv2d(3, 4, 3), name="bvlc_googlenet")
    assert models.own(lens) == "inception_4c/output" and models.own(lens, True) == "inception_3b/output"
