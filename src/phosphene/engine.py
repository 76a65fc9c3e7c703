"""The loop: climb an objective's gradient in image space, octave by octave, and yield frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from numpy.random import RandomState
from torch import Tensor

from phosphene import expression, gradient, memory, redirect, tile, transform
from phosphene.canvas import Canvas, Disk, Held, Kept
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.frame import Frame
from phosphene.intake import detail_of, mask_of, photo_of
from phosphene.lens import Lens, Look
from phosphene.noise import Noise
from phosphene.objective import Objective
from phosphene.octave import octave_sizes, pyramid, zoomed
from phosphene.param import Learned, Pixels, begin, resumed
from phosphene.state import Given, checked, settings_of

TRIES = 3  # halvings of the step in an octave before a run that diverges is given up
NOISE = 0.01  # deviation of the noise that pixels start from
TINY = torch.finfo(torch.float32).tiny
Climb = Callable[[Kept, int, int, RandomState], tuple[Canvas, Tensor, int]]


def dream(
    image: Tensor | Disk | Noise,
    objective: Objective | str,
    lens: Lens,
    config: Dream = Dream(),  # noqa: B008
    *,
    mask: Tensor | None = None,
    detail: Tensor | None = None,
    resume: dict[str, Any] | None = None,
    random: RandomState | None = None,
) -> Iterator[Frame]:
    """Dream on `image` and yield a `Frame` after every step; the picture is the last one's `full()`.

    `image` is `[N, 3, H, W]` or `[3, H, W]`, RGB, 0..1; `objective` may be its text. Every image of
    a batch is normalised by itself, and has an objective of its own where that is a `batch` of them.
    A `Noise` is dreamed on from noise, as the `param` has it. `mask` `[H, W]` or
    `[1 or N, 1 or 3, H, W]`, 0..1, multiplies the step. `detail` `[N, 3, H, W]` is a dream to start
    from: what it adds to the photo. `resume` is the `state()` of a frame of the same run: the frames
    after it follow, or the last one again. `random` draws the jitter, and moves on, where a film goes on
    drawing from frame to frame; else a generator of `config.seed` does.

    A photo that is a `canvas.Disk` is dreamed on there, beside it, in windows: the same picture in
    bounded memory; its frames are read by `rows()`.

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
    photo, config = photo_of(image, lens, config)
    objective = (objective if isinstance(objective, Objective) else expression.parse(objective)).bind(lens)
    sizes = octave_sizes(*photo.size, config)
    start = checked(resume, config, objective.text, given, photo, sizes) if resume is not None else {}
    lost = lens.zero if config.notebook_edges else None
    where = mask_of(mask, photo, lens)
    random = start.get("random") or random or RandomState(config.seed)

    with lens.watching(objective.layers) as look:
        _check_places(objective, look, photo)
    notes = _untiled(objective, config, sizes[-1])
    planned = memory.plan(
        objective,
        lens,
        config,
        (photo.shape[0], *sizes[-1]),
        photo_held=True,
        on_disk=isinstance(photo, Disk),
        measure=bool(config.max_memory) and not config.tile,
    )
    config = config.but(tile=planned.tile, checkpointing=planned.checkpointing)
    with lens.watching(objective.layers, config.checkpointing) as look:
        bases = pyramid(photo, sizes, lost)
        added = detail_of(detail, bases[0], lens)
        del bases[: start.get("octave", 0)]
        noise = image if isinstance(image, Noise) else None
        if noise and added is None:
            added = Held(noise.image(NOISE, config.seed or 0).to(photo.device))
        canvas: Pixels | Learned | None = None
        for octave in range(start.get("octave", 0), len(sizes)):
            size, base = sizes[octave], bases.pop(0)
            with _recording():
                picture = start["image"] if start else _joined(base, added, lost)
                canvas = begin(config, picture, noise, canvas)
                good = resumed(canvas, start) if start else canvas.kept()
            del added
            halvings, first = start.get("halvings", 0), start.get("step", -1) + 1
            now = objective.at(size[0] / sizes[-1][0], size[1] / sizes[-1][1])
            climb = _slope(look, now, base, config, tile.rolls(config.jitter, lens.patch))
            weight = None if where is None else zoomed(where, size)
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
            )
            if octave == len(sizes) - 1 and first == config.steps:
                yield frame(
                    **_held(canvas, good),
                    step=first - 1,
                    score=start["score"].to(photo.device),
                    random=random.get_state(legacy=False),
                    halvings=halvings,
                )
            start = {}
            for step in range(first, config.steps):
                while True:
                    with _recording():
                        g, score, side = climb(canvas(), octave, step, random)
                        average = gradient.mean_size(g)
                        if bool(torch.isfinite(average).all()):
                            break
                        canvas.restore(good)  # type: ignore[arg-type]  # what this canvas kept
                        halvings += 1
                        if isinstance(canvas, Learned):
                            canvas.slower()
                        if halvings > TRIES:
                            raise PhospheneError("E_DIVERGED", _diverged(octave, step, objective))
                if not bool(average.any()):
                    raise PhospheneError("E_ZERO_GRADIENT", _dead(octave, step, objective))
                notes += _unmoved(average)
                if side < config.tile:
                    config = config.but(tile=side)
                    notes += (f"out of memory; going on with --tile {side}",)
                good = canvas.kept()
                with _recording():
                    size_of_step = config.step_size * config.strength / 255 / 2**halvings
                    change = gradient.scaled(g, average.clamp_min(TINY), size_of_step, weight)
                    canvas.climb(change, clip=config.clip)
                    del change
                    del g
                yield frame(
                    **_held(canvas, good),
                    step=step,
                    score=score,
                    random=random.get_state(legacy=False),
                    halvings=halvings,
                    config=config,
                    notes=notes,
                )
                notes = ()
            added = canvas.shown().minus(base)  # noqa: F841 (the next octave starts with it)


