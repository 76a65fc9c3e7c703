"""Other packages' words, params and sources: the docs' own template, and what is wrong with bad ones."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import phosphene
from docs_pages import ROOT, snippets
from phosphene import Dream, PhospheneError, plugins
from phosphene.cli import main
from phosphene.expression import parse
from phosphene.param import Param

PAGE = list(snippets(ROOT / "docs" / "extending.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The template of the docs as pip would install it."""
    place = tmp_path_factory.mktemp("site")
    project = tomllib.loads(next(each.text for each in PAGE if "[project]" in each.text))["project"]
    name, version = project["name"], project["version"]
    (place / f"{name}.py").write_text(next(each.text for each in PAGE if "class Ink" in each.text))
    info = place / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in [f"[{group}]", *(f"{name} = {place}" for name, place in points.items())]
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return place


@pytest.fixture
def typed(monkeypatch, tmp_path, capfd, site):
    """`typed("dream", …)`: the command line in this process, with the package or without."""
    monkeypatch.chdir(tmp_path)

    def typed(*arguments, installed=True):
        with monkeypatch.context() as patch:
            if installed:
                patch.syspath_prepend(site)
            plugins.installed.cache_clear()
            code = main(list(arguments))
            plugins.installed.cache_clear()
        out, err = capfd.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return typed


def run(place, folder, *arguments):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(place), str(ROOT / "src"), os.environ["PYTHONPATH"]]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "phosphene", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def photo(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 48, dtype=np.uint8), (48, 1))
    Image.fromarray(np.stack([ramp, ramp.T, ramp], 2)).save(tmp_path / "photo.png")
    return "photo.png"


QUICK = ("--octaves", "1", "--steps", "2", "--seed", "1")


def test_a_word_of_another_package_and_its_recipe(site, typed, tmp_path, photo):
    words = "0.5*loudest(blocks.2.1, power=3) - 0.1*tv()"
    done = run(site, tmp_path, "dream", photo, "-o", "a.png", "--objective", words, *QUICK)
    assert done.returncode == 0, done.stderr
    recipe = json.loads(typed("show", "a.png", "--json").stdout)
    assert recipe["software"]["plugins"] == "inks 1.0"
    assert typed("replay", "a.png", "-o", "b.png").returncode == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    alone = typed("replay", "a.png", "-o", "c.png", installed=False)
    assert alone.returncode == 2
    assert "there is no word 'loudest'" in alone.stderr
    assert "made with inks 1.0, not installed here" in alone.stderr
    assert not (tmp_path / "c.png").exists()


def test_a_param_of_another_package(typed, tmp_path):
    command = ["visualize", "efficientnet_lite0", "blocks.2.1:7", "-o", "ink.png", "--param", "ink"]
    command += ["--size", "48", "--steps", "3", "--octaves", "2", "--seed", "1"]
    done = typed(*command)
    assert done.returncode == 0, done.stderr
    pixels = np.asarray(Image.open(tmp_path / "ink.png").convert("RGB")).astype(int)
    assert pixels.std() > 1
    assert (pixels[..., 0] == pixels[..., 2]).all()
    alone = typed(*command[:4], "x.png", *command[5:], installed=False)
    assert alone.returncode == 2
    assert "param is 'ink', expected one of pixel, fourier" in alone.stderr
    shown = typed("show", "ink.png", installed=False)
    assert shown.returncode == 2
    assert shown.stderr.rstrip().endswith("it was made with inks 1.0")


def test_a_catalog_depends_on_whose_param_and_network_it_is(typed, site, monkeypatch, tmp_path):
    from phosphene import models
    from phosphene.catalog import plan
    from phosphene.catalog.record import items

    def keys(version, kind, param="ink"):
        metadata = site / "inks-1.0.dist-info" / "METADATA"
        metadata.write_text(f"Metadata-Version: 2.1\nName: inks\nVersion: {version}\n")
        plugins.installed.cache_clear()
        noise = Dream(param=param, model="stripes:4", mean="0.5", std="0.5", objective="0", seed=1)
        lens = models.of(noise)
        made = plan.make(lens, noise, Dream(), pattern="0", wanted=[kind])
        return [key for item in items(made) for key in item.keys]

    monkeypatch.syspath_prepend(site)
    try:
        assert keys("1.0", "noise") == keys("1.0", "noise") != keys("1.1", "noise")
        assert keys("1.0", "photos") != keys("1.1", "photos")
        assert keys("1.0", "noise", "fourier") != keys("1.1", "noise", "fourier")
    finally:
        keys("1.0", "photos")
        plugins.installed.cache_clear()


