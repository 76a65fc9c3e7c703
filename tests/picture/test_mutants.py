"""Files with a few bits or bytes wrong, or cut, end in a PhospheneError or a proper picture."""

import io
import random
from contextlib import suppress

import pytest
from picture_files import RAMP, SEEDS, built_in_profile, mutant, refused, seed
from PIL import Image

from phosphene.errors import PhospheneError
from phosphene.picture import open_picture, read_recipe


@pytest.mark.parametrize("name", SEEDS)
def test_mutants(name):
    """Only a PhospheneError escapes, and what opens is a proper picture."""
    rng = random.Random(name)
    assert sorted(open_picture(seed(name)).size) == sorted(RAMP.shape[:2])
    for _ in range(200):
        data = mutant(seed(name), rng)
        try:
            picture = open_picture(data, max_pixels=1_000_000)  # so that lying headers are quick
        except PhospheneError as error:
            assert "\n" not in str(error)
        else:
            assert picture.pixels.shape == (*picture.size, 3)
            assert picture.pixels.min() >= 0
            assert picture.pixels.max() <= 1
            assert picture.alpha is None or picture.alpha.shape == picture.size
        try:
            recipe = read_recipe(data)
        except PhospheneError as error:
            assert "\n" not in str(error)
        else:
            assert recipe is None or isinstance(recipe, str)


@pytest.mark.parametrize("percent", [10, 50, 99])
@pytest.mark.parametrize(
    "name", [name for name in SEEDS if name not in ("pages", "mpo", "moving gif", "moving webp")]
)
def test_cut_short(name, percent):
    data = seed(name)
    refused(data[: len(data) * percent // 100])


def test_nothing_reaches_stderr(capfd):
    for name in ("fax", "tiles", "exif", "png of 16 bits", "lab of 16 bits"):
        rng = random.Random(1)
        for _ in range(60):
            with suppress(PhospheneError):
                open_picture(mutant(seed(name), rng))
    assert capfd.readouterr() == ("", "")


def test_hostile_profiles_do_not_crash():
    rng = random.Random(2)
    image = Image.fromarray(RAMP).convert("CMYK")
    for _ in range(20):
        profile = mutant(built_in_profile("cmyk"), rng)
        if profile:
            file = io.BytesIO()
            image.save(file, "TIFF", icc_profile=profile)
            assert open_picture(file.getvalue()).size == RAMP.shape[:2]
