"""`python -m benchmarks [WHAT …]`: measure, print, and with `--write` keep the results."""

from __future__ import annotations

import argparse
from importlib import import_module

from benchmarks import results

WHAT = ("gradient", "profile", "scaling", "exactness", "overhead", "classic", "units", "chaos", "catalog")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """What is to be measured, and how."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measurements, side by side.")
    parser.add_argument(
        "what", nargs="*", metavar="WHAT", help=f"{', '.join(WHAT)} or all (default gradient)"
    )
    parser.add_argument(
        "--networks", nargs="+", help="of bvlc_googlenet googlenet vgg16 resnet50 efficientnet_lite2"
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[224], help="in pixels (default 224)")
    parser.add_argument("--megapixels", nargs="+", type=float, default=[0.25, 0.5, 1], help="for scaling")
    parser.add_argument("--max-memory", default="", help="the budget for scaling, as --max-memory of a dream")
    parser.add_argument("--steps", type=int, default=3, help="in each turn (default 3)")
    parser.add_argument("--turns", type=int, default=2, help="of each way (default 2)")
    parser.add_argument("--octaves", type=int, default=4, help="of the classic dream (default 4)")
    parser.add_argument("--shrink", type=int, default=1, help="the classic dream's photo, by so much")
    parser.add_argument("--threads", type=int, default=0, help="processor threads (default all)")
    parser.add_argument("--cpu", action="store_true", help="processor time: for a busy machine")
    parser.add_argument(
        "--no-peers", dest="peers", action="store_false", help="without torch-dreams, dreamlens"
    )
    parser.add_argument("--no-zoo", dest="zoo", action="store_false", help="exactness without the zoo")
    parser.add_argument("--weights", default="", help="a file with bvlc_googlenet's weights")
    parser.add_argument("--photo", default="", help="the classic dream's photo, sky1024px.jpg")
    parser.add_argument("--device", default="cpu", help="for units: cpu, cuda (default cpu)")
    parser.add_argument("--units", type=int, default=16, help="channels to compare (default 16)")
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results")
    found = parser.parse_args(arguments)
    if unknown := set(found.what) - {*WHAT, "all"}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; expected {', '.join(WHAT)} or all")
    found.what = list(WHAT) if "all" in found.what else found.what or ["gradient"]
    from benchmarks.cases import CASES

    if unknown := set(found.networks or ()) - CASES.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; expected {', '.join(CASES)}")
    found.networks = found.networks or list(CASES)
    if min(found.steps, found.turns, *found.sizes) < 1:
        parser.error("steps, turns and sizes are at least 1")
    return found


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    for what in chosen.what:
        text, plots = import_module(f"benchmarks.{what}").run(chosen)
        print(f"\n{text}", flush=True)
        if chosen.write:
            print(results.write(what, text, plots))


if __name__ == "__main__":
    main()
