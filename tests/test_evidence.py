"""A unit's activation beside that on photos: crops, percentiles, the best ones, which pixels count."""

import numpy as np
import pytest
import torch
from PIL import Image

from networks import Branching
from phosphene import album, evidence, words
from phosphene.errors import PhospheneError
from phosphene.evidence import Photos, Window
from phosphene.lens import Lens


@pytest.fixture(scope="module")
def lens():
    torch.manual_seed(0)
    return Lens(Branching())


@pytest.fixture(scope="module")
def given():
    random = torch.Generator().manual_seed(0)
    return Photos(
        "here", {"a": torch.rand(3, 90, 70, generator=random), "b": torch.rand(3, 40, 200, generator=random)}
    )


def test_the_packaged_photos():
    found = evidence.photos()
    assert found.source == "scikit-image" and len(found.images) == len(evidence.PACKAGED)
    assert all(
        image.shape[0] == 3 and image.min() >= 0 and image.max() <= 1 for image in found.images.values()
    )


def test_a_folder(tmp_path):
    Image.new("RGB", (20, 10), "red").save(tmp_path / "red.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no photo")
    found = evidence.photos(str(tmp_path))
    assert list(found.images) == ["red.png"]
    assert found.notes == (f"{tmp_path}: 1 of 2 photos can't be read: broken.jpg",)
    with pytest.raises(PhospheneError, match="no photo"):
        (tmp_path / "empty").mkdir()
        evidence.photos(str(tmp_path / "empty"))
    with pytest.raises(PhospheneError, match="no folder"):
        evidence.photos(str(tmp_path / "missing"))


def test_of_a_large_folder_so_many_as_are_seen_at_every_scale(tmp_path):
    most = evidence.CROPS // len(evidence.SCALES)
    for number in range(most + 100):
        Image.new("L", (9, 8), number % 256).save(tmp_path / f"{number:04}.bmp")
    found = evidence.photos(str(tmp_path))
    assert len(found.sizes) == most and f"{most} of its {most + 100} photos" in found.notes[0]
    assert max(int(name[:4]) for name in found.sizes) > most
    seen = {(place.photo, number // most) for number, place in enumerate(evidence.windows(found))}
    assert len(seen) == evidence.CROPS


def test_photos_that_do_not_fit_are_opened_again(tmp_path, monkeypatch, lens):
    random = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / f"{name}.png")
    objectives = [words.channel("mix", 3).bind(lens)]
    values = evidence.survey(objectives, lens, evidence.photos(str(tmp_path)), 70)
    monkeypatch.setattr(album, "KEPT", 40 * 50 * 3 * 4)
    few = evidence.photos(str(tmp_path))
    assert np.array_equal(evidence.survey(objectives, lens, few, 70), values)
    assert len(few.images._open) == 1 and few.sizes == dict.fromkeys(["a.png", "b.png", "c.png"], (40, 50))


def test_windows_lie_in_their_photos_at_several_scales(given):
    found = evidence.windows(given, 400)
    assert found == evidence.windows(given, 400) and len(set(found)) > 300
    for name, top, left, side in found:
        height, width = given.images[name].shape[1:]
        assert 0 <= top <= height - side and 0 <= left <= width - side
    assert {place.side for place in found if place.photo == "a"} == {round(s * 70) for s in evidence.SCALES}
    assert evidence.CROPS >= 2000


def test_survey_by_value(lens, given):
    objectives = [words.channel("mix", 3).bind(lens), words.neuron("tail", 2, 0, 1).bind(lens)]
    values = evidence.survey(objectives, lens, given, 70)
    assert values.shape == (2, 70)
    for i in (0, 41, 69):
        image = evidence.crop(given, evidence.windows(given, 70)[i])
        with torch.no_grad(), lens.watching({"mix"}) as look:
            assert np.isclose(values[0, i], float(look(image[None])["mix"][0, 3].mean()), rtol=1e-4)


def test_figures_by_value(given):
    values = np.linspace(0, 1, 200).astype(np.float32)
    found = evidence.evidence(0.75, values, given)
    assert found.percentile == 75 and found.crops == 200 and found.photos == 2
    assert np.isclose(found.mean, 0.5) and np.isclose(found.highest, 1)
    activations = [one.activation for one in found.best]
    assert activations == sorted(activations, reverse=True) and activations[0] == 1 and len(activations) == 9


def test_the_best_are_different_places():
    same, other = Window("a", 0, 0, 30), Window("a", 50, 50, 30)
    chosen = list(evidence.best(np.array([1.0, 3, 2]), [other, same, Window("a", 2, 2, 30)]))
    assert chosen == [1, 0]


def test_attribution_is_gradient_times_input(lens):
    image = torch.rand(3, 40, 32, generator=torch.Generator().manual_seed(1))
    objective = words.neuron("stem", 2, 5, 6).bind(lens)
    found = evidence.attribution(objective, image, lens)
    assert found.shape == (40, 32) and found.min() >= 0 and found.max() == 1
    seen = found.nonzero()
    assert seen.min(0).values.tolist() >= [8, 10] and seen.max(0).values.tolist() <= [
        12,
        14,
    ]  # its 5×5 window
