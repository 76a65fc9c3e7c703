"""The loop: climb an objective's gradient in image space, octave by octave, and yield frames."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from numpy.random import RandomState
from torch import Tensor

from phosphene import expression, gradient, memory, tile
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.frame import Frame
from phosphene.lens import Lens, Look
from phosphene.objective import Objective
from phosphene.octave import octave_count, octave_sizes, output_size, pyramid, resampled, zoomed
from phosphene.param import Pixels
from phosphene.state import Given, checked, settings_of

TRIES = 3  # halvings of the step in an octave before a run that diverges is given up
Climb = Callable[[Tensor, int, int, RandomState], tuple[Tensor, Tensor, int]]


def dream(
    image: Tensor,
    objective: Objective | str,
    lens: Lens,
    config: Dream = Dream(),  # noqa: B008
    *,
    mask: Tensor | None = None,
    detail: Tensor | None = None,
    resume: dict[str, Any] | None = None,
) -> Iterator[Frame]:
    """Dream on `image` and yield a `Frame` after every step; the picture is the last one's `full()`.

    `image` is `[N, 3, H, W]` or `[3, H, W]`, RGB, 0..1; `objective` may be its text. Every image of
    a batch is normalised by itself. `mask` `[H, W]` or `[1 or N, 1 or 3, H, W]`, 0..1, multiplies
    the step. `detail` `[N, 3, H, W]` is a dream to start from: what it adds to the photo. `resume`
    is the `state()` of a frame of the same run: the frames after it follow, or the last one again.

    Stop by not going on; `close()` leaves no hook, thread or grad mode behind. Raises
    E_ZERO_GRADIENT and E_DIVERGED; the last frame then still holds the last good picture.
    """
    given = Given(image, mask, detail)
    if resume is not None:
        then = settings_of(resume)
        config = config.but(
            seed=then.seed if config.seed is None else config.seed,
            tile=config.tile or then.tile,
            checkpointing=config.checkpointing or then.checkpointing,
        )
    photo, config = _prepared(_pixels("image", image, (3,), 0, 1, lens), config)
    objective = (expression.parse(objective) if isinstance(objective, str) else objective).bind(lens)
    sizes = octave_sizes(photo.shape[-2], photo.shape[-1], config)
    start = checked(resume, config, objective.text, given, photo.shape, sizes) if resume is not None else {}
    lost = lens.zero if config.notebook_edges else None
    where = _mask(mask, photo, lens)
    random = start.get("random") or RandomState(config.seed)

    with lens.watching(objective.layers) as look:
        _check_places(objective, look, photo)
    planned = memory.plan(
        objective,
        lens,
        config,
        (len(photo), *sizes[-1]),
        photo_held=True,
        measure=bool(config.max_memory),
    )
    config = config.but(tile=planned.tile, checkpointing=planned.checkpointing)
    with memory.watching(lens, objective.layers, config.checkpointing) as look:
        bases = pyramid(photo, sizes, lost)
        added = _detail(detail, bases[0], lens)
        del bases[: start.get("octave", 0)]
        for octave in range(start.get("octave", 0), len(sizes)):
            size, base = sizes[octave], bases.pop(0)
            with _recording():
                canvas = Pixels(
                    start["image"].to(photo)
                    if start
                    else base + zoomed(added, size, None if lost is None else torch.zeros_like(lost))
                )
                good = (start["good"].to(photo) if start else canvas().detach()).clone()
            del added
            halvings, first = start.get("halvings", 0), start.get("step", -1) + 1
            climb = _slope(look, objective.at(size[0] / sizes[-1][0], size[1] / sizes[-1][1]), base, config)
            weight = 1.0 if where is None else zoomed(where, size)
            frame = partial(
                Frame,
                octave=octave,
                octaves=len(sizes),
                steps=config.steps,
                config=config,
                objective=objective.text,
                base=base,
                photo=photo,
                given=given,
                good=good,
            )
            if octave == len(sizes) - 1 and first == config.steps:
                yield frame(
                    image=canvas().detach(),
                    step=first - 1,
                    score=start["score"].to(photo.device),
                    random=random.get_state(legacy=False),
                    halvings=halvings,
                )
            start = {}
            for step in range(first, config.steps):
                while True:
                    with _recording():
                        x = canvas()
                        g, score, side = climb(x.detach(), octave, step, random)
                        average = gradient.mean_size(g)
                        if bool(torch.isfinite(average).all()):
                            break
                        canvas.image.data.copy_(good)
                        halvings += 1
                        if halvings > TRIES:
                            raise PhospheneError("E_DIVERGED", _diverged(octave, step, objective))
                if not bool(average.all()):
                    raise PhospheneError("E_ZERO_GRADIENT", _dead(average, octave, step, objective))
                notes: tuple[str, ...] = ()
                if side < config.tile:
                    config = config.but(tile=side)
                    notes = (f"out of memory; going on with --tile {side}",)
                change = g.div_(average).mul_(config.step_size * config.strength / 255 / 2**halvings * weight)
                with _recording():
                    good.copy_(x.detach())
                    x.backward(change.neg_())
                    del g, change
                    canvas.descend()
                if config.clip:
                    canvas.clip()
                yield frame(
                    image=canvas().detach(),
                    step=step,
                    score=score,
                    random=random.get_state(legacy=False),
                    halvings=halvings,
                    config=config,
                    notes=notes,
                )
            added = canvas().detach() - base  # noqa: F841 (the next octave starts with it)


def _check_places(objective: Objective, look: Look, photo: Tensor) -> None:
    """E_PARAM at once for a neuron that the last octave's grid doesn't have."""
    if any(term.place for term in objective.terms):
        grids = tile.grids(look, objective.layers, photo)
        for term in objective.terms:
            term.check_place(grids[term.layer][:2])


def _slope(look: Look, objective: Objective, base: Tensor, config: Dream) -> Climb:
    """The gradient of an octave's steps, ready to be normalised, the score, and the tile in use.

    Where memory runs out, the tile is halved from then on.
    """
    groups = objective.by_layer() if config.balance else [(1.0, objective)]
    parts = [part for _, part in groups]
    height, width = base.shape[-2:]
    side, tiled, whole = config.tile, objective.spread, None

    def climb(x: Tensor, octave: int, step: int, random: RandomState) -> tuple[Tensor, Tensor, int]:
        nonlocal side, tiled, whole
        ox, oy = (int(o) for o in random.randint(-config.jitter, config.jitter + 1, 2))
        while True:
            plan = tile.plan(height, width, side, config.halo, tiled)
            if plan.tile and whole is None:
                whole = tile.grids(look, objective.layers, base)
                if not all(grid.stride for grid in whole.values()):
                    tiled = False  # a layer that sees the whole picture: its score can't be tiled
                    continue
            grid = tile.shift(plan, RandomState([config.seed or 0, octave, step]))
            try:
                found, score = tile.gradients(parts, look, x, plan, grid, whole, (oy, ox))
                break
            except (MemoryError, RuntimeError, PhospheneError) as error:
                if not tiled:
                    raise
                side = memory.halved(min(side, tile.whole(height, width)), error)
        g = gradient.balanced(found, [weight for weight, _ in groups])
        g = gradient.laplacian(gradient.unit(g), config.laplacian) if config.laplacian else g
        return gradient.gaussian(g, gradient.falling_sigma(config.smooth, step, config.steps)), score, side

    return climb


@contextmanager
def _recording() -> Iterator[None]:
    """Gradients on, whatever the caller's mode is; never held across a `yield` of the loop."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _pixels(
    name: str, image: Tensor, channels: tuple[int, ...], low: float, high: float, lens: Lens
) -> Tensor:
    """`image` as float32 `[N, C, H, W]` on the lens's device, if it is one, of that range."""
    if (
        not isinstance(image, Tensor)
        or image.dim() not in (3, 4)
        or image.shape[-3] not in channels
        or not image.numel()
    ):
        shape = list(image.shape) if isinstance(image, Tensor) else type(image).__name__
        count = " or ".join(map(str, channels))
        raise PhospheneError(
            "E_PARAM", f"{name} is {shape}, expected a tensor [N, {count}, H, W] or [{count}, H, W]"
        )
    image = image.detach().to(lens.device, torch.float32).reshape(-1, *image.shape[-3:])
    least, most = image.min().item(), image.max().item()
    if not math.isfinite(least + most):
        raise PhospheneError(
            "E_NONFINITE", f"{name} has values that are not finite, expected {low} to {high}"
        )
    if least < low - 1e-3 or most > high + 1e-3:
        raise PhospheneError(
            "E_PARAM", f"{name} has values from {least:g} to {most:g}, expected {low} to {high}"
        )
    return image


