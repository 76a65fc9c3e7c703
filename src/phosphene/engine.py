"""The loop: climb an objective's gradient in image space, octave by octave, and yield frames."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.random import RandomState
from torch import Tensor

from phosphene import expression, gradient, tile
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.frame import Frame
from phosphene.lens import Lens, Look
from phosphene.objective import Objective
from phosphene.octave import octave_count, octave_sizes, output_size, pyramid, resampled, zoomed
from phosphene.param import Pixels

TRIES = 3  # halvings of the step in an octave before a run that diverges is given up
Climb = Callable[[Tensor, int, int, RandomState], tuple[Tensor, Tensor]]
HOW = frozenset({"device", "threads"})  # settings that a resumed run may change


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
    is the `state()` of a frame of the same run.

    Stop by not going on; `close()` leaves no hook, thread or grad mode behind. Raises
    E_ZERO_GRADIENT and E_DIVERGED; the last frame then still holds the last good picture.
    """
    then = Dream.from_json(resume["config"]) if resume else None
    if then and config.seed is None:
        config = config.but(seed=then.seed)
    photo, config = _prepared(image, lens, config)
    objective = (expression.parse(objective) if isinstance(objective, str) else objective).bind(lens)
    start = _checked(resume, then, config, objective, photo) if resume and then else {}
    sizes = octave_sizes(photo.shape[-2], photo.shape[-1], config)
    lost = lens.zero if config.notebook_edges else None
    bases = pyramid(photo, sizes, lost)
    where = _mask(mask, photo)
    random = RandomState(config.seed)
    if start:
        random.set_state(start["random"])

    with lens.watching(objective.layers) as look:
        _check_places(objective, look, photo)
        added = torch.zeros_like(bases[0]) if detail is None else zoomed(detail.to(photo), sizes[0])
        for octave in range(start.get("octave", 0), len(sizes)):
            size, base = sizes[octave], bases[octave]
            with _recording():
                canvas = Pixels(
                    start["image"].to(photo)
                    if start
                    else base + zoomed(added, size, None if lost is None else torch.zeros_like(lost))
                )
            good = canvas().detach().clone()
            halvings, first = start.get("halvings", 0), start.get("step", -1) + 1
            climb = _slope(look, objective.at(size[0] / sizes[-1][0], size[1] / sizes[-1][1]), base, config)
            weight = 1.0 if where is None else zoomed(where, size)
            start = {}
            for step in range(first, config.steps):
                while True:
                    with _recording():
                        x = canvas()
                        g, score = climb(x.detach(), octave, step, random)
                        average = gradient.mean_size(g)
                        if bool(torch.isfinite(average).all()):
                            break
                        canvas.image.data.copy_(good)
                        halvings += 1
                        if halvings > TRIES:
                            raise PhospheneError("E_DIVERGED", _diverged(octave, step, objective))
                if not bool(average.all()):
                    raise PhospheneError("E_ZERO_GRADIENT", _dead(average, octave, step, objective))
                good.copy_(x.detach())
                change = config.step_size * config.strength / 255 / 2**halvings * weight * (g / average)
                with _recording():
                    x.backward(-change)
                    canvas.descend()
                if config.clip:
                    canvas.clip()
                yield Frame(
                    image=canvas().detach(),
                    octave=octave,
                    octaves=len(sizes),
                    step=step,
                    steps=config.steps,
                    score=score,
                    config=config,
                    objective=objective.text,
                    base=base,
                    photo=photo,
                    random=random.get_state(legacy=False),
                    halvings=halvings,
                )
            added = canvas().detach() - base


def _check_places(objective: Objective, look: Look, photo: Tensor) -> None:
    """E_PARAM at once for a neuron that the last octave's grid doesn't have."""
    if any(term.place for term in objective.terms):
        grids = tile.grids(look, objective.layers, photo)
        for term in objective.terms:
            term.check_place(grids[term.layer][:2])


