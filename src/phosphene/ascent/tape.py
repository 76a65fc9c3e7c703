"""A network's steps, written down: run forward once, then backward to the image and nowhere else.

Autograd sees the whole of it as one function. So gradients and activations are written over where
nobody else needs them, forgotten as soon as they have been used, or computed again piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

MOST = 24  # pieces
Values = dict[int, Any]


class Grad(NamedTuple):
    """A gradient on its way; `own` says that nobody else holds it, so that it may be written over.

    Of a step that gives several tensors, `value` has theirs by number.
    """

    value: Any
    own: bool


class Step(Protocol):
    """What a line of the tape does.

    `forward(*inputs, keep)` gives the output, and what `backward` will need if there is one (`keep`).
    """

    @property
    def forward(self) -> Callable[..., tuple[Any, Any]]: ...

    def backward(self, kept: Any, grad: Grad) -> Sequence[Grad | None]:
        """The gradients at the inputs, from that at the output."""


@dataclass(frozen=True)
class Line:
    """One step, the registers that it reads and writes, and those that nobody reads after it."""

    step: Step
    inputs: tuple[int, ...]
    output: int
    last: tuple[int, ...]


class Tape:
    """The lines from the image, register 0, to the `outputs`.

    `pieces` are the numbers of lines at which the activations are kept when all others are
    computed again in backward; without any, all are kept.
    """

    def __init__(self, lines: Sequence[Line], outputs: Sequence[int], pieces: Sequence[int] = ()) -> None:
        self.lines, self.outputs = tuple(lines), tuple(outputs)
        self.pieces = [slice(*ends) for ends in zip([0, *pieces], [*pieces, len(lines)], strict=True)]

    def in_pieces(self, image: Tensor) -> Tape:
        """The same tape, keeping only what lies between pieces: where that takes least memory for `image`."""
        made, live, values = [], [], {0: image}
        for number, line in enumerate(self.lines):
            live.append(sum(map(_size, values.values())))
            values, _ = self.forward(values, slice(number, number + 1), keep=False)
            made.append(_size(values[line.output]))
        plans = [_cuts(made, sum(made) / count) for count in range(1, MOST + 1)]
        return Tape(self.lines, self.outputs, min(plans, key=lambda cuts: _held(made, live, cuts)))

    def __call__(self, image: Tensor) -> tuple[Any, ...]:
        if torch.is_grad_enabled() and image.requires_grad:
            return _Run.apply(image, self)  # type: ignore[no-any-return]
        values, _ = self.forward({0: image}, slice(None), keep=False)
        return tuple(values[output] for output in self.outputs)

    def forward(self, values: Values, part: slice, *, keep: bool) -> tuple[Values, list[Any]]:
        """What is left in the registers after these lines, and what each keeps for its backward."""
        values, kept = dict(values), []
        for line in self.lines[part]:
            output, more = line.step.forward(*(values[i] for i in line.inputs), keep=keep)
            for register in line.last:
                if register not in self.outputs:
                    del values[register]
            values[line.output] = output
            kept.append(more if keep else None)
        return values, kept

    def backward(self, part: slice, kept: list[Any], grads: dict[int, Grad], again: bool) -> None:
        """Carry `grads`, by register, back over these lines; empty `kept` unless it is needed `again`."""
        lines = self.lines[part]
        for number in range(len(lines) - 1, -1, -1):
            line, more = lines[number], kept[number]
            if not again:
                kept[number] = None
            grad = grads.pop(line.output, None)
            if grad is None:
                continue
            found = line.step.backward(more, grad)
            for register, new in zip(line.inputs, found, strict=True):
                if new is not None:
                    _add(grads, register, new)


def _cuts(made: Sequence[int], most: float) -> list[int]:
    """The numbers of lines before which a new piece begins, so that each piece makes little over `most`."""
    cuts, so_far = [], 0
    for number, size in enumerate(made):
        if so_far and so_far + size > most:
            cuts.append(number)
            so_far = 0
        so_far += size
    return cuts


def _held(made: Sequence[int], live: Sequence[int], cuts: Sequence[int]) -> int:
    """The most memory that is held with these cuts: what lies between the pieces, and a whole piece."""
    ends = zip([0, *cuts], [*cuts, len(made)], strict=True)
    return sum(live[cut] for cut in cuts) + max(sum(made[start:end]) for start, end in ends)


def _size(value: Any) -> int:
    if isinstance(value, (tuple, list)):
        return sum(map(_size, value))
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, tape: Tape) -> tuple[Tensor, ...]:
        ctx.tape, ctx.held, values = tape, [], {0: image.detach()}
        ctx.set_materialize_grads(False)
        ctx.size, ctx.kind = image.shape, {"dtype": image.dtype, "device": image.device}
        whole = len(tape.pieces) == 1
        for part in tape.pieces:
            start = values
            values, kept = tape.forward(start, part, keep=whole)
            ctx.held.append(kept if whole else start)
        return tuple(values[output].detach() for output in tape.outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor | None) -> tuple[Tensor | None, None]:
        tape: Tape = ctx.tape
        again = torch._C._autograd._get_current_graph_task_keep_graph()
        grads: dict[int, Grad] = {}
        for register, grad in zip(tape.outputs, outer, strict=True):
            if grad is not None:
                _add(grads, register, Grad(grad, own=False))
        for number in range(len(tape.pieces) - 1, -1, -1):
            part, held = tape.pieces[number], ctx.held[number]
            if held is None:
                raise RuntimeError(
                    "this gradient has been taken already; give retain_graph=True the first time"
                )
            if not again:
                ctx.held[number] = None
            if len(tape.pieces) > 1:
                held = tape.forward(held, part, keep=True)[1]
            tape.backward(part, held, grads, again)
        return (grads[0].value if 0 in grads else torch.zeros(ctx.size, **ctx.kind)), None


def _add(grads: dict[int, Grad], register: int, new: Grad) -> None:
    """Add a gradient to what the register has so far."""
    old = grads.get(register)
    if old is None:
        grads[register] = new
    elif isinstance(old.value, dict):
        grads[register] = Grad({**old.value, **new.value}, own=False)
    elif old.own:
        grads[register] = Grad(old.value.add_(new.value), own=True)
    elif new.own:
        grads[register] = Grad(new.value.add_(old.value), own=True)
    else:
        grads[register] = Grad(old.value + new.value, own=True)