def _untiled(objective: Objective, config: Dream, size: tuple[int, int]) -> tuple[str, ...]:
    if objective.spread or not 0 < config.tile < max(size):
        return ()
    return (
        "its score doesn't add up over tiles, so the picture is looked at as a whole, whatever --tile says",
    )


def _held(canvas: Pixels | Learned, good: Any) -> dict[str, Any]:
    """What a frame holds of it: the picture, and what a state takes to come back here."""
    shown = canvas.shown()
    if isinstance(canvas, Learned):
        more = {"params": partial(canvas.saved, good), "opacity": canvas.opacity()}
        return {"canvas": shown, "good": shown, **more}
    return {"canvas": shown, "good": good}


def _joined(base: Kept, added: Canvas | None, lost: Tensor | None) -> Kept:
    """The picture that an octave starts with: the photo and what has been added to it, enlarged."""
    if added is None:
        return base
    grown = zoomed(added, base.size, None if lost is None else torch.zeros_like(lost))
    return base.made(base.shape, base.plus(grown).rows)


def _check_places(objective: Objective, look: Look, photo: Canvas) -> None:
    """E_PARAM at once for a neuron that the last octave's grid doesn't have."""
    if any(term.place for term in objective.terms):
        grids = tile.grids(look, objective.layers, photo)
        for term in objective.terms:
            term.check_place(grids[term.layer][:2])


def _slope(look: Look, objective: Objective, base: Canvas, config: Dream, rolls: tuple[int, int]) -> Climb:
    """The gradient of an octave's steps, ready to be normalised, the score, and the tile in use.

    Where memory runs out, the tile is halved from then on.
    """
    groups = objective.by_layer() if config.balance else [(1.0, objective)]
    parts = [part for _, part in groups]
    height, width = base.size
    plain = transform.parse(config.transforms) is None
    side, tiled, whole = config.tile, objective.spread and plain, None

    def climb(x: Kept, octave: int, step: int, random: RandomState) -> tuple[Canvas, Tensor, int]:
        nonlocal side, tiled, whole
        change = transform.parse(config.transforms, step / max(1, config.steps - 1))
        seen = transform.drawn(change, [config.seed or 0, octave, step], x.shape[0])
        ox, oy = (int(o) for o in random.randint(*rolls, 2))
        while True:
            plan = tile.plan(height, width, side, config.halo, tiled)
            if plan.tile and whole is None:
                whole = tile.grids(look, objective.layers, base)
                if not all(grid.stride for grid in whole.values()):
                    tiled = False  # a layer that sees the whole picture: its score can't be tiled
                    continue
            grid = tile.shift(plan, RandomState([config.seed or 0, octave, step]))
            try:
                now = [part.drawn(config.seed or 0, octave, step) for part in parts]
                found, score = tile.gradients(now, look, x, plan, grid, whole, (oy, ox), seen)
                break
            except (MemoryError, RuntimeError, PhospheneError) as error:
                if not tiled:
                    raise
                side = memory.halved(min(side, tile.whole(height, width)), error)
        g = gradient.balanced(found, [weight for weight, _ in groups])
        g = gradient.laplacian(gradient.unit(g), config.laplacian) if config.laplacian else g
        return gradient.gaussian(g, gradient.falling_sigma(config.smooth, step, config.steps)), score, side

    def lively(x: Kept, octave: int, step: int, random: RandomState) -> tuple[Canvas, Tensor, int]:
        """The same, with redirected gradients for those images that get none at the start."""
        place = random.get_state()
        g, score, now = climb(x, octave, step, random)
        if step < redirect.STEPS and isinstance(g, Held) and objective.layers - {"input"}:
            alive = g.image.flatten(1).any(1)
            if not bool(alive.all()):
                random.set_state(place)
                with redirect.redirected():
                    other = climb(x, octave, step, random)[0]
                g = Held(torch.where(alive.view(-1, 1, 1, 1), g.image, other.rows(0, height)))
        return g, score, now

    return lively


@contextmanager
def _recording() -> Iterator[None]:
    """Gradients on, whatever the caller's mode is; never held across a `yield` of the loop."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _unmoved(average: Tensor) -> tuple[str, ...]:
    """A note on the images of a batch that nothing responds to, while others go on."""
    still = [str(i) for i, size in enumerate(average.flatten().tolist()) if size == 0]
    return (f"nothing responds to image {', '.join(still)}, which stays as it is",) if still else ()


def _dead(octave: int, step: int, objective: Objective) -> str:
    return (
        f"the gradient of {objective.text[:200]} is zero in octave {octave + 1}, step {step + 1}: "
        "nothing that it looks at responds (a dead channel, or a flat picture); "
        "choose another objective or photo"
    )


def _diverged(octave: int, step: int, objective: Objective) -> str:
    return (
        f"the gradient of {objective.text[:200]} is not finite in octave {octave + 1}, step {step + 1}, "
        f"even after the step was halved {TRIES} times; give a smaller --step-size or --dtype float32"
    )
