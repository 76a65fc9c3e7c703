"""`phosphene catalog`: every unit of a network as a site; how far it is; catalogs side by side."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from phosphene import settings
from phosphene.catalog.local import Pool, early
from phosphene.cli import interrupt
from phosphene.cli.commands import COMMANDS
from phosphene.cli.dash import plain
from phosphene.cli.flags import OUTPUT, DreamFlags, Sources, Talk, given, option
from phosphene.cli.watching import Watch
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.presets import VISUALIZE, visualization

if TYPE_CHECKING:
    from phosphene.catalog.executor import Executor
    from phosphene.catalog.record import Atlas, Plan
    from phosphene.lens import Lens

COMMAND = next(command for command in COMMANDS if command.name == "catalog")
app = App(name=COMMAND.name, help=COMMAND.help, help_format="plaintext", **COMMAND.looks)  # type: ignore[arg-type]
for command in COMMAND.beneath:
    place = f"phosphene.cli.catalogs:{command.name}"
    app.command(place, name=command.name, help=command.help, **command.looks)
ALIKE = ("mean", "std", "range", "channel_order", "dtype", "weights", "model", "seed", "device")


@app.default
def catalog(
    model: Annotated[str, Parameter(name="MODEL", help="the network")],
    *,
    output: Annotated[
        str, option("the site: a folder, or a URL that fsspec knows", "--output", "-o", group=OUTPUT)
    ],
    layers: Annotated[
        str, option("which layers, as 'conv_stem,blocks.[0-2].?' (default: the blocks)", metavar="PATTERN")
    ] = "",
    units: Annotated[str, option("which channels of each, as 0:16 (default all)", metavar="RANGE")] = "",
    every: Annotated[int, option("only every Nth channel", metavar="N")] = 1,
    budget: Annotated[
        float, option("so many hours at most: measure, then leave channels out evenly", metavar="HOURS")
    ] = 0.0,
    kinds: Annotated[
        str, option("of noise, diverse, dream and photos (default noise,photos)", metavar="LIST")
    ] = "noise,photos",
    size: Annotated[int, option("side of the pictures in px (default 224)", metavar="PX")] = 224,
    variants: Annotated[int, option("pictures of kind diverse for each unit (default 4)", metavar="N")] = 4,
    photos: Annotated[str, option("natural photos; '' = those of scikit-image", metavar="FOLDER")] = "",
    photo: Annotated[str, option("the photo of kind dream; '' = the first of them", metavar="FILE")] = "",
    crops: Annotated[int, option("crops of the photos that units are shown (default 2048)")] = 2048,
    atlas: Annotated[
        str, option("an activation atlas of these layers, from the photos (default none)", metavar="PATTERN")
    ] = "",
    cells: Annotated[int, option("of an atlas, on a side of its finest grid (default 20)", metavar="N")] = 20,
    workers: Annotated[int, option("processes at once; 0 = one for each processor", metavar="N")] = 0,
    ray: Annotated[
        str, option("work on a Ray cluster: auto (the one that runs, else this machine) or its address")
    ] = "",
    gpu_share: Annotated[
        float, option("with --ray: the part of a GPU that a worker takes (default 1)", metavar="PART")
    ] = 1.0,
    dry_run: Annotated[bool, option("measure a few, say hours and gigabytes; make nothing")] = False,
    retry_failed: Annotated[bool, option("try again what has failed three times")] = False,
    talk: Talk = Talk(),  # noqa: B008
    sources: Sources = Sources(),  # noqa: B008
    flags: DreamFlags = DreamFlags(),  # noqa: B008
) -> int:
    """Every unit of a network as a site to browse. What is made is never made again."""
    if workers < 0:
        raise PhospheneError("E_PARAM", f"--workers is {workers}, expected 0 or more")
    if not 16 <= size <= 8192 or not 16 <= crops <= 100_000 or not 2 <= variants <= 64:
        raise PhospheneError(
            "E_PARAM", "expected --size 16 to 8192, --crops 16 to 100000, --variants 2 to 64"
        )
    if not 0.01 <= gpu_share <= 1:
        raise PhospheneError("E_PARAM", f"--gpu-share is {gpu_share}, expected 0.01 to 1")
    watch = Watch(talk)
    noise, dreamt = _settings(given(flags) | {"model": plain(model)}, sources, size)
    from phosphene import models
    from phosphene.catalog import run as running

    models.weights_of(noise.model, noise.weights)  # says what is missing before torch is imported
    threads, slots = noise.threads or 1, workers if ray else workers or _room(noise.device)
    with early(0 if ray else slots, threads, running.prepare) as begun:
        from phosphene.catalog import plan as planning

        wanted, which = planning.kinds(plain(kinds)), planning.units(plain(units), every)
        lens = models.of(noise)
        for note in lens.notes:
            watch.report.note(note)
        drawn = _atlases(lens, plain(atlas), plain(photos), crops, cells)
        plan = planning.make(
            lens,
            noise.but(device="auto", threads=0),
            dreamt.but(device="auto", threads=0),
            pattern=plain(layers),
            which=which,
            wanted=wanted,
            size=size,
            variants=variants,
            crops=crops,
            folder=plain(photos),
            picture=plain(photo),
            atlases=[one for one, _ in drawn],
        )

        def hire(task: Any, more: dict[str, Any]) -> Executor:
            if ray:
                from phosphene.catalog.cluster import Cluster

                return Cluster(
                    *(task, more),
                    address=plain(ray),
                    workers=slots,
                    threads=threads,
                    share=gpu_share,
                    device=noise.device,
                )
            device = {} if noise.device == "auto" else {"device": noise.device}
            return Pool(task, more | device, workers=slots, threads=threads, begun=begun)

        if dry_run or budget:
            from phosphene.catalog import estimate

            spent = time.monotonic() - watch.began
            charts = {atlas.sha256: data for atlas, data in drawn}
            found = estimate.estimate(plan, lens, hire, charts, spent)
            if budget:
                plan, found = estimate.fitting(plan, found, budget)
            watch.estimate(plan, found)
            if dry_run:
                return 0
        return _run(plan, drawn, plain(output), hire, watch, retry_failed)


def _room(device: str) -> int:
    """How many workers this machine has room for."""
    if device != "cpu":
        from phosphene.models.device import pick

        device = pick(device)
    return 1 if device.startswith(("cuda", "mps")) else os.cpu_count() or 1


def _atlases(lens: Lens, pattern: str, folder: str, crops: int, cells: int) -> list[tuple[Atlas, bytes]]:
    if not pattern:
        return []
    if not 4 <= cells <= 128:
        raise PhospheneError("E_PARAM", f"--cells is {cells}, expected 4 to 128")
    from phosphene.catalog.atlas import charts
    from phosphene.catalog.plan import chosen
    from phosphene.layers import maps

    return charts(lens, [row.name for row in chosen(maps(lens), pattern)], folder, crops, cells)


def _run(
    plan: Plan, drawn: list[tuple[Atlas, bytes]], output: str, hire: Any, watch: Watch, retry: bool
) -> int:
    from phosphene.catalog import run as running
    from phosphene.catalog.atlas import name_of
    from phosphene.catalog.store import Store
    from phosphene.catalog.work import Work

    store = Store(output, make=True)
    if store.note:
        watch.report.note(f"{store.note}; what is missing is made again")
    for atlas, data in drawn:
        store.files.write(name_of(atlas.sha256), data, again=False)
    settings = {"plan": plan.to_json(), "site": store.place}
    with interrupt.saving(watch.promise) as stop:
        try:
            run = running.catalog(
                plan,
                store,
                lambda: hire(Work, settings),
                retry=retry,
                ready=watch.begin,
                told=watch.told,
                stopped=lambda: bool(stop.signal),
            )
        finally:
            watch.close()
            store.close()
    failed = sum(one.failed for one in run.layers.values())
    watch.end(run, output, stop.signal)
    return stop.code if stop.signal else 1 if failed else 0


def _settings(typed: dict[str, Any], sources: Sources, size: int) -> tuple[Dream, Dream]:
    """Those of pictures from noise, and of the photo that is dreamed: its own but for the network's."""

    def gathered(base: dict[str, Any]) -> Dream:
        return settings.gather(typed, look=sources.preset, config=sources.config, base=base).dream

    noise = gathered(visualization(gathered(VISUALIZE).param))
    noise = noise.but(seed=noise.seed or 0)
    return noise, Dream(**{name: getattr(noise, name) for name in ALIKE}, max_size=2 * size)
