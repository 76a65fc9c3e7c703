"""A unit's activation on phosphene's picture beside those on other programs', after as many gradients."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import peers, results, ways
from phosphene import evidence, features, models
from phosphene.lens import Lens

SIZE, STEPS = 224, 128
LAYERS = {
    "efficientnet_lite2": ("blocks.2.1", "blocks.3.1", "blocks.4.1", "blocks.5.1"),
    "bvlc_googlenet": ("inception_3b/output", "inception_4a/output", "inception_4c/output"),
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what the others prepare a picture with
Picture = Callable[[str, int], Tensor]  # a layer, a channel -> [3, H, W], 0..1


class Prepared(nn.Module):
    """The lens's network, for pictures that were prepared for torchvision's."""

    def __init__(self, lens: Lens) -> None:
        super().__init__()
        self.network, self._lens = lens.module, [lens]

    def forward(self, x: Tensor) -> Any:
        mean, std = (torch.tensor(row).view(1, 3, 1, 1) for row in (MEAN, STD))
        return self.network(self._lens[0].prepare(x * std + mean))


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """For each network: so many units of some layers, every way with the same number of gradients."""
    if why := peers.install():
        raise SystemExit(f"torch-dreams and dreamlens can't be installed: {why}")
    if options.threads:
        torch.set_num_threads(options.threads)
    sys.path.append(peers.FOLDER)
    rows = []
    for name in [name for name in options.networks if name in LAYERS]:
        lens = models.load(name, options.weights if name == "bvlc_googlenet" else "", device="cpu")
        rows.append(compared(name, lens, options.units))
        print(rows[-1], flush=True)
    heads = [
        *("network", "units", "÷ torch-dreams", "÷ dreamlens", "above both"),
        *("above 99.9 % of photos", "in batches ÷ one by one"),
    ]
    words = (
        f"{SIZE} px, {STEPS} gradients; the unit's mean activation on the plain picture, medians of ratios; "
        f"photos: {evidence.CROPS} crops of scikit-image's.\n\n"
    )
    return words + results.table(heads, rows), {}


def compared(name: str, lens: Lens, count: int) -> list[str]:
    """A row of the table."""
    random = np.random.RandomState(0)
    units = []
    for number in range(count):
        layer = LAYERS[name][number % len(LAYERS[name])]
        units.append((layer, int(random.randint(lens.channels(layer)))))
    objectives = [features.read(f"{layer}:{channel}").bind(lens) for layer, channel in units]
    config = features.settings(steps=STEPS, seed=0)
    clock = ways.CLOCKS["cpu"]
    start = clock()
    ours = {seen.number: seen.score for seen in features.visualize(objectives, lens, config, size=SIZE)}
    together, start = clock() - start, clock()
    few = objectives[: len(LAYERS[name])]
    for objective in few:
        list(features.visualize(objective, lens, config, size=SIZE))
    alone = (clock() - start) / len(few)
    module = Prepared(lens)
    theirs = [
        [
            features.plain_score(one, way(*unit)[None], lens)
            for one, unit in zip(objectives, units, strict=True)
        ]
        for way in (torch_dreams(module), dreamlens(module))
    ]
    values = evidence.survey(objectives, lens, evidence.photos())
    return [
        name,
        str(count),
        *(f"{statistics.median(ours[i] / other for i, other in enumerate(way)):.2f}×" for way in theirs),
        f"{np.mean([ours[i] > max(way[i] for way in theirs) for i in range(count)]):.0%}",
        f"{np.mean([ours[i] > np.quantile(row, 0.999) for i, row in enumerate(values)]):.0%}",
        f"{together / count / alone:.2f}",
    ]


def torch_dreams(module: Prepared) -> Picture:
    """Its Dreamer, as its readme uses it."""
    from torch_dreams import Dreamer

    dreamer = Dreamer(module, quiet=True, device="cpu")

    def picture(layer: str, channel: int) -> Tensor:
        torch.manual_seed(0)
        made = dreamer.render(
            [module.network.get_submodule(layer)],
            width=SIZE,
            height=SIZE,
            iters=STEPS,
            custom_func=lambda outputs: -outputs[0][0, channel].mean(),
        )
        return chw(np.asarray(made))

    return picture


def dreamlens(module: Prepared) -> Picture:
    """Its FeatureVisualizer, as its readme uses it."""
    from dreamlens import FeatureVisualizer, RenderConfig

    visualizer = FeatureVisualizer(module, quiet=True)

    def picture(layer: str, channel: int) -> Tensor:
        torch.manual_seed(0)
        config = RenderConfig(width=SIZE, height=SIZE, steps=STEPS)
        part = module.network.get_submodule(layer)
        return chw(np.asarray(visualizer.maximize_channel(part, channel, config=config)))

    return picture


def chw(pixels: np.ndarray) -> Tensor:
    """A picture [H, W, 3] or [3, H, W] as a tensor [3, H, W]."""
    image = torch.from_numpy(np.array(pixels, np.float32)).squeeze()
    return (image if image.shape[0] == 3 else image.permute(2, 0, 1)).clamp(0, 1)
