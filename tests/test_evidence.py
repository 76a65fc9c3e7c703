"""A unit's activation beside that on photos: crops, percentiles, the best ones, which pixels count."""

import numpy as np
import pytest
import torch
from PIL import Image

from networks import Branching
from phosphene import evidence, words
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
    assert list(evidence.photos(str(tmp_path)).images) == ["red.png"]
    with pytest.raises(PhospheneError, match="no photo"):
        (tmp_path / "empty").mkdir()
        evidence.photos(str(tmp_path / "empty"))
    with pytest.raises(PhospheneError, match="no folder"):
        evidence.photos(str(tmp_path / "missing"))


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
