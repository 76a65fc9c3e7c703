"""The memory plan: the size of tile with which a dream stays within its budget.

    peak = held now + copies of the picture + the larger of
           one copy more, and what a gradient takes per pixel * pixels of a crop

What a gradient takes is counted on one small crop: every tensor that forward and backward pass hold at a
time. Chosen once for a run, at the size of its last octave, and written into its settings, so that
whoever resumes or replays it takes the same tiles. The dtype is never changed.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from phosphene import budget, tile, transform
from phosphene.canvas import STRIP, Held
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.objective import Objective
from phosphene.presented import NO_MEMORY

PROBE = 256  # px: side of the crop that is measured
BOUND = 12_000  # bytes per pixel that no network takes: what surely fits isn't measured
SLACK = 1.12  # what the allocator takes over what it is asked for, where it keeps freed memory
TILED = 1.25  # the same where tile follows on tile
AGAIN = 2  # times as long where activations are computed again
STORED = 1.1  # times as long where the picture is on disk
GOOD = 1.3  # times the work of an untiled gradient: with no more, nothing else is tried
COPIES = 4  # of the picture: the photo, what is moved, the last good one, the gradient
MARGIN = 0.95  # of the budget that a prediction may take, as it is one
ROOM = 0.7  # of what is left that a picture's copies may take; where they would take more, it is on disk
STRIPS = 14  # strips of a picture on disk that are held at a time
TILES = (*range(1024, 256, -64), 256, 224, 192, 160, 128, 96, 64)


@dataclass(frozen=True)
class Planned:
    """Tile and halo in pixels, and the most bytes that the process is expected to hold with them.

    With `checkpointing` activations are computed again instead of kept.
    """

    tile: int
    halo: int
    checkpointing: bool
    peak: int
    on_disk: bool = False


def plan(
    objective: Objective,
    lens: Lens,
    config: Dream,
    size: Sequence[int],
    *,
    photo_held: bool = False,
    on_disk: bool = False,
    measure: bool = True,
) -> Planned:
    """The tiles for a dream on `size` (N, H, W), the last octave's; `peak` 0 if nothing was measured.

    `photo_held` says that the photo at that size is in memory already. Without `measure`, nothing
    is measured where a tile is given or the picture surely fits. Raises E_MEMORY where nothing
    fits. The objective is bound to the lens. Of the ways that fit, that with the least work is taken;
    activations are computed again, rather than kept, where small tiles would take longer.
    """
    batch, height, width = size
    whole = tile.whole(height, width)
    most = budget.limit(config.max_memory, lens.device)
    change = transform.parse(config.transforms)
    met = transform.most_pixels(config.transforms, height, width)  # by the network
    needless = (config.tile and not change) or (
        not config.max_memory and met <= tile.WHOLE and budget.held(lens.device) + batch * met * BOUND < most
    )
    if needless and not measure:
        return Planned(config.tile or whole, config.halo, config.checkpointing, 0, on_disk)
    parts = [part for _, part in objective.by_layer()] if config.balance else [objective]
    picture = batch * height * width * 3 * 4
    copies = COPIES + len(parts) - 1 - photo_held
    if on_disk:
        strip = min(picture, batch * STRIP * 3 * 4)
        picture, copies = strip, min(STRIPS, -(-picture * (copies + 1) // strip))

    crops, parts = _apart(parts)

    @cache
    def per_pixel(checkpointing: bool) -> float:
        return batch * taken(parts, lens, config.seed or 0, height, width, checkpointing) if parts else 0.0

    @cache
    def of_crops(checkpointing: bool) -> float:
        rows, columns = _probe(height, width)
        per = taken(crops, lens, config.seed or 0, height, width, checkpointing) if crops else 0.0
        return batch * per * rows * columns

    per_pixel(config.checkpointing)
    spread = objective.spread and not change and _grows(objective, lens, height, width)
    fixed = budget.held(lens.device) + copies * picture  # with what the first looks have left behind

    def peak(side: int, checkpointing: bool) -> int:
        crop = met if change else tile.largest(height, width, tile.Plan(side, config.halo))
        slack = 1 if checkpointing else TILED if side < whole else SLACK
        steady = slack * of_crops(checkpointing)
        return int(fixed + max(picture, slack * per_pixel(checkpointing) * crop + steady))

    ways = _ways(config, height, width, spread)
    chosen = next((way for way in ways if peak(*way) <= MARGIN * most), None)
    if chosen is None and (config.max_memory or change or not config.tile):
        least = min(ways, key=lambda way: (peak(*way), way))
        raise PhospheneError("E_MEMORY", _advice(least, peak(*least), most, config, spread, whole))
    side, again = chosen or ways[0]
    most_held = max(peak(side, again), budget.highest(lens.device))
    return Planned(config.tile or side, config.halo, again, most_held, on_disk)


def placed(
    objective: Objective,
    lens: Lens,
    config: Dream,
    size: Sequence[int],
    *,
    photo_held: bool = False,
    measure: bool = True,
) -> Planned:
    """The plan for a dream in memory; for one on disk where that leaves room for so much larger tiles."""
    batch, height, width = size
    room = budget.limit(config.max_memory, lens.device) - budget.held(lens.device)
    in_memory, error = None, None
    if (COPIES + 1 - photo_held) * batch * height * width * 3 * 4 < ROOM * room:
        try:
            in_memory = plan(objective, lens, config, size, photo_held=photo_held, measure=measure)
        except PhospheneError as found:
            if found.code != "E_MEMORY":
                raise
            error = found
    if in_memory and (config.tile or _work(in_memory, height, width) <= GOOD * height * width):
        return in_memory
    if height * width <= STRIP and (in_memory or error):
        if in_memory:
            return in_memory
        assert error is not None
        raise error
    on_disk = plan(objective, lens, config, size, on_disk=True, measure=measure)
    return min(filter(None, (in_memory, on_disk)), key=lambda one: _work(one, height, width))


def _work(planned: Planned, height: int, width: int) -> float:
    """What a plan's gradient takes, in pixels of an untiled one with nothing computed again."""
    work = tile.pixels(height, width, tile.Plan(planned.tile, planned.halo))
    return work * (AGAIN if planned.checkpointing else 1) * (STORED if planned.on_disk else 1)


