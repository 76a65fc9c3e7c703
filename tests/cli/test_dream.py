"""`phosphene dream`, with the real default network on a tiny photo."""

import io
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import QUICK, make_photo

from phosphene import engine, models
from phosphene.errors import PhospheneError
from phosphene.picture import open_picture, read_recipe
from phosphene.recipe import Recipe


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def listing(folder="."):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture
def failing(monkeypatch):
    """`failing(k, code)`: the engine raises after k frames."""

    def failing(count, error):
        real = engine.dream

        def broken(*arguments, **more):
            for index, frame in enumerate(real(*arguments, **more)):
                if index == count:
                    raise error
                yield frame

        monkeypatch.setattr(engine, "dream", broken)

    return failing


def test_a_photo_becomes_a_dream(run, photo):
    before = Path(photo).read_bytes()
    found = run("dream", photo, "-o", "out.png", *QUICK)
    assert (found.code, found.out, found.err) == (0, "out.png\n", "")
    difference = abs(pixels("out.png") - pixels(photo)).mean()
    assert 1 < difference < 8  # two steps of two levels, less what clipping takes
    assert Path(photo).read_bytes() == before
    assert listing() == ["out.png", "photo.png"]


def test_the_recipe_is_complete(run, photo):
    assert run("dream", photo, "-o", "out.png", *QUICK, "--keep-color").code == 0
    recipe = Recipe.from_text(read_recipe("out.png"))
    assert (recipe.dream.seed, recipe.dream.octaves, recipe.dream.steps) == (3, 1, 2)
    assert recipe.dream.keep_color
    assert recipe.dream.device == "cpu"
    assert recipe.dream.threads == torch.get_num_threads()
    assert recipe.input.name == photo
    assert recipe.input.sha256 == open_picture(photo).sha256
    assert (recipe.input.width, recipe.input.height) == (96, 64)
    assert recipe.weights_sha256 == models.load("efficientnet_lite2").weights_sha256
    assert recipe.software.torch == torch.__version__.partition("+")[0]
    assert recipe.interrupted is None


def test_without_metadata(run, photo):
    assert run("dream", photo, "-o", "out.png", *QUICK, "--no-metadata").code == 0
    assert read_recipe("out.png") is None


@pytest.mark.parametrize("ending", ["jpg", "webp", "tif"])
def test_other_formats_carry_the_recipe(run, photo, ending):
    assert run("dream", photo, "-o", f"out.{ending}", *QUICK).code == 0
    shown = run("show", f"out.{ending}")
    assert shown.code == 0
    assert "photo:" in shown.out
    assert re.search(r"^seed: +3$", shown.out, re.MULTILINE)


def test_the_default_name_and_a_random_seed(run, photo):
    assert run("dream", photo, *QUICK[:4]).out == "photo-dream.png\n"
    assert run("dream", photo, *QUICK[:4], "-o", "{seed}.png").code == 0
    (name,) = set(listing()) - {"photo.png", "photo-dream.png"}
    assert Recipe.from_text(read_recipe(name)).dream.seed == int(Path(name).stem)


def test_existing_files(run, photo):
    run("dream", photo, *QUICK)
    before = Path("photo-dream.png").read_bytes()
    refused = run("dream", photo, *QUICK)
    assert refused.code == 2
    assert "E_EXISTS" in refused.err
    skipped = run("dream", photo, *QUICK, "--skip-existing")
    assert (skipped.code, skipped.err) == (0, "note: photo-dream.png exists; skipped\n")
    assert Path("photo-dream.png").read_bytes() == before
    assert run("dream", photo, *QUICK, "--no-clip", "--overwrite").code == 0
    assert Path("photo-dream.png").read_bytes() != before


def test_stdin_to_stdout(photo, capfdbinary, monkeypatch):
    from phosphene.cli import main

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(photo).read_bytes())))
    assert main(["dream", "-", "-o", "-", *QUICK, "--json"]) == 0
    out, err = capfdbinary.readouterr()
    assert Image.open(io.BytesIO(out)).size == (96, 64)
    events = [json.loads(line) for line in err.splitlines()]
    assert {event["event"] for event in events} == {"start", "frame", "end"}
    assert events[-1]["output"] == "-"
    assert listing() == ["photo.png"]


def test_stdin_with_a_size_in_the_name(run, photo, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(photo).read_bytes())))
    assert run("dream", "-", "-o", "{stem}-{width}x{height}.png", *QUICK).out == "stdin-96x64.png\n"


def test_events(run, photo):
    found = run("dream", photo, "-o", "out.png", "--octaves", "2", "--steps", "2", "--seed", "3", "--json")
    assert found.code == 0
    assert found.err == ""
    assert all(event["v"] == 1 for event in found.events)
    start, *frames, end = found.events
    assert start["event"] == "start"
    assert start["octaves"] == [[69, 46], [96, 64]]
    assert (start["steps"], start["seed"], start["objective"]) == (2, 3, "blocks.4.1")
    assert (start["photo"], start["output"]) == (photo, "out.png")
    assert {event["event"] for event in frames} == {"frame"}
    assert [(e["octave"], e["step"]) for e in frames if e["step"] == 2] == [(1, 2), (2, 2)]
    assert all(e["octaves"] == 2 and e["steps"] == 2 and e["score"] > 0 for e in frames)
    assert end["event"] == "end"
    assert (end["output"], end["seed"], end["score"]) == ("out.png", 3, frames[-1]["score"])
    assert end["seconds"] > 0
    assert end["peak_bytes"] > 10**8


