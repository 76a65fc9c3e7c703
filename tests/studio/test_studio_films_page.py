"""Films, the whole map, guides and other downloads, from the page in real Chromium."""

from pathlib import Path

import pytest
from PIL import Image
from test_studio_page import (  # noqa: F401  (fixtures)
    address,
    browser,
    frames,
    photo_chosen,
    playwright,
    quick,
    state,
    until,
    visit,
)

PHOTO = Path(__file__).parents[2] / "examples" / "photo.jpg"


def chosen(page, button, path):
    with page.expect_file_chooser() as chooser:
        page.click(button)
    chooser.value.set_files(path)


def saved(page, button, path):
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(path)
    return path


def test_a_flight_and_a_film_of_it(visit, tmp_path):  # noqa: F811
    page = visit()
    photo_chosen(page)
    quick(page, steps=1, max_size=96)
    page.click("#zoom > summary")
    page.fill("#zoom label:has-text('Frames') >> nth=0 >> input", "4")
    page.click("text=Make the film")
    state(page, "done")
    until(lambda: page.evaluate("document.querySelector('#film').videoWidth") > 0)
    assert page.inner_text("#run .words").count("4 frames") == 1
    film = saved(page, "text=Save film", tmp_path / "film.mp4")
    page.wait_for_selector("#pictures .reel")
    page.click("text=All as they were")
    page.click("#pictures .card")
    page.click("dialog button:has-text('Use its recipe')")
    until(lambda: page.input_value("#field-max_size") == "96")
    assert page.input_value("#field-steps") == "1"

    chosen(page, "#photo button:has-text('Another')", film)
    page.wait_for_selector("#photo .picked:has-text('4 frames')")
    page.fill("#zoom label:has-text('To second') >> input", "0.1")
    page.press("#zoom label:has-text('To second') >> input", "Tab")
    page.click("#dream")
    state(page, "done")
    assert "frames" in page.inner_text("#run .words")


def test_the_map_has_channels_and_what_they_do(visit):  # noqa: F811
    page = visit()
    photo_chosen(page)
    page.select_option("#network select", "efficientnet_lite0")
    page.click(".wander")
    page.wait_for_selector(".map [aria-label='Dream of blocks.2, Sequential']")
    assert page.query_selector(".map [aria-label^='Dream of blocks.2.1.conv_pw,']") is None
    page.fill("input[aria-label='Find a layer']", "blocks.2.1.conv_pw")
    page.wait_for_selector(".map [aria-label^='Dream of blocks.2.1.conv_pw,']")
    page.fill("input[aria-label='Find a layer']", "blocks.2.1")
    page.click("text=what each layer does to this photo")
    page.click("[aria-label='The 40 channels of blocks.2.1']")
    page.wait_for_selector("[aria-label='Dream of channel 39 of blocks.2.1']")
    page.wait_for_selector("[aria-label='Dream of channel 0 of blocks.2.1'] img")
    page.click("[aria-label='Dream of channel 3 of blocks.2.1']")
    until(lambda: page.input_value("#objective textarea") == "blocks.2.1:3")


def test_what_one_was_at_is_kept(visit):  # noqa: F811
    page = visit()
    photo_chosen(page)
    page.fill("#strength ~ *, [aria-label='Strength as a number']", "2")
    page.press("[aria-label='Strength as a number']", "Tab")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector("#photo .picked img")
    assert page.input_value("[aria-label='Strength as a number']") == "2"


def test_noise_has_defaults_of_its_own_and_there_is_more_of_it(visit):  # noqa: F811
    page = visit()
    page.click('[data-photo="noise"]')
    page.click("#more > summary")
    assert page.input_value("#field-param") == "fourier" and page.input_value("#field-steps") == "128"
    page.select_option("#network select", "efficientnet_lite0")
    for name, value in {"max_size": 64, "steps": 3}.items():
        page.fill(f"#field-{name}", str(value))
        page.press(f"#field-{name}", "Tab")
    page.click("#dream")
    state(page, "done")
    first = page.get_attribute("#view", "data-job")
    page.click("text=More of this")
    until(lambda: page.get_attribute("#view", "data-job") != first)
    state(page, "done")
    assert "64 × 64" in page.inner_text("#run .words")


def test_guides_classes_words_and_other_formats(visit, tmp_path):  # noqa: F811
    page = visit()
    photo_chosen(page)
    quick(page, max_size=96)
    page.type("input[aria-label='A class']", "tabb")
    page.wait_for_selector("datalist option[value='tabby']", state="attached")
    page.fill("input[aria-label='A class']", "")
    chosen(page, "text=Guide picture", PHOTO)
    page.wait_for_selector("img[alt='The guide picture']")
    page.click("#dream")
    state(page, "done")
    page.click("text=Recipe and more")
    for name, kind in (("jpeg", "JPEG"), ("tiff", "TIFF"), ("png", "PNG")):
        with Image.open(saved(page, f"dialog a:text-is('{kind}')", tmp_path / f"a.{name}")) as image:
            assert (image.format, image.width) == (kind, 96)
    page.keyboard.press("Escape")
    page.fill("input[aria-label='Words']", "a coral cathedral")
    page.press("input[aria-label='Words']", "Enter")
    assert page.input_value("#objective textarea").endswith('text:"a coral cathedral"')


def test_from_the_first_visit_to_a_picture_by_keyboard(visit):  # noqa: F811
    page = visit()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.photo") == "example":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#photo .picked img")
    page.keyboard.press("Control+Enter")
    until(lambda: frames(page) > 0)
    page.focus("#run button:has-text('Cancel')")
    page.keyboard.press("Enter")
    state(page, "cancelled")


def test_a_paused_dream_waits_for_another(visit):  # noqa: F811
    page = visit()
    photo_chosen(page)
    quick(page, steps=2000)
    page.click("#dream")
    until(lambda: frames(page) > 0)
    page.click("#run button:has-text('Pause')")
    state(page, "paused")
    page.fill("#field-steps", "2")
    page.press("#field-steps", "Tab")
    page.click("#dream")
    state(page, "done")
    page.click("#pictures li:has-text('paused') .card")
    page.click("dialog button:has-text('Show it large')")
    state(page, "paused")
    page.click("#run button:has-text('Go on')")
    state(page, "Dreaming")
    page.click("#run button:has-text('Cancel')")
    state(page, "cancelled")


@pytest.mark.parametrize("width", [360, 820, 1440])
def test_a_film_fits_the_screen(visit, width):  # noqa: F811
    page = visit(viewport={"width": width, "height": 800})
    photo_chosen(page)
    page.click("#zoom > summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
