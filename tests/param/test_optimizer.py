"""An optimiser's steps are those of PyTorch's classes, which it doesn't use."""

import pytest
import torch
from torch import nn

from phosphene.errors import PhospheneError
from phosphene.param.optimizer import OPTIMIZERS, Optimizer

CLASSES = {"ascent": torch.optim.SGD, "adam": torch.optim.Adam, "nadam": torch.optim.NAdam}


def parameters():
    random = torch.Generator().manual_seed(0)
    return {name: nn.Parameter(torch.randn(2, 5, generator=random)) for name in ("a", "b", "still")}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_pytorchs(name):
    ours, theirs = parameters(), parameters()
    mine, known = Optimizer(name, ours, 0.05), CLASSES[name](theirs.values(), lr=0.05)
    random = torch.Generator().manual_seed(1)
    for number in range(20):
        mine.clear()
        known.zero_grad()
        for one in ("a", "b"):
            gradient = torch.randn(2, 5, generator=random)
            ours[one].grad, theirs[one].grad = gradient.clone(), gradient.clone()
        if number == 12:
            mine.rate = known.param_groups[0]["lr"] = 0.025
        mine.step()
        known.step()
    for one in ours:
        assert torch.equal(ours[one], theirs[one])
        for moment, values in known.state[theirs[one]].items():
            if name != "ascent":
                assert torch.equal(mine.moments[one][moment], values)
    assert torch.equal(ours["still"], parameters()["still"]) and "still" not in mine.moments


def test_another_name_is_refused():
    with pytest.raises(PhospheneError, match="one of ascent, adam, nadam"):
        Optimizer("lbfgs", parameters(), 0.1)