def test_quiet_and_verbose(run, photo):
    quiet = run("dream", photo, "-o", "a.png", *QUICK, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    verbose = run("dream", photo, "-o", "b.png", *QUICK, "-v")
    assert verbose.out == "b.png\n"
    assert "objective blocks.4.1, seed 3" in verbose.err
    assert "octave 1 of 1: score" in verbose.err


def test_progress_on_a_terminal_only(run, photo, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    drawn = run("dream", photo, "-o", "a.png", *QUICK)
    assert drawn.code == 0
    assert "octave 1/1, step" in drawn.err
    monkeypatch.setenv("TERM", "dumb")
    assert run("dream", photo, "-o", "b.png", *QUICK).err == ""


def test_dry_run_writes_nothing(run, photo):
    found = run("dream", photo, "-o", "new/", "--dry-run", "--scale", "2", "--seed", "3")
    assert found.code == 0
    assert "new/photo-dream.png (192×128)" in found.out
    assert "about" in found.out
    assert "efficientnet_lite2" in found.out
    assert [path.name for path in Path().iterdir()] == ["photo.png"]
    (event,) = run("dream", photo, "--dry-run", "--json", "--octaves", "2", "--seed", "3").events
    assert event["event"] == "plan"
    assert event["octaves"] == [[69, 46], [96, 64]]
    assert event["seconds"] == event["predicted_seconds"] > 0
    assert event["dtype"] == "float32"
    assert (event["tile"], event["halo"], event["checkpointing"]) == (96, 64, False)
    assert 10**8 < event["predicted_peak_bytes"] < 10**11


def test_the_plan_travels_in_the_recipe(run, photo):
    assert run("dream", photo, "-o", "a.png", *QUICK, "--tile", "32", "--halo", "40").code == 0
    assert run("dream", photo, "-o", "b.png", *QUICK).code == 0
    recipes = [Recipe.from_text(read_recipe(name)).dream for name in ("a.png", "b.png")]
    assert [(made.tile, made.halo) for made in recipes] == [(32, 40), (0, 64)]  # 0: the picture was one tile


def test_a_budget_that_is_too_small(run, photo):
    found = run("dream", photo, "-o", "a.png", *QUICK, "--max-memory", "5MB")
    assert found.code == 2
    assert found.err.startswith("phosphene: E_MEMORY: ") and "0.01 GB are asked for" in found.err
    assert found.err.count("\n") == 1 and not Path("a.png").exists()


def test_memory_that_runs_out_is_told(run, photo, monkeypatch):
    from phosphene import tile

    gradients, sides = tile.gradients, []

    def strained(*arguments):
        sides.append(arguments[3].tile)
        if len(sides) == 1:
            raise MemoryError
        return gradients(*arguments)

    make_photo(photo, 160, 200)
    monkeypatch.setattr(tile, "gradients", strained)
    found = run("dream", photo, "-o", "a.png", *QUICK)
    assert found.code == 0
    assert sides == [0, 96, 96]
    assert found.err == "note: out of memory; going on with --tile 96\n"


def test_a_bad_photo_does_not_stop_the_rest(run, photo):
    Path("bad.png").write_bytes(b"no picture")
    found = run("dream", "bad.png", "absent.png", photo, "-o", "out/", *QUICK)
    assert found.code == 1
    assert found.out == "out/photo-dream.png\n"
    first, second = found.err.splitlines()
    assert first.startswith("phosphene: bad.png (1 of 3): E_FORMAT: ")
    assert second.startswith("phosphene: absent.png (2 of 3): E_INPUT: ")
    assert listing("out") == ["photo-dream.png"]
    stopped = run("dream", "bad.png", photo, "-o", "out/", *QUICK, "--fail-fast", "--overwrite", "--json")
    assert stopped.code == 1
    assert [(event["event"], event.get("photo")) for event in stopped.events] == [("error", "bad.png")]


def test_several_photos_share_the_network(run, tmp_path, monkeypatch):
    for seed in range(3):
        make_photo(tmp_path / f"p{seed}.png", seed=seed)
    loads = []
    real = models.load
    monkeypatch.setattr(models, "load", lambda *a, **k: loads.append(a) or real(*a, **k))
    found = run("dream", "p?.png", "-o", "{stem}-{index}.jpg", *QUICK)
    assert found.out == "p0-1.jpg\np1-2.jpg\np2-3.jpg\n"
    assert len(loads) == 1


def test_odd_names(run, photo, tmp_path):
    odd = [b"-dash.png", "ü🙂.png".encode(), b"new\nline.png", b"\xff\xfe.png"]
    for name in odd:
        os.link(photo, name)
    found = run("dream", *QUICK, "-o", "out/", "--", *(os.fsdecode(name) for name in odd))
    assert found.code == 0, found.err
    made = sorted(Path("out").iterdir())
    assert [os.fsencode(path.name) for path in made] == sorted(name[:-4] + b"-dream.png" for name in odd)
    for path in made:
        assert run("show", str(path)).code == 0


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (["absent.png"], "E_INPUT"),
        (["."], "E_INPUT"),
        (["photo.png", "-o", "out.gif"], "E_FORMAT"),
        (["photo.png", "-o", "absent/out.png"], "E_OUTPUT"),
        (["photo.png", "-o", "photo.png", "--overwrite"], "E_OUTPUT"),
        (["photo.png", "--objective", "blocks.9.9"], "E_LAYER"),
        (["photo.png", "--objective", "blocks.4.1:999"], "E_PARAM"),
        (["photo.png", "--objective", "2*"], "E_PARAM"),
        (["photo.png", "--objective", "__import__('os')"], "E_PARAM"),
        (["photo.png", "--objective", " + ".join(["blocks.4.1"] * 5000)], "E_PARAM"),
        (["photo.png", "--guide", "photo.png", "--objective", "blocks.4.1:3"], "E_PARAM"),
        (["photo.png", "--guide", "photo.png", "--objective", "blocks.4.1 + blocks.3.1"], "E_PARAM"),
        (["photo.png", "--guide", "absent.png"], "E_INPUT"),
        (["photo.png", "--mask", "absent.png"], "E_INPUT"),
        (["photo.png", "--model", "bvlc_googlenet"], "E_WEIGHTS"),
        (["photo.png", "--weights", "photo.png"], "E_WEIGHTS"),
        (["photo.png", "--device", "cuda:99"], "E_DEVICE"),
    ],
)
def test_refused_in_one_line_with_nothing_written(run, photo, typed, code):
    out = [] if "-o" in typed else ["-o", "out.png"]
    found = run("dream", *typed, *out, *QUICK)
    assert found.code == 2
    assert found.out == ""
    assert found.err.startswith(f"phosphene: {code}")
    assert found.err.count("\n") == 1
    assert listing() == ["photo.png"]


