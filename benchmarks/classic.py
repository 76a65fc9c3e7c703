"""The notebook's dream of its own photo: phosphene beside the notebook's loop, in turns."""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import torch

from benchmarks import results, ways
from phosphene import engine, models
from phosphene.config import Dream
from phosphene.presets import preset

TESTS = str(Path(__file__).parents[1] / "tests")


def run(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Seconds of the whole dream, octaves × steps."""
    if not options.weights or not options.photo:
        return "Not run: it needs --weights (bvlc_googlenet's) and --photo (sky1024px.jpg).\n", {}
    sys.path.append(TESTS)
    from importlib import import_module

    from safetensors.torch import load_file

    from phosphene.picture import open_picture

    notebook = import_module("notebook")
    clock = ways.CLOCKS["cpu" if options.cpu else "wall"]
    if options.threads:
        torch.set_num_threads(options.threads)
    picture = open_picture(options.photo)
    pixels = picture.pixels * 255
    if options.shrink > 1:
        pixels = pixels[:: options.shrink, :: options.shrink]
    net = notebook.Net(load_file(options.weights))
    config = Dream.read({**preset("classic"), "seed": 0}).but(octaves=options.octaves, steps=options.steps)
    image = torch.from_numpy(pixels / 255).permute(2, 0, 1).contiguous()
    seer = models.load("bvlc_googlenet", options.weights, device="cpu")
    theirs, ours = [], []
    for _ in range(options.turns):
        start = clock()
        notebook.deepdream(net, pixels, 0, octaves=options.octaves, steps=options.steps)
        theirs.append(clock() - start)
        start = clock()
        *_, last = engine.dream(image, config.objective, seer, config)
        last.full()
        ours.append(clock() - start)
        print(f"notebook {theirs[-1]:.2f} s, phosphene {ours[-1]:.2f} s", flush=True)
    seconds = {"phosphene": statistics.median(ours), "the notebook's loop": statistics.median(theirs)}
    size = f"{pixels.shape[1]}×{pixels.shape[0]} px, {options.octaves} × {options.steps} steps"
    ratio = seconds["the notebook's loop"] / seconds["phosphene"]
    row = [size, *(f"{value:.2f}" for value in seconds.values()), f"{ratio:.2f}×"]
    table = results.table(["dream", *(f"{way}, s" for way in seconds), "ratio"], [row])
    return table + "\n" + results.behind([(size, seconds)], "s"), {}