def _ways(config: Dream, height: int, width: int, spread: bool) -> list[tuple[int, bool]]:
    """Sides of tiles, and whether activations are computed again: what is to be tried, quickest first."""
    whole = tile.whole(height, width)
    if not spread:
        sides = [whole]
    elif config.tile:
        sides = [min(config.tile, whole)]
    else:
        sides = [whole] if height * width <= tile.WHOLE else []
        sides += [side for side in TILES if side < whole]
        sides = sides or [whole]
    ways = [(side, again) for side in sides for again in ((True,) if config.checkpointing else (False, True))]
    return sorted(ways, key=lambda way: _work(Planned(way[0], config.halo, way[1], 0), height, width))


def taken(
    parts: Sequence[Objective], lens: Lens, seed: int, height: int, width: int, checkpointing: bool = False
) -> float:
    """The bytes per pixel that the gradient of `parts` holds at once, counted on a crop of that picture."""
    rows, columns = _probe(height, width)
    noise = torch.rand(1, 3, rows, columns, generator=torch.Generator().manual_seed(seed))
    layers = frozenset().union(*(part.layers for part in parts))
    parts = [part.alone().at(rows / height, columns / width) for part in parts]
    crop = noise.to(lens.device)
    with torch.inference_mode(False), lens.watching(layers, checkpointing) as look:
        if lens.device.type == "cuda":
            before = int(torch.cuda.memory_allocated(lens.device))
            torch.cuda.reset_peak_memory_stats(lens.device)
            tile.gradients(parts, look, Held(crop), tile.Plan(), (0, 0), None)
            peak = int(torch.cuda.max_memory_allocated(lens.device))
            return (peak - before) / (rows * columns)
        with _Counted() as counted:
            tile.gradients(parts, look, Held(crop), tile.Plan(), (0, 0), None)
    return float(counted.peak) / (rows * columns)


def _probe(height: int, width: int) -> tuple[int, int]:
    rows = min(PROBE, height)
    return rows, min(width, PROBE * PROBE // rows)


def _apart(parts: Sequence[Objective]) -> tuple[list[Objective], list[Objective]]:
    """What looks at crops of one size, which take the same of every picture, and what at all of it."""
    both = (
        [[term for term in part.terms if (term.draw is not None) is drawn] for part in parts]
        for drawn in (True, False)
    )
    crops, rest = ([Objective(tuple(terms)) for terms in found if terms] for found in both)
    return crops, rest


def halved(side: int, error: BaseException) -> int:
    """The next smaller tile after memory ran out at `side`; raises `error` again if it isn't that."""
    if not ran_out(error) or side // 2 < TILES[-1]:
        raise error
    return side // 2 // tile.ALIGN * tile.ALIGN


def ran_out(error: BaseException) -> bool:
    """Whether `error` says that there was no more memory to be had."""
    words = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or getattr(error, "code", "") == "E_MEMORY"
        or (isinstance(error, RuntimeError) and any(sign in words for sign in NO_MEMORY))
    )


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that were made inside and live: now, and at most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: dict[int, weakref.ref[Any]] = {}
        self.now = self.peak = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to skip it, PyTorch would import it, which takes seconds and 100 MB."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.layout == torch.strided:
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.live:
            return

        def gone(_: object) -> None:
            if self.live.pop(key, None) is not None:
                self.now -= size

        self.live[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def _grows(objective: Objective, lens: Lens, height: int, width: int) -> bool:
    """Whether every layer has more positions in a larger picture, so that its score can be tiled."""
    like = torch.empty(1, 3, 1, 1, device=lens.device).expand(1, 3, height, width)
    with lens.watching(objective.layers) as look:
        return all(grid.stride for grid in tile.grids(look, objective.layers, like).values())


def _advice(way: tuple[int, bool], peak: int, most: int, config: Dream, spread: bool, whole: int) -> str:
    side, again = way
    what = f"tiles of {side} px" if side < whole else "the picture as a whole"
    what += ", its activations computed again," if again else ""
    why = "" if spread else "; its score doesn't add up over tiles, so it isn't tiled"
    if transform.parse(config.transforms):
        why = f"; with transforms, which are {config.transforms[:60]!r}, it isn't tiled"
    asked = "asked for" if config.max_memory else "free"
    smaller = "a smaller --tile, " if config.tile and spread else ""
    return (
        f"{what} would take about {peak / 1e9:.2f} GB{why}; {most / 1e9:.2f} GB are {asked}; "
        f"give {smaller}a larger --max-memory, or a smaller --max-size or --scale"
    )
