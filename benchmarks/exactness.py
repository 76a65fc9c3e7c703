"""How far the gradient is from one in doubles: phosphene's, and that of the plain path."""

from __future__ import annotations

import argparse
import copy
import statistics
from contextlib import suppress

import torch
from torch import Tensor, nn

from benchmarks import results
from benchmarks.cases import CASES, EnoughError, lens
from phosphene import models
from phosphene.lens import Lens

FEWEST = 5  # seeds
MOST = 3.0  # times the plain path's distance


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Medians over seeds, as a unit within a rounding error of zero may fall on either side of its ReLU."""
    rows, over = [], []
    seeds = max(FEWEST, options.turns) | 1
    for title, plain, fast, layer in pairs(options):
        exact = copy.deepcopy(plain.module).double()
        distances = [apart(plain, fast, exact, layer, options.sizes[0], seed) for seed in range(seeds)]
        usual, ours = (statistics.median(column) for column in zip(*distances, strict=True))
        rows.append([f"{title} `{layer}`", f"{usual:.2e}", f"{ours:.2e}", f"{ours / usual:.2f}×"])
        over += [f"- {title}: more than {MOST:g}× the plain path's distance\n"] if ours > MOST * usual else []
        print(rows[-1], flush=True)
    words = f"|g - g64| / |g64| at {options.sizes[0]} px, medians of {seeds} seeds.\n\n"
    table = results.table(["network", "plain", "phosphene", "ratio"], rows)
    return words + table + "\n" + ("".join(over) or f"All within {MOST:g}×.\n"), {}


def pairs(options: argparse.Namespace) -> list[tuple[str, Lens, Lens, str]]:
    """(title, plain, fast, layer): the benchmark's networks, and the zoo's on their real weights."""
    found = [(name, lens(name, plain=True), lens(name), CASES[name]) for name in options.networks]
    for model in models.available() if options.zoo else ():
        if model.needs_weights and not options.weights:
            continue
        weights = options.weights if model.needs_weights else ""
        both = [models.load(model.name, weights, device="cpu", plain=plain) for plain in (True, False)]
        layer = model.objective.split(" ")[0]
        found.append((f"{model.name}, its own weights", both[0], both[1], layer))
    return found


def apart(plain: Lens, fast: Lens, exact: nn.Module, layer: str, size: int, seed: int) -> tuple[float, float]:
    """The distances of the plain and the fast gradient from that in doubles."""
    image = torch.rand(1, 3, size, size + 5, generator=torch.Generator().manual_seed(seed))
    image = torch.nn.functional.avg_pool2d(image, 5, 1, 2)
    truth = doubles(plain, exact, layer, image)
    far = []
    for seer in (plain, fast):
        x = image.clone().requires_grad_()
        with seer.watching([layer]) as look:
            (g,) = torch.autograd.grad(look(x)[layer].square().mean(), x)
        far.append(((g.double() - truth).norm() / truth.norm()).item())
    return far[0], far[1]


def doubles(plain: Lens, exact: nn.Module, layer: str, image: Tensor) -> Tensor:
    """The gradient in doubles, through the same input as the float32 networks get."""
    seen: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        seen.append(output)
        raise EnoughError

    x = image.clone().requires_grad_()
    given = plain.prepare(x)
    wide = given.detach().double().requires_grad_()
    with exact.get_submodule(layer).register_forward_hook(hook), suppress(EnoughError):
        exact(wide)
    (g,) = torch.autograd.grad(seen[0].square().mean(), wide)
    (back,) = torch.autograd.grad(given, x, g.to(given.dtype))
    return back.double()
