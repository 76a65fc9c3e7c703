"""`phosphene visualize`: pictures that belong together, and photos that objectives read."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from tiny import make_photo

from phosphene import engine, features
from phosphene.picture import open_picture, read_recipe
from phosphene.recipe import Recipe

MODEL = "efficientnet_lite0"
PLAIN = ["--size", "48", "--steps", "2", "--seed", "3", "--no-figures"]


def pixels(name):
    return open_picture(name).pixels


def again(run, name):
    found = run("replay", name, "-o", "again.png", "--overwrite")
    return found.code == 0 and Path("again.png").read_bytes() == Path(name).read_bytes()


def test_variants_differ_and_come_again(run):
    found = run("visualize", MODEL, "blocks.1.1:3", "blocks.1.1:4", "--variants", "2", "-o", "v/", *PLAIN)
    assert found.code == 0
    names = sorted(Path("v").iterdir())
    assert len(names) == 4 and not np.allclose(pixels(names[0]), pixels(names[1]), atol=0.05)
    assert all(again(run, str(name)) for name in names[1:3])


def test_a_sheet_of_variants_of_two_units_comes_again(run):
    wanted = ["blocks.1.1:3", "blocks.1.1:4", "--variants", "2"]
    assert run("visualize", MODEL, *wanted, "-o", "sheet.png", *PLAIN).code == 0
    height, width = pixels("sheet.png").shape[:2]
    assert 2 * 48 < width < 3 * 48 < height  # a row for each unit
    assert again(run, "sheet.png")


def test_interpolation_goes_from_one_to_the_other(run):
    wanted = ["blocks.1.1:3", "blocks.1.1:4"]
    assert run("visualize", MODEL, *wanted, "--interpolate", "3", "-o", "i/", *PLAIN).code == 0
    names = sorted(Path("i").iterdir())
    text = Recipe.from_text(read_recipe(names[1])).dream.objective
    assert "0.5*blocks.1.1:3 + 0.5*blocks.1.1:4 + 0.25*alignment(blocks.1.1)" in text
    first, middle, last = (pixels(name) for name in names)
    away = [np.abs(first - one).mean() for one in (middle, last)]
    assert 0 < away[0] < away[1]
    assert again(run, str(names[1]))


def test_variants_of_a_photo_come_again(run, photo):
    wanted = ["blocks.1.1:3", "--variants", "2", "--photo", photo]
    assert run("visualize", MODEL, *wanted, "-o", "v/", *PLAIN).code == 0
    names = sorted(Path("v").iterdir())
    assert not np.array_equal(pixels(names[0]), pixels(names[1]))
    shutil.copy(photo, "v")
    assert again(run, str(names[1]))


def test_a_range_may_be_both_ends(run):
    assert run("visualize", MODEL, "blocks.1.1:3-4", "--interpolate", "3", "-o", "i.png", *PLAIN).code == 0


def test_what_belongs_together_and_does_not_fit(run):
    wanted = ["blocks.1.1:3", "--variants", "64", "--size", "512", "--max-memory", "1GB"]
    found = run("visualize", MODEL, *wanted, "-o", "v.png", "--steps", "2", "--no-figures")
    assert found.code == 2 and "E_MEMORY: 64 pictures of 512×512 px" in found.err and " fit; " in found.err


def test_an_interrupted_mosaic_has_grey_tiles(run, photo, monkeypatch):
    real = engine.dream

    def dream(*arguments, **more):
        for frame in real(*arguments, **more):
            os.kill(os.getpid(), signal.SIGINT)
            yield frame

    monkeypatch.setattr(features, "dream", dream)
    wanted = f'grid("{photo}", blocks.1.1, cells=2)'
    found = run("visualize", MODEL, wanted, "-o", "grid.png", *PLAIN, "--batch", "1")
    assert found.code == 130
    grid = pixels("grid.png")
    assert grid[:48, :48].std() > 0 and np.ptp(grid[:, 48:]) == 0 and abs(grid[0, -1, 0] - 0.5) < 0.01
    assert read_recipe("grid.png") is None


def test_a_grid_is_a_mosaic(run, photo):
    wanted = f'grid("{photo}", blocks.1.1, cells=3)'
    assert run("visualize", MODEL, wanted, "-o", "grid.png", *PLAIN, "--batch", "4").code == 0
    height, width = pixels("grid.png").shape[:2]
    assert max(height, width) == 3 * 48 and height % 48 == width % 48 == 0
    recipe = Recipe.from_text(read_recipe("grid.png"))
    assert recipe.dream.objective == wanted and list(recipe.files) == [photo] and recipe.start.batch == 4
    assert again(run, "grid.png")
    make_photo(photo, seed=7)
    assert "E_RECIPE" in run("replay", "grid.png", "-o", "other.png").err


@pytest.mark.parametrize("command", ["visualize", "dream"])
def test_a_folder_is_the_recorded_one(run, photo, command):
    Path("these").mkdir()
    make_photo(Path("these/1.png"), seed=1)
    make_photo(Path("these/2.png"), seed=2)
    wanted = f'contrast("these", "{photo}", blocks.1.1)'
    if command == "visualize":
        assert run("visualize", MODEL, wanted, "-o", "made.png", *PLAIN).code == 0
    else:
        quick = ["--model", MODEL, "--steps", "1", "--octaves", "1", "--max-size", "48"]
        assert run("dream", photo, "--objective", wanted, "-o", "made.png", *quick).code == 0
    assert sorted(Recipe.from_text(read_recipe("made.png")).files) == sorted(["these", photo])
    assert again(run, "made.png")
    make_photo(Path("these/3.png"), seed=3)
    found = run("replay", "made.png", "-o", "other.png")
    assert found.code == 2 and "E_RECIPE" in found.err and "these" in found.err


@pytest.mark.parametrize(
    "wanted",
    [
        'class:"Siberian husky" - class:"timber wolf"',
        "class:Siberian husky - class:timber wolf",
        "blocks.1.1:3 - 0.1*tv() - 0.1*l1() - 0.1*l2() - 0.1*blur()",
    ],
)
def test_contrasts_and_regularisers(run, wanted):
    assert run("visualize", MODEL, wanted, "-o", "unit.png", *PLAIN).code == 0
    assert again(run, "unit.png")


@pytest.mark.parametrize(
    "wrong",
    [
        ["blocks.1.1:3", "--variants", "1"],
        ["blocks.1.1:3", "--interpolate", "3"],
        ["blocks.1.1:3", "blocks.1.1:4", "--interpolate", "3", "--variants", "2"],
        ["blocks.1.1:0-1", "blocks.1.1:4", "--interpolate", "3"],
        ['grid("photo.png", blocks.1.1)', "--variants", "2"],
        ['grid("photo.png", blocks.1.1)', "--interpolate", "2"],
        ['2*grid("photo.png", blocks.1.1)'],
        ["blocks.1.1:3", 'grid("photo.png", blocks.1.1)'],
    ],
)
def test_what_cannot_be_together_is_one_line(run, wrong):
    found = run("visualize", MODEL, *wrong, "-o", "unit.png", *PLAIN)
    assert found.code == 2 and "phosphene: E_PARAM: " in found.err and found.err.count("\n") == 1