def _prepared(photo: Tensor, config: Dream) -> tuple[Tensor, Dream]:
    """The photo at the output's size, and the settings with nothing left open."""
    photo = resampled(photo, output_size(photo.shape[-2], photo.shape[-1], config))
    seed = secrets.randbelow(2**32) if config.seed is None else config.seed
    count = octave_count(photo.shape[-2], photo.shape[-1], config)
    return photo, config.model_copy(update={"seed": seed, "octaves": count})


def _mask(mask: Tensor | None, photo: Tensor, lens: Lens) -> Tensor | None:
    if mask is None:
        return None
    flat = isinstance(mask, Tensor) and mask.dim() == 2
    mask = _pixels("mask", mask[None] if flat else mask, (1, 3), 0, 1, lens)
    _check_batch("mask", mask, photo)
    return zoomed(mask.mean(1, keepdim=True).clamp(0, 1), (photo.shape[-2], photo.shape[-1]))


def _detail(detail: Tensor | None, base: Tensor, lens: Lens) -> Tensor:
    if detail is None:
        return torch.zeros_like(base)
    detail = _pixels("detail", detail, (3,), -math.inf, math.inf, lens)
    _check_batch("detail", detail, base)
    return zoomed(detail, (base.shape[-2], base.shape[-1]))


def _check_batch(name: str, tensor: Tensor, photo: Tensor) -> None:
    if tensor.shape[0] not in (1, photo.shape[0]):
        raise PhospheneError(
            "E_PARAM", f"{name} has {tensor.shape[0]} images, expected 1 or {photo.shape[0]}, as the photo"
        )


def _dead(average: Tensor, octave: int, step: int, objective: Objective) -> str:
    which = [i for i, size in enumerate(average.flatten().tolist()) if size == 0]
    image = f" of image {which[0]}" if len(average) > 1 else ""
    return (
        f"the gradient{image} of {objective.text[:200]} is zero in octave {octave + 1}, step {step + 1}: "
        "nothing that it looks at responds (a dead channel, or a flat picture); "
        "choose another objective or photo"
    )


def _diverged(octave: int, step: int, objective: Objective) -> str:
    return (
        f"the gradient of {objective.text[:200]} is not finite in octave {octave + 1}, step {step + 1}, "
        f"even after the step was halved {TRIES} times; give a smaller --step-size or --dtype float32"
    )