def _slope(look: Look, objective: Objective, base: Tensor, config: Dream) -> Climb:
    """The gradient of an octave's steps, ready to be normalised, and the score."""
    groups = objective.by_layer() if config.balance else [(1.0, objective)]
    parts = [part for _, part in groups]
    plan = tile.plan(base.shape[-2], base.shape[-1], config.tile, objective.spread)
    whole = tile.grids(look, objective.layers, base) if plan.tile else None
    if whole and not all(grid.stride for grid in whole.values()):
        plan, whole = tile.Plan(), None  # a layer that sees the whole picture: its score can't be tiled

    def climb(x: Tensor, octave: int, step: int, random: RandomState) -> tuple[Tensor, Tensor]:
        ox, oy = (int(o) for o in random.randint(-config.jitter, config.jitter + 1, 2))
        grid = tile.shift(plan, RandomState([config.seed or 0, octave, step]))
        found, score = tile.gradients(parts, look, x.roll((oy, ox), (-2, -1)), plan, grid, whole)
        g = gradient.balanced(found, [weight for weight, _ in groups]).roll((-oy, -ox), (-2, -1))
        g = gradient.laplacian(g, config.laplacian) if config.laplacian else g
        return gradient.gaussian(g, gradient.falling_sigma(config.smooth, step, config.steps)), score

    return climb


@contextmanager
def _recording() -> Iterator[None]:
    """Gradients on, whatever the caller's mode is; never held across a `yield` of the loop."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _prepared(image: Tensor, lens: Lens, config: Dream) -> tuple[Tensor, Dream]:
    """The photo at the output's size on the lens's device, and the settings with nothing left open."""
    if (
        not isinstance(image, Tensor)
        or image.dim() not in (3, 4)
        or image.shape[-3] != 3
        or not image.numel()
    ):
        shape = list(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise PhospheneError("E_PARAM", f"image is {shape}, expected a tensor [N, 3, H, W] or [3, H, W]")
    photo = image.detach().to(lens.device, torch.float32).reshape(-1, *image.shape[-3:])
    low, high = photo.min().item(), photo.max().item()
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        code = "E_PARAM" if low == low and high == high else "E_NONFINITE"
        raise PhospheneError(code, f"image has values from {low:g} to {high:g}, expected 0 to 1")
    photo = resampled(photo, output_size(photo.shape[-2], photo.shape[-1], config))
    seed = secrets.randbelow(2**32) if config.seed is None else config.seed
    count = octave_count(photo.shape[-2], photo.shape[-1], config)
    return photo, config.model_copy(update={"seed": seed, "octaves": count})


def _mask(mask: Tensor | None, photo: Tensor) -> Tensor | None:
    if mask is None:
        return None
    mask = mask.detach().to(photo)
    mask = mask.reshape(-1, *mask.shape[-3:]) if mask.dim() >= 3 else mask[None, None]
    if mask.shape[1] not in (1, 3) or mask.shape[0] not in (1, photo.shape[0]):
        raise PhospheneError("E_PARAM", f"mask is {list(mask.shape)}, expected [1, 1, H, W], 0 to 1")
    return zoomed(mask.mean(1, keepdim=True).clamp(0, 1), (photo.shape[-2], photo.shape[-1]))


def _checked(
    state: dict[str, Any], then: Dream, config: Dream, objective: Objective, photo: Tensor
) -> dict[str, Any]:
    """`state`, if it is of this run; else E_PARAM says what differs."""
    pairs = [
        (name, getattr(then, name), getattr(config, name))
        for name in Dream.model_fields
        if name not in HOW and name != "objective"
    ]
    pairs += [("objective", state["objective"], objective.text)]
    pairs += [("picture", list(state["photo_shape"]), list(photo.shape))]
    differing = [f"{name} {was!r}, now {now!r}" for name, was, now in pairs if was != now]
    if differing:
        raise PhospheneError("E_PARAM", f"the state to resume is of another run: {'; '.join(differing)}")
    return state


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
