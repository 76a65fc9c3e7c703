"""`phosphene layers`: the table, the tree, the events, and pictures of what layers dream."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from phosphene import layers, models
from phosphene.cli import thumbnails
from phosphene.cli.layers import sides
from phosphene.cli.tree import amount, branches, print_layers
from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.picture.sheet import contact_sheet


class Small(nn.Module):
    """A stem, a block of two, a head; the second of the block is run twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.block = nn.ModuleDict({"conv": nn.Conv2d(8, 8, 3, 1, 1), "act": nn.ReLU()})
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.block["act"](self.stem(x))
        return self.head(self.block["act"](self.block["conv"](x)).mean((2, 3)))


@pytest.fixture
def asked(monkeypatch):
    """`models.load` gives a small network; `asked` is what it was asked for."""
    import torch

    told = []

    def load(name, weights="", **how):
        torch.manual_seed(0)
        told.append({"name": name, "weights": weights, **how})
        return Lens(Small(), name=name, size=64, notes=["a note"])

    monkeypatch.setattr(models, "load", load)
    return told


def test_as_a_table(run, asked):
    found = run("layers", "torchvision:resnet18", "--mean", "-1", "--range", "0,255")
    lines = [line.split() for line in found.out.splitlines()]
    assert lines[0][:6] == ["layer", "kind", "channels", "size", "stride", "field"]
    assert lines[1][:6] == ["stem", "Conv2d", "8", "32×32", "2", "3"]
    names = [line[0] for line in lines[1:6]]
    assert names == ["stem", "block.conv", "block.act#0", "block.act#1", "head"]
    assert lines[5][1:6] == ["Linear", "4", "-", "-", "-"]
    assert lines[5][-1] == "100%"
    assert "64×64 px" in found.out
    assert "note: a note" in found.err
    assert (asked[0]["name"], asked[0]["mean"], asked[0]["range"]) == ("torchvision:resnet18", "-1", "0,255")
    assert asked[0]["untrained"]


def test_as_events(run, asked):
    events = [
        event for event in run("layers", "--json", "--size", "64x32").events if event["event"] == "layer"
    ]
    assert [event["name"] for event in events][:2] == ["stem", "block.conv"]
    stem = events[0]
    assert {
        key: stem[key] for key in ("kind", "channels", "stride", "receptive_field", "depth", "calls")
    } == {
        "kind": "Conv2d",
        "channels": 8,
        "stride": 2,
        "receptive_field": 3,
        "depth": 0,
        "calls": 1,
    }
    assert (stem["height"], stem["width"], stem["parameters"]) == (16, 32, 8 * 3 * 9 + 8)
    assert stem["gradient_flops"] == 2 * 2 * 8 * 3 * 9 * 16 * 32
    assert events[-1]["share"] == 1.0 and events[-1]["stride"] is None