def test_a_source_of_another_package(typed, photo):
    preparation = ("--model", "stripes:8", "--mean", "0.5", "--std", "0.5", "--objective", "0:3")
    done = typed("dream", photo, "-o", "stripes.png", *preparation, *QUICK)
    assert done.returncode == 0, done.stderr
    again = typed("replay", "stripes.png", "-o", "again.png")
    assert again.returncode == 2
    assert "E_MODEL: the recipe names 'stripes:8', which is code to run" in again.stderr
    again = typed("replay", "stripes.png", "-o", "again.png", "--model", "stripes:8")
    assert again.returncode == 0, again.stderr
    wrong = typed("layers", "stripes:many")
    assert wrong.returncode == 2
    assert "E_PLUGIN: the source 'stripes' of inks 1.0: ValueError" in wrong.stderr
    told = typed("doctor").stdout
    assert "source stripes" in told
    assert "inks 1.0" in told
    listed = typed("models").stdout
    assert "stripes:…" in listed and "inks 1.0" in listed
    assert '"name": "stripes:", "package": "inks 1.0"' in typed("models", "--json").stdout


def bad(monkeypatch, kind, value):
    monkeypatch.setattr(plugins, "installed", {kind: {"thing": EntryPoint("thing", value, "g")}}.get)


def test_a_package_that_cannot_be_imported(monkeypatch):
    bad(monkeypatch, "objective", "no_such_module:thing")
    with pytest.raises(PhospheneError, match=r"the objective 'thing' of .*ModuleNotFoundError") as caught:
        parse("thing(3)")
    assert caught.value.code == "E_PLUGIN"


def test_a_package_that_wants_to_end_the_program(program):
    program("objective", lambda: sys.exit(3))
    with pytest.raises(PhospheneError, match="SystemExit"):
        parse("thing()")


def test_a_network_of_a_package_is_named_by_its_user_only(program, monkeypatch):
    program("source", lambda name: nn.Conv2d(3, 4, 3))
    from phosphene import models, settings

    with pytest.raises(PhospheneError, match="PHOSPHENE_MODEL names 'thing:x', which is code to run"):
        settings.gather({}, environment={"PHOSPHENE_MODEL": "thing:x"})
    with pytest.raises(PhospheneError, match="which is code to run"):
        models.refuse_files("thing:x", "the request")
    assert settings.gather({"model": "thing:x"}, environment={}).dream.model == "thing:x"


@pytest.fixture
def program(monkeypatch):
    monkeypatch.setattr(plugins, "_of_this_program", {})
    return lambda kind, thing: plugins.add(kind, "thing", thing)


@pytest.mark.parametrize("thing", [3, lambda: 3, lambda: 1 / 0, type("X", (), {"__call__": None})])
def test_a_word_that_is_none(program, thing):
    program("objective", thing)
    with pytest.raises(PhospheneError) as caught:
        parse("thing()")
    assert caught.value.code in ("E_PLUGIN", "E_PARAM")


def test_numbers_where_the_annotations_say_so(program):
    got = []

    def thing(layer: str, *numbers: int, power: "float" = 1.0):
        got.append((layer, numbers, power))
        return phosphene.layer(layer)

    program("objective", thing)
    parse("thing(7, 1, 2, power=0.5)")
    assert got == [("7", (1, 2), 0.5)]
    for wrong in ("thing()", "thing(a, b)", "thing(a, size=3)", "thing(a, power=x)"):
        with pytest.raises(PhospheneError) as caught:
            parse(wrong)
        assert caught.value.code == "E_PARAM"


@pytest.mark.parametrize("thing", [3, nn.Module, lambda *_: 3])
def test_a_param_that_is_none(program, thing):
    program("param", thing)
    lens = phosphene.Lens(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)))
    config = Dream(param="thing", octaves=1, steps=1, seed=0)
    with pytest.raises(PhospheneError, match="expected a class under phosphene") as caught:
        list(phosphene.dream(torch.rand(1, 3, 16, 16), "0", lens, config))
    assert caught.value.code == "E_PLUGIN"


@pytest.mark.parametrize("thing", [3, lambda name: 3, lambda name: 1 / 0])
def test_a_source_that_gives_no_network(program, thing):
    program("source", thing)
    with pytest.raises(PhospheneError) as caught:
        phosphene.load("thing:x")
    assert caught.value.code == "E_PLUGIN"


def test_ours_come_first(program, monkeypatch):
    bad(monkeypatch, "objective", "no_such_module:thing")
    plugins.add("objective", "layer", 3)
    plugins.add("param", "fourier", Param)
    assert parse("layer(one)").text == "one"
    from phosphene.param import PARAMS, kind_of

    assert kind_of("fourier") is PARAMS["fourier"]


@pytest.mark.parametrize(
    ("kind", "name"), [("word", "a"), ("param", "A"), ("param", "a-b"), ("param", ""), (3, 4)]
)
def test_names(kind, name):
    with pytest.raises(PhospheneError):
        plugins.add(kind, name, None)