def test_the_last_good_picture_is_saved(run, photo, failing):
    failing(1, PhospheneError("E_DIVERGED", "the gradient is not finite"))
    found = run("dream", photo, "-o", "out.png", *QUICK)
    assert found.code == 2
    assert found.err == (
        "phosphene: E_DIVERGED: the gradient is not finite; saved the last good picture to out.png\n"
    )
    stop = Recipe.from_text(read_recipe("out.png")).interrupted
    assert (stop.octave, stop.step) == (1, 1)


def test_no_picture_where_there_was_no_frame(run, photo, failing):
    failing(0, PhospheneError("E_ZERO_GRADIENT", "nothing responds"))
    found = run("dream", photo, "-o", "out.png", *QUICK)
    assert (found.code, found.err) == (2, "phosphene: E_ZERO_GRADIENT: nothing responds\n")
    assert listing() == ["photo.png"]


def test_other_failures_save_nothing(run, photo, failing):
    failing(1, MemoryError())
    found = run("dream", photo, "-o", "out.png", *QUICK)
    assert found.code == 2
    assert "E_MEMORY" in found.err
    assert listing() == ["photo.png"]


def test_a_guide_and_a_mask(run, photo, tmp_path):
    make_photo(tmp_path / "guide.png", seed=9)
    half = np.zeros((64, 96), np.uint8)
    half[:, 48:] = 255
    Image.fromarray(half).save("mask.png")
    found = run("dream", photo, "-o", "out.png", *QUICK, "--guide", "guide.png", "--mask", "mask.png")
    assert found.code == 0, found.err
    change = abs(pixels("out.png") - pixels(photo)).mean((0, 2))
    assert change[:40].max() == 0
    assert change[56:].min() > 0
    recipe = Recipe.from_text(read_recipe("out.png"))
    assert recipe.dream.objective == models.find("efficientnet_lite2").guide_layer
    assert recipe.files == {name: open_picture(name).sha256 for name in ("guide.png", "mask.png")}


def test_threads_and_determinism(run, photo):
    before = torch.get_num_threads()
    try:
        found = run("dream", photo, "-o", "out.png", *QUICK, "--threads", "1", "--deterministic", "--json")
        assert found.code == 0
        assert found.events[0]["threads"] == 1
        assert torch.are_deterministic_algorithms_enabled()
        recipe = Recipe.from_text(read_recipe("out.png"))
        assert recipe.deterministic
        assert recipe.dream.threads == 1
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(False)


def test_a_picture_does_not_tell_its_makers_home(run, photo, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make_photo(tmp_path / "mask.png", seed=1)
    run("dream", photo, "-o", "out.png", *QUICK, "--mask", str(tmp_path / "mask.png"))
    assert str(tmp_path) not in read_recipe("out.png")
    assert Recipe.from_text(read_recipe("out.png")).dream.mask == "~/mask.png"
    assert run("replay", "out.png", "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()
