"""An optimiser: PyTorch's own steps without its classes, which import its compiler (seconds, 200 MB)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.nadam import nadam

from phosphene.errors import PhospheneError

OPTIMIZERS = ("ascent", "adam", "nadam")
BETAS = {"beta1": 0.9, "beta2": 0.999}
EPSILON = 1e-8
DECAY = 4e-3  # of NAdam's momentum


class Optimizer:
    """Moves parameters against their gradients: `ascent` by rate · g, Adam and NAdam as PyTorch does.

    `moments` are those of each parameter, under PyTorch's names, from its first step on.
    """

    def __init__(self, name: str, parameters: Mapping[str, nn.Parameter], rate: float) -> None:
        if name not in OPTIMIZERS:
            raise PhospheneError("E_PARAM", f"optimizer is {name!r}, expected one of {', '.join(OPTIMIZERS)}")
        self.name, self.parameters, self.rate = name, dict(parameters), rate
        self.moments: dict[str, dict[str, Tensor]] = {}

    def clear(self) -> None:
        """Forget the gradients."""
        for values in self.parameters.values():
            values.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Once along all gradients; a parameter without one stays."""
        for name, values in self.parameters.items():
            if values.grad is not None:
                self._moved(name, values, values.grad)

    def _moved(self, name: str, values: Tensor, gradient: Tensor) -> None:
        if self.name == "ascent":
            values.add_(gradient, alpha=-self.rate)
            return
        if name not in self.moments:
            self.moments[name] = self._first(values)
        at = self.moments[name]
        lists = [values], [gradient], [at["exp_avg"]], [at["exp_avg_sq"]]
        how = {**BETAS, "eps": EPSILON, "lr": self.rate, "weight_decay": 0.0, "maximize": False}
        if self.name == "adam":
            adam(*lists, [], [at["step"]], amsgrad=False, **how)  # type: ignore[arg-type]
        else:
            nadam(*lists, [at["mu_product"]], [at["step"]], momentum_decay=DECAY, **how)  # type: ignore[arg-type]

    def _first(self, values: Tensor) -> dict[str, Tensor]:
        found = {"step": torch.tensor(0.0)}
        found |= {name: torch.zeros_like(values) for name in ("exp_avg", "exp_avg_sq")}
        return found | ({"mu_product": torch.ones(())} if self.name == "nadam" else {})
