"""Units visualized: their activation on phosphene's pictures, on other people's, and on crops of photos.

Every tool takes as many steps, a gradient each, on the same network, with its own defaults for everything
else; the activation is the channel's mean on the plain picture.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import results, ways
from benchmarks.peers import FOLDER, install
from phosphene import evidence, expression, features, models
from phosphene.lens import Lens

STEPS = 128
LAYERS = {
    "efficientnet_lite2": tuple(
        f"blocks.{block}" for block in ("0.0", "1.2", "2.2", "3.2", "4.2", "5.2", "5.3", "6.0")
    ),
    "bvlc_googlenet": tuple(
        f"inception_{cell}/output" for cell in ("3a", "3b", "4a", "4c", "4e", "5a", "5b")
    ),
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Pictures = Callable[["Part", int, int], Tensor]  # channel, px -> `[1, 3, H, W]`


@dataclass(frozen=True)
class Found:
    """A unit: its activation on each tool's picture, and of how many percent of the crops ours is above."""

    unit: str
    activations: dict[str, float]
    percentile: float


class Part(nn.Module):
    """A network up to a layer, whose input is normalised as ImageNet's photos are: what the others expect."""

    def __init__(self, lens: Lens, layer: str) -> None:
        super().__init__()
        self.lens, self.layer, self.seen = lens, layer, nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        mean, std = (torch.tensor(row, device=x.device).view(1, 3, 1, 1) for row in (MEAN, STD))
        with self.lens.watching([self.layer]) as look:
            seen: Tensor = self.seen(look(x * std + mean)[self.layer])
        return seen


def torch_dreams(part: Part, channel: int, size: int) -> Tensor:
    """Its Dreamer's own parametrization, transforms and optimiser."""
    from torch_dreams import Dreamer

    def loss(outputs: list[Tensor]) -> Tensor:
        return -outputs[0][:, channel].mean()

    dreamer = Dreamer(part, quiet=True, device=str(part.lens.device))
    shown = dreamer.render([part.seen], width=size, height=size, iters=STEPS, custom_func=loss)
    found: Tensor = shown.to_chw_tensor()[None]
    return found.clamp(0, 1)


def dreamlens(part: Part, channel: int, size: int) -> Tensor:
    """Its FeatureVisualizer, likewise."""
    from dreamlens import FeatureVisualizer, RenderConfig

    visualizer = FeatureVisualizer(part, quiet=True, device=str(part.lens.device))
    shown = visualizer.maximize_channel("seen", channel, RenderConfig(width=size, height=size, steps=STEPS))
    found: Tensor = shown.as_chw()[None, :3].detach()
    return found.clamp(0, 1)


PEERS: dict[str, Pictures] = {"torch-dreams": torch_dreams, "dreamlens": dreamlens}


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """A table for each network."""
    if options.threads:
        torch.set_num_threads(options.threads)
    missing = install() if options.peers else "not asked for"
    sys.path.append(FOLDER)
    texts = []
    for name in [name for name in LAYERS if name in options.networks]:
        if name == "bvlc_googlenet" and not options.weights:
            texts.append("bvlc_googlenet: not run, it needs --weights.\n")
            continue
        lens = models.load(name, options.weights if name == "bvlc_googlenet" else "", device=options.device)
        names = chosen(lens, LAYERS[name], options.units)
        found, seconds = compared(lens, names, options.sizes[0], options.cpu, () if missing else PEERS)
        texts.append(f"## {name}\n\n{text(found, seconds)}")
    return "\n".join(texts) + (f"\nWithout the others: {missing}.\n" if missing else ""), {}


def chosen(lens: Lens, layers: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """`count` different channels by chance, each layer as often."""
    random = np.random.RandomState(seed)
    found = []
    for layer in sorted(layers):
        share = len(range(layers.index(layer), count, len(layers)))
        found += [f"{layer}:{number}" for number in random.permutation(lens.channels(layer))[:share]]
    return found


def compared(
    lens: Lens, names: Sequence[str], size: int, cpu: bool, peers: Sequence[str] | dict[str, Pictures]
) -> tuple[list[Found], tuple[float, float]]:
    """Each unit's figures, and the seconds of all in batches and one by one."""
    clock = ways.CLOCKS["cpu" if cpu else "wall"]
    config = features.settings(steps=STEPS, seed=0)
    objectives = [expression.parse(name).bind(lens) for name in names]
    start = clock()
    scores = {seen.number: seen.score for seen in features.visualize(names, lens, config, size=size)}
    between = clock()
    for name in names:
        list(features.visualize([name], lens, config, size=size))
    seconds = between - start, clock() - between
    crops = evidence.survey(objectives, lens, evidence.photos())
    found = []
    for number, name in enumerate(names):
        layer, _, channel = name.rpartition(":")
        activations = {"phosphene": scores[number]}
        for peer in peers:
            torch.manual_seed(0)
            np.random.seed(0)  # the others draw from it
            picture = PEERS[peer](Part(lens, layer), int(channel), size)
            activations[peer] = features.plain_score(objectives[number], picture, lens)
        above = float(100 * (crops[number] < scores[number]).mean())
        found.append(Found(name, activations, above))
        rounded = {way: round(value, 3) for way, value in activations.items()}
        print(name, rounded, f"{above:.2f} %", flush=True)
    return found, seconds


def text(found: Sequence[Found], seconds: tuple[float, float]) -> str:
    """What was found, in a few lines and a row for each unit."""
    peers = [way for way in found[0].activations if way != "phosphene"]
    lines = []
    for way in peers:
        ratios = [one.activations["phosphene"] / max(one.activations[way], 1e-9) for one in found]
        middle = statistics.median(ratios)
        lines.append(f"- {middle:.2f}× the activation on {way}'s pictures, in the median\n")
    if peers:
        ahead = [all(one.activations["phosphene"] > one.activations[way] for way in peers) for one in found]
        lines.append(f"- higher than all of them in {100 * statistics.mean(ahead):.0f} % of the units\n")
    high = statistics.mean(one.percentile >= 99.9 for one in found)
    lines.append(f"- above the 99.9th percentile of {evidence.CROPS} crops of photos in {100 * high:.0f} %\n")
    batches, single = seconds
    lines.append(
        f"- {len(found)} units, {STEPS} steps: {batches:.0f} s in batches, {single:.0f} s one by one "
        f"({batches / single:.2f}×)\n\n"
    )
    heads = ["unit", "phosphene", *peers, "above crops"]
    rows = [
        [one.unit, *(f"{value:.3g}" for value in one.activations.values()), f"{one.percentile:.2f} %"]
        for one in found
    ]
    return "".join(lines) + results.table(heads, rows)
