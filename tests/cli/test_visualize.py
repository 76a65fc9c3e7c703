"""`phosphene visualize`: files, sheets, figures, the page, and the same bits again."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import make_photo

from phosphene import evidence
from phosphene.picture import open_picture, read_recipe
from phosphene.recipe import Recipe

MODEL = "efficientnet_lite0"
QUICK = ["--size", "48", "--steps", "2", "--seed", "3"]
PLAIN = [*QUICK, "--no-figures"]


@pytest.fixture
def few_crops(monkeypatch):
    monkeypatch.setattr(evidence.survey, "__defaults__", (40,))


def size(path):
    with Image.open(path) as image:
        return image.size


def test_a_picture_and_its_figures(run, few_crops):
    found = run("visualize", MODEL, "blocks.1.1:3", "-o", "unit.png", *QUICK)
    assert (found.code, found.out) == (0, "unit.png\n")
    assert "blocks.1.1:3: " in found.err and "of 40 crops of 9 photos (scikit-image)" in found.err
    assert size("unit.png") == (48, 48)


def test_events(run, few_crops):
    events = run("visualize", MODEL, "blocks.1.1:3", "blocks.2.1:0-1", "-o", "u/", *QUICK, "--json").events
    made = [event for event in events if event["event"] == "unit"]
    assert [event["objective"] for event in made] == ["blocks.1.1:3", "blocks.2.1:0", "blocks.2.1:1"]
    assert all(0 <= event["percentile"] <= 100 and event["crops"] == 40 for event in made)
    for event in made:
        assert (event["photos"], event["source"]) == (9, "scikit-image")
        assert event["mean"] < event["highest"] == event["best"][0]["activation"] and event["deviation"] > 0
        assert set(event["best"][0]) == {"photo", "top", "left", "side", "activation"}
    assert all(Path(event["output"]).is_file() for event in made)
    end = events[-1]
    assert end["event"] == "end" and end["units"] == 3 and end["seed"] == 3
    assert end["seconds"] > 0 and end["peak_bytes"] > 0


def test_a_sheet_a_folder_and_the_page(run, few_crops):
    assert run("visualize", MODEL, "blocks.1.1:0-3", "-o", "sheet.png", *QUICK, "--report").code == 0
    assert size("sheet.png")[0] > 2 * 48
    text = Path("sheet.html").read_text()
    assert all(f"blocks.1.1:{n}<" in text for n in range(4)) and "40 crops" in text
    assert run("visualize", MODEL, "blocks.1.1:0-3", "-o", "units", *PLAIN).code == 0
    assert sorted(path.name for path in Path("units").iterdir()) == [
        f"{n}-blocks.1.1-{n}.png" for n in range(4)
    ]


def test_ones_own_photos(run, few_crops, tmp_path):
    (tmp_path / "mine").mkdir()
    make_photo(tmp_path / "mine" / "one.png")
    found = run("visualize", MODEL, "blocks.1.1:3", "-o", "unit.png", *QUICK, "--photos", "mine")
    assert found.code == 0 and "of 40 crops of 1 photos (mine)" in found.err
    (tmp_path / "mine" / "two.jpg").write_bytes(b"no photo")
    again = ["unit.png", *QUICK, "--photos", "mine", "--report", "--overwrite"]
    assert "1 of 2 photos can't be read: two.jpg" in run("visualize", MODEL, "blocks.1.1:3", "-o", *again).err
    assert "two.jpg" in Path("unit.html").read_text()


@pytest.mark.parametrize("out", ["unit.png", "sheet.png"])
def test_the_same_bits_again(run, out):
    wanted = ["blocks.1.1:3"] if out == "unit.png" else ["blocks.1.1:0-2"]
    assert run("visualize", MODEL, *wanted, "-o", out, *PLAIN).code == 0
    assert run("replay", out, "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path(out).read_bytes()


def test_a_sheet_of_several_batches_again(run):
    wanted = ["blocks.2.1:5", "blocks.1.1:0-2", "blocks.2.1:3", "--batch", "2"]
    assert run("visualize", MODEL, *wanted, "-o", "sheet.png", *PLAIN).code == 0
    assert Recipe.from_text(read_recipe("sheet.png")).start.batch == 2
    assert run("replay", "sheet.png", "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("sheet.png").read_bytes()


def test_classes_have_their_own_transforms_beside_others(run):
    wanted = ["class:tabby", "blocks.1.1:3"]
    assert run("visualize", MODEL, *wanted, "-o", "units/", *PLAIN).code == 0
    assert run("visualize", MODEL, "class:tabby", "-o", "tabby.png", *PLAIN).code == 0
    alone, tabby, channel = (
        Recipe.from_text(read_recipe(name)).dream
        for name in ("tabby.png", "units/0-class-tabby.png", "units/1-blocks.1.1-3.png")
    )
    assert (alone.transforms, channel.transforms) == ("windows", "standard") and tabby == alone
    pictures = [open_picture(name).pixels for name in ("tabby.png", "units/0-class-tabby.png")]
    assert np.array_equal(*pictures)
    assert run("visualize", MODEL, *wanted, "-o", "sheet.png", *PLAIN).code == 0
    assert read_recipe("sheet.png") is None
    asked = [*PLAIN, "--transforms", "none", "--overwrite"]
    assert run("visualize", MODEL, *wanted, "-o", "sheet.png", *asked).code == 0
    assert Recipe.from_text(read_recipe("sheet.png")).dream.transforms == "none"


def test_one_of_a_batch_again(run):
    assert run("visualize", MODEL, "blocks.1.1:0-2", "-o", "units/", *PLAIN, "--batch", "2").code == 0
    for name in ("1-blocks.1.1-1.png", "2-blocks.1.1-2.png"):
        assert run("replay", f"units/{name}", "-o", "again.png", "--overwrite").code == 0
        assert Path("again.png").read_bytes() == Path("units", name).read_bytes()


def test_from_a_photo_again(run, photo):
    assert run("visualize", MODEL, "blocks.1.1:3", "-o", "unit.png", *PLAIN, "--photo", photo).code == 0
    start = Recipe.from_text(read_recipe("unit.png"))
    assert (start.input.name, start.start.width, start.start.image) == (photo, 48, 0)
    assert size("unit.png") == (48, 32)  # the photo's own shape
    assert run("replay", "unit.png", "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("unit.png").read_bytes()
    make_photo(photo, seed=5)
    assert "recorded photo" in run("replay", "unit.png", "-o", "third.png").err


def test_the_seed_is_the_noise(run):
    for name, seed in (("a.png", "3"), ("b.png", "3"), ("c.png", "4")):
        assert (
            run("visualize", MODEL, "blocks.1.1:3", "-o", name, *PLAIN[:-2], seed, "--no-figures").code == 0
        )
    a, b, c = (open_picture(f"{name}.png").pixels for name in "abc")
    assert np.array_equal(a, b) and not np.array_equal(a, c)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (["nope:3"], "E_LAYER"),
        (["blocks.1.1:999"], "E_PARAM"),
        (["blocks.1.1:5-999"], "E_PARAM"),
        ([], "E_PARAM"),
        (["blocks.1.1:3", "--size", "big"], "E_PARAM"),
        (["blocks.1.1:3", "--size", "4"], "E_PARAM"),
        (["blocks.1.1:3", "--batch", "-1"], "E_PARAM"),
        (["blocks.1.1:3", "--param", "wavelet"], "E_PARAM"),
        (["blocks.1.1:3", "--transforms", "spin(3)"], "E_PARAM"),
        (["blocks.1.1:3", "--optimizer", "lion"], "E_PARAM"),
        (["blocks.1.1:3", "--photos", "missing"], "E_INPUT"),
        (["blocks.1.1:3", "--photo", "missing.png"], "E_INPUT"),
        (["blocks.1.1:3 | blocks.1.1:4"], "E_PARAM"),
        (["blocks.1.1:3", "--report", "--no-figures"], "E_PARAM"),
        (["blocks.1.1:3", "-o", "unit.txt"], "E_FORMAT"),
    ],
)
def test_what_is_wrong_is_one_line(run, wrong, code):
    out = [] if "-o" in wrong else ["-o", "unit.png"]
    quick = ["--size", "48"] if "--size" not in wrong else []
    found = run("visualize", MODEL, *wrong, *out, "--steps", "1", *quick)
    assert found.code == 2 and f"phosphene: {code}: " in found.err and found.err.count("\n") == 1
    assert not Path("unit.png").exists()


def test_nothing_is_replaced_unasked(run):
    assert run("visualize", MODEL, "blocks.1.1:3", "-o", "unit.png", *PLAIN).code == 0
    found = run("visualize", MODEL, "blocks.1.1:4", "-o", "unit.png", *PLAIN)
    assert found.code == 2 and "E_EXISTS" in found.err
    assert run("visualize", MODEL, "blocks.1.1:4", "-o", "unit.png", *PLAIN, "--overwrite").code == 0


def test_an_input_is_never_replaced(run, photo):
    before = Path(photo).read_bytes()
    for wanted in (["blocks.1.1:3", "--photo", photo], [f'caricature("{photo}", blocks.1.1)']):
        found = run("visualize", MODEL, *wanted, "-o", photo, *PLAIN, "--overwrite")
        assert found.code == 2 and "is an input, which is never replaced" in found.err
    assert Path(photo).read_bytes() == before
    assert "give a name" in run("visualize", MODEL, "blocks.1.1:3", "-o", "-", *PLAIN).err
    assert not Path("-").exists()


def test_a_photo_that_an_objective_reads_is_the_recorded_one(run, photo):
    wanted = f'inversion("{photo}", blocks.1.1) - 0.1*l2()'
    assert run("visualize", MODEL, wanted, "-o", "unit.png", *PLAIN).code == 0
    assert list(Recipe.from_text(read_recipe("unit.png")).files) == [photo]
    assert run("replay", "unit.png", "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("unit.png").read_bytes()
    make_photo(photo, seed=7)
    assert "E_RECIPE" in run("replay", "unit.png", "-o", "third.png").err


def test_what_one_sees_through(run):
    wanted = ["blocks.1.1:3", "-o", "unit.png", *PLAIN, "--transparency", "0.5"]
    assert run("visualize", MODEL, *wanted).code == 0
    alpha = open_picture("unit.png").alpha
    assert alpha is not None and 0 < alpha.min() < alpha.max() < 1
    assert run("replay", "unit.png", "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("unit.png").read_bytes()
