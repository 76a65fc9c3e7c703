"""A prompt on the command line, with a folder as transformers saves it: dreamed, replayed, refused."""

import numpy as np
import pytest
from PIL import Image

from networks import photo
from towers import clip_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("clip")
    clip_folder(place, image_size=64)
    return place


@pytest.fixture
def desk(tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pixels = (photo(1, 3, 75, 101)[0].permute(1, 2, 0) * 255).byte().numpy()
    Image.fromarray(pixels).save("photo.png")
    return tmp_path


def run(*words):
    from phosphene.cli import main

    return main([str(word) for word in words])


def pixels(file):
    return np.asarray(Image.open(file))


PROMPT = 'text:"a cathedral made of coral" - 0.5*text:cat + 0.2*vision_model.encoder.layers.1'


def test_dream_replay_and_the_recipe(desk, folder, capsys):
    how = ["--model", f"hf:{folder}", "--objective", PROMPT, "--octaves", 2, "--steps", 3, "--seed", 3]
    assert run("dream", "photo.png", "-o", "one.png", *how) == 0
    assert pixels("one.png").shape == (75, 101, 3)
    assert (pixels("one.png") != pixels("photo.png")).mean() > 0.5
    assert run("replay", "one.png", "-o", "again.png") == 0
    assert np.array_equal(pixels("one.png"), pixels("again.png"))
    capsys.readouterr()
    assert run("show", "one.png") == 0
    assert 'text:"a cathedral made of coral"' in capsys.readouterr().out


def test_a_run_that_is_cut_short_goes_on_bit_for_bit(desk, folder):
    how = ["--model", f"hf:{folder}", "--objective", PROMPT, "--octaves", 2, "--steps", 3, "--seed", 3]
    assert run("dream", "photo.png", "-o", "whole.png", *how, "--no-metadata") == 0
    from phosphene import dream, load, open_picture

    picture = open_picture("photo.png")
    from phosphene.config import Dream

    config = Dream(octaves=2, steps=3, seed=3)
    lens = load(f"hf:{folder}")
    state = [frame.state() for frame in dream(picture.tensor(), PROMPT, lens, config)][3]
    *_, last = dream(picture.tensor(), PROMPT, load(f"hf:{folder}"), config, resume=state)
    found = (last.full()[0].permute(1, 2, 0) * 255).round().numpy()
    assert abs(found - pixels("whole.png")).max() <= 1


def test_no_text_tower(desk, capsys):
    code = run(
        "dream", "photo.png", "-o", "x.png", "--model", "efficientnet_lite0", "--objective", "text:cat"
    )
    assert code == 2
    error = capsys.readouterr().err
    assert "E_PARAM" in error and "no text tower" in error and error.count("\n") == 1


def test_a_folder_that_is_none(desk, capsys):
    assert run("dream", "photo.png", "-o", "x.png", "--model", "hf:./nothing") == 2
    assert "no such folder" in capsys.readouterr().err