def test_as_a_tree(run, asked, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    out = run("layers").out
    assert "block." in out and "FLOP" in out and "─" in out


def test_names_that_need_quotes_are_told(capsys):
    rows = [layers.Row(name, "Conv2d", 1, 1, 1) for name in ("a.0", "conv #2", "größe")]
    print_layers(rows, (32, 32))
    assert capsys.readouterr().out.endswith("""double quotes: --objective '"conv #2"'\n""")
    print_layers(rows[:1], (32, 32))
    assert "quotes" not in capsys.readouterr().out


def test_the_tree_has_its_branches():
    def row(name):
        return layers.Row(name, "Conv2d", 1, 1, 1)

    rows = [row(name) for name in ("a", "a.0", "a.0.x", "a.1", "b.c", "d/e")]
    assert [(guides, around, name) for guides, around, name, _ in branches(rows)] == [
        ("", "", "a"),
        ("├─ ", "a.", "0"),
        ("│  └─ ", "a.0.", "x"),
        ("└─ ", "a.", "1"),
        ("", "", "b.c"),
        ("", "", "d/e"),
    ]


def test_amounts_are_short():
    shown = [amount(value, "FLOP") for value in (0, None, 7, 1234, 999_960, 2.5e9, 4e12)]
    assert shown == ["-", "-", "7 FLOP", "1.23 kFLOP", "1 MFLOP", "2.5 GFLOP", "4 TFLOP"]


@pytest.mark.parametrize(("text", "found"), [("", None), ("320", (320, 320)), ("640x480", (480, 640))])
def test_sizes(text, found):
    assert sides(text) == found


@pytest.mark.parametrize("text", ["x", "0", "12x12", "99999", "3×", "-3", "1e3"])
def test_no_sizes(text):
    with pytest.raises(PhospheneError, match="--size"):
        sides(text)


class TestPictures:
    @pytest.fixture(autouse=True)
    def small(self, asked, monkeypatch):
        monkeypatch.setattr(thumbnails, "SIDE", 48)
        monkeypatch.setitem(thumbnails.SETTINGS, "octaves", 1)
        monkeypatch.setitem(thumbnails.SETTINGS, "steps", 2)
        return asked

    def test_a_contact_sheet_from_noise(self, run, small):
        found = run("layers", "--pictures", "sheet.png")
        assert (found.code, found.out) == (0, "sheet.png\n")
        assert not small[0]["untrained"]
        with Image.open("sheet.png") as image:
            assert image.width > 2 * 48
        again = run("layers", "--pictures", "sheet.png")
        assert again.code == 2 and "E_EXISTS" in again.err
        assert run("layers", "--pictures", "sheet.png", "--overwrite").code == 0

    def test_a_folder_on_a_photo(self, run, photo):
        found = run(
            "layers", "--pictures", "out/", "--photo", photo, "--layers", "stem,block.act#?", "--json"
        )
        names = ["001-stem.png", "002-block.act#0.png", "003-block.act#1.png", "sheet.png"]
        assert sorted(path.name for path in Path("out").iterdir()) == names
        with Image.open("out/001-stem.png") as image:
            assert image.size == (60, 40)  # the photo's shape
        pictures = [event["layer"] for event in found.events if event["event"] == "picture"]
        assert pictures == ["stem", "block.act#0", "block.act#1"]
        assert found.events[-1]["event"] == "end" and found.events[-1]["layers"] == pictures

    def test_what_is_left_out_is_told(self, run):
        """Two of the five layers by themselves: activations and vectors aren't for looking at."""
        found = run("layers", "--pictures", "sheet.png")
        assert "dreaming 2 of 5 layers" in found.err

    def test_layers_that_cannot_be_dreamed_are_told(self, run, monkeypatch):
        from phosphene import engine

        real = engine.dream

        def dream(image, objective, *more):
            if objective.text == "stem":
                raise PhospheneError("E_ZERO_GRADIENT", "nothing responds")
            return real(image, objective, *more)

        monkeypatch.setattr(engine, "dream", dream)
        found = run("layers", "--pictures", "sheet.png", "--json")
        assert "stem is left out: E_ZERO_GRADIENT" in found.out
        assert found.events[-1]["layers"] == ["block.conv"]

    @pytest.mark.parametrize(
        ("flags", "code"),
        [
            (["--photo", "photo.png"], "E_PARAM"),
            (["--pictures", "x.png", "--layers", "nope*"], "E_LAYER"),
            (["--pictures", "x.png", "--layers", "head"], "E_LAYER"),
            (["--pictures", "x.mp3"], "E_FORMAT"),
            (["--pictures", "no/such/folder/"], "E_OUTPUT"),
            (["--pictures", "x.png", "--photo", "absent.png"], "E_INPUT"),
        ],
    )
    def test_refused(self, run, flags, code):
        found = run("layers", *flags)
        assert found.code == 2 and code in found.err
        assert not Path("x.png").exists()

    def test_many_layers_become_blocks(self):
        rows = [
            layers.Row(f"blocks.{index}{part}", "Block" if not part else "Conv2d", 8, 1, 1, 1, 8, 8)
            for index in range(40)
            for part in ("", ".conv", ".norm")
        ]
        found = thumbnails.chosen(rows, "")
        assert [row.name for row in found] == [f"blocks.{index}" for index in range(40)]


def test_a_contact_sheet_shows_every_picture():
    pictures = [
        (f"a.very.long.name.of.a.layer.{index}", np.full((20, 30, 3), index / 10)) for index in range(1, 8)
    ]
    sheet = contact_sheet(
        [(name, pixels.astype(np.float32)) for name, pixels in pictures], "title", columns=3
    )
    assert sheet.dtype == np.float32 and sheet.shape[2] == 3
    for index in range(1, 8):
        level = np.float32(round(index / 10 * 255) / 255)
        assert (np.abs(sheet - level).max(2) < 1e-6).sum() >= 20 * 30
