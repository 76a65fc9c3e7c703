"""Learned: a param that an optimiser climbs with, as the loop wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.random import RandomState
from torch import Tensor

from phosphene.canvas import Canvas, Held
from phosphene.errors import PhospheneError
from phosphene.param.backdrop import backdrop, opaque, over
from phosphene.param.base import Param
from phosphene.param.optimizer import Optimizer

State = dict[str, Tensor]


class Learned:
    """A `Param` and its optimiser: `ascent` moves by rate · g / mean|g|, Adam and NAdam are PyTorch's.

    A picture of four planes stands before a backdrop that is another one in every step, drawn by `seed`;
    `transparency` pulls its opacity down, as strongly as the mean gradient where it is 1.
    """

    def __init__(
        self,
        param: Param,
        optimizer: str = "",
        rate: float = 0.0,
        average: float = 0.0,
        *,
        transparency: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.param = param
        self.transparency, self.seed, self.taken = transparency, seed, 0
        self.name = optimizer or param.optimizer
        self.rate = rate or param.rate
        self.average = average
        self.optimizer = Optimizer(self.name, dict(param.named_parameters()), self.rate)
        self.mean: State = {}  # of all steps' parameters, as far as `average` wants it
        self._planes: Tensor | None = None
        self._image: Tensor | None = None

    def __call__(self) -> Held:
        """The picture now, `[N, 3, H, W]`, before its backdrop if one sees through it."""
        if self._image is None:
            with torch.enable_grad():
                self._planes = self._image = self.param()
                if self._planes.shape[1] == 4:
                    self._image = over(self._planes, backdrop(self._planes, self.seed, self.taken))
        return Held(self._image.detach())

    def shown(self) -> Held:
        """What people are to see, `[N, 3, H, W]`."""
        return Held(self._seen()[:, :3])

    def opacity(self) -> Tensor | None:
        """How opaque it is, `[N, 1, H, W]`, 0..1; None if nobody asked for that."""
        return self._seen()[:, 3:] if self.param.planes == 4 else None

    @torch.no_grad()
    def _seen(self) -> Tensor:
        """All planes; with `average`, of the mean of all steps' parameters."""
        if not self.mean:
            self()
            assert self._planes is not None
            return self._planes.detach()
        now = self._parameters()
        self._put(self.mean)
        image: Tensor = self.param()
        self._put(now)
        return image.detach()

    def climb(self, change: Canvas, *, clip: bool) -> None:
        """Move the parameters so that the picture goes along `change`, the gradient at the picture."""
        assert isinstance(change, Held)
        self()
        assert self._image is not None and self._planes is not None
        self.optimizer.clear()
        with torch.enable_grad():  # a sum, because `backward` with a gradient imports sympy
            loss = (self._image * -change.image).sum()
            if self.param.planes == 4:
                pull = self.transparency * change.image.abs().mean((1, 2, 3), keepdim=True)
                loss = loss + (self._planes[:, 3:] * pull).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.name == "ascent":
            for values in self.param.parameters():
                assert values.grad is not None
                sizes = values.grad.abs().flatten(1).mean(1)
                values.grad.div_(sizes.clamp_min(1e-30).view(-1, *[1] * (values.dim() - 1)))
        self.optimizer.step()
        self.param.project()
        self._image = self._planes = None
        self.taken += 1
        if self.average:
            now = self._parameters()
            old = self.mean or now
            self.mean = {name: old[name].lerp(now[name], 1 - self.average) for name in now}

    def slower(self) -> None:
        """Half the rate, after a step that went too far."""
        self.optimizer.rate /= 2

    def kept(self) -> State:
        """All that `restore` needs to come back here: a copy."""
        state = {f"param.{name}": values for name, values in self._parameters().items()}
        state |= {f"mean.{name}": values for name, values in self.mean.items()}
        state["taken."] = torch.tensor(self.taken)
        for name, moments in self.optimizer.moments.items():
            state |= {f"{moment}.{name}": values.clone() for moment, values in moments.items()}
        return state

    def restore(self, state: State) -> None:
        """Go back to what `kept` gave. E_PARAM where it is another param's."""
        named, self.mean = dict(self.param.named_parameters()), {}
        moments: dict[str, State] = {}
        for key, values in state.items():
            moment, _, name = key.partition(".")
            if moment == "taken" and values.dim() == 0:
                self.taken = int(values)
                continue
            fits = name in named and (values.dim() == 0 or values.shape == named[name].shape)
            if not fits or not bool(torch.isfinite(values).all()):
                raise PhospheneError("E_PARAM", f"the state to resume is damaged: its {key[:80]}; start anew")
            if moment == "param":
                with torch.no_grad():
                    named[name].copy_(values)
            elif moment == "mean":
                self.mean[name] = values.to(named[name].device)
            else:
                where = "cpu" if values.dim() == 0 else named[name].device
                moments.setdefault(name, {})[moment] = values.to(where).clone()
        self.optimizer.moments = moments
        self._image = self._planes = None

    def saved(self, good: State) -> State:
        """This place and the one before, for a checkpoint; `resumed` comes back."""
        now = {f"now.{key}": values for key, values in self.kept().items()}
        return now | {f"before.{key}": values for key, values in good.items()}

    def resumed(self, state: Mapping[str, Any]) -> State:
        """Go to the place that `saved` gave, and say which was before it."""
        found: dict[str, State] = {"now": {}, "before": {}}
        for key, values in state.items():
            place, _, name = key.partition(".")
            if place in found and name and isinstance(values, Tensor):
                found[place][name] = values
        self.restore(found["now"])
        return found["before"]

    def _parameters(self) -> State:
        return {name: values.detach().clone() for name, values in self.param.named_parameters()}

    @torch.no_grad()
    def _put(self, parameters: State) -> None:
        for name, values in parameters.items():
            self.param.get_parameter(name).copy_(values)

    def resized(self, size: tuple[int, int], image: Tensor | None = None) -> Learned:
        """The same at another size, its moments too; `image` is what it then shows, if not the same.

        Adam's second moments stay above zero (after crowsonkb/style-transfer-pytorch).
        """
        param = self.param.resized(size)
        if image is not None:
            param.fit(opaque(image) if param.planes == 4 else image)
        other = Learned(
            param, self.name, self.rate, self.average, transparency=self.transparency, seed=self.seed
        )
        other.taken = self.taken
        for name, moments in self.optimizer.moments.items():
            for moment, values in moments.items():
                if values.dim():
                    values = self.param.carried(name, values, size)
                    values = values.clamp_min(0) if moment == "exp_avg_sq" else values
                other.optimizer.moments.setdefault(name, {})[moment] = values.clone()
        return other


def scattered(param: Param, seed: int, numbers: Sequence[int]) -> None:
    """Start `param` from noise: each picture from that of its number, the same in any batch.

    Of four planes it is nearly opaque, if it can be: what is behind would hide what begins to grow.
    """
    param.scatter([RandomState([seed, number]) for number in numbers])
    if param.planes == 4 and param.exact:
        param.fit(opaque(param()[:, :3].detach()))
