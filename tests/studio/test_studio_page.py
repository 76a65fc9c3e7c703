"""The studio's page in a real browser: what somebody does who has read nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from accessible import serious

playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
PHOTO = Path(__file__).parents[2] / "examples" / "photo.jpg"
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium isn't installed; apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TOLD = (400,)  # answers that the page tells in its own words
PATIENCE = 120_000  # ms: a busy machine is slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A studio of its own, on a free port."""
    port, home = free_port(), tmp_path_factory.mktemp("studio")
    command = [
        sys.executable,
        "-m",
        "phosphene",
        "studio",
        "--no-open",
        "--port",
        str(port),
        "--data",
        str(home),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (home / "log").open("wb") as log:
        studio = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                assert studio.poll() is None, (home / "log").read_text()
                time.sleep(0.1)
        yield url
    finally:
        studio.terminate()
        studio.wait(30)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address):
    """Open the page as a new visitor; at the end nothing may have gone wrong in its console."""
    contexts, said = [], []

    def heard(message):
        told = any(f"status of {code}" in message.text for code in TOLD)
        if message.type == "error" and not told:
            said.append(message.text)

    def opened(**options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: said.append(str(error)))
        return came(page)

    def came(page):
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


def photo_chosen(page) -> None:
    page.click('[data-photo="example"]')
    page.wait_for_selector("#photo .picked img")


def quick(page, steps: int = 2, **more: object) -> None:
    """Few steps, on one octave, of the small network: what is dreamed doesn't matter here."""
    page.select_option("#network select", "efficientnet_lite0")
    page.click("#more > summary")
    for name, value in {"octaves": 1, "steps": steps, **more}.items():
        page.fill(f"#field-{name}", str(value))
    page.press(f"#field-{name}", "Tab")


def until(true: Callable[[], bool]) -> None:
    """Wait from outside: the page's rules forbid what `wait_for_function` does inside."""
    end = time.monotonic() + PATIENCE / 1000
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def state(page, wanted: str) -> None:
    page.wait_for_selector(f"#run strong:text-is('{wanted}')")


def frames(page) -> int:
    return int(page.get_attribute("#view", "data-frames") or 0)


def drawn(page) -> int:
    """How many colours there are in the middle of the picture that is shown."""
    return page.evaluate("""() => {
        const canvas = document.querySelector('#canvas');
        const [x, y] = [canvas.width >> 2, canvas.height >> 2];
        const data = new Uint32Array(canvas.getContext('2d').getImageData(x, y, x, y).data.buffer);
        return new Set(data).size;
    }""")


def test_first_visit_to_first_picture(visit):
    page = visit()
    assert page.is_visible("text=What does a network dream of your photo?")
    photo_chosen(page)
    until(lambda: drawn(page) > 100)
    page.click("#dream")
    until(lambda: frames(page) > 1)
    state(page, "done")
    until(lambda: drawn(page) > 100)
    page.wait_for_selector("#pictures .card img")
    page.click('[data-view="compare"]')
    assert page.input_value("#divider input") == "50"
    with page.expect_download() as download:
        page.click("text=Save PNG")
    assert download.value.suggested_filename == "example-dream.png"
    assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_cancel_and_pause(visit):
    page = visit()
    photo_chosen(page)
    quick(page, steps=2000)
    page.click("#dream")
    until(lambda: frames(page) > 0)
    page.click("#run button:has-text('Pause')")
    state(page, "paused")
    page.click("#run button:has-text('Go on')")
    state(page, "Dreaming")
    page.click("#run button:has-text('Cancel')")
    state(page, "cancelled")
    assert page.is_visible("text=More of this")
    with page.expect_download() as download:
        page.click("text=Save PNG")  # as far as it came
    assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_stage_is_left_to_what_comes_next(visit):
    page = visit()
    photo_chosen(page)
    quick(page, steps=2000)
    page.click("#dream")
    until(lambda: frames(page) > 0)
    page.click("#photo button:has-text('From noise')")
    page.wait_for_selector("#canvas[aria-label^='Noise']")
    assert page.is_hidden("#run")
    page.click("#pictures li:has-text('running') .card")
    page.click("dialog button:has-text('Show it large')")
    state(page, "Dreaming")
    until(lambda: frames(page) > 0)
    page.click("#run button:has-text('Cancel')")
    state(page, "cancelled")


def test_gallery_after_reload_and_its_recipe(visit, tmp_path):
    page = visit()
    photo_chosen(page)
    quick(page, jitter=7)
    page.fill("#seed", "42")
    page.press("#seed", "Tab")
    page.click("#dream")
    state(page, "done")
    with page.expect_download() as download:
        page.click("text=Save PNG")
    picture = tmp_path / "dream.png"
    download.value.save_as(picture)

    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector("#pictures .card")
    assert page.input_value("#seed") == "42"  # what one was at is kept
    page.click("#more > summary")
    page.click("text=All as they were")
    assert page.input_value("#seed") == ""
    page.click("#pictures .card")
    page.wait_for_selector("dialog th:has-text('jitter')")
    assert page.inner_text("dialog tr:has(th:text-is('seed')) td") == "42"
    page.keyboard.press("Escape")

    dropped(page, picture)
    until(lambda: page.input_value("#seed") == "42")
    assert page.input_value("#network select") == "efficientnet_lite0"
    page.click("#more > summary")
    assert page.input_value("#field-jitter") == "7"
    page.click("#undo")
    page.click("#undo")
    assert page.input_value("#seed") == "42"  # what one was at is kept
    page.click("#more > summary")
    page.click("text=All as they were")
    assert page.input_value("#seed") == ""


def dropped(page, path: Path) -> None:
    data = page.evaluate_handle(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], 'dream.png', {type: 'image/png'}));
            return data;
        }""",
        list(path.read_bytes()),
    )
    page.dispatch_event("#view", "drop", {"dataTransfer": data})


def test_two_are_compared_and_copied(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    photo_chosen(page)
    quick(page)
    for seed in ("1", "2"):
        page.fill("#seed", seed)
        page.press("#seed", "Tab")
        page.click("#dream")
        page.wait_for_selector(f"#pictures li >> nth={int(seed) - 1}")
        state(page, "done")
    until(lambda: page.locator("#pictures .state").count() == 0)
    for tick in page.query_selector_all("#pictures .tick input"):
        tick.check()
    page.click("#compare")
    page.wait_for_selector("dialog th:text-is('seed')")
    assert page.locator("dialog tbody tr").count() == 1
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.click("#pictures .card")
    page.click("text=Copy as command line")
    page.wait_for_selector("text=The command line copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("phosphene dream ")


def test_a_file_that_is_no_picture_is_told(visit, tmp_path):
    page = visit()
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")
    with page.expect_file_chooser() as chooser:
        page.click('[data-photo="choose"]')
    chooser.value.set_files(tmp_path / "page.html")
    page.wait_for_selector(".toast.problem[role=alert]")
    assert "<" not in page.inner_text(".toast.problem span")


def test_a_script_in_a_files_name_is_text(visit):
    """Wherever the page shows it: the photo, the notes, the gallery, the details, what is read out."""
    page = visit()
    name = "<img src=x onerror=alert(1)><script>alert(2)</script>.jpg"
    alerts: list[str] = []
    page.on("dialog", lambda box: (alerts.append(box.message), box.dismiss()))
    file = {"name": name, "mimeType": "image/jpeg", "buffer": PHOTO.read_bytes()}
    with page.expect_file_chooser() as chooser:
        page.click('[data-photo="choose"]')
    chooser.value.set_files([file])
    page.wait_for_selector("#photo .picked img")
    assert page.inner_text("#photo .name") == name
    quick(page, max_size=64)
    page.click("#dream")
    state(page, "done")
    page.wait_for_selector("#pictures .card:has-text('<script>')")
    page.click("#pictures .card")
    page.wait_for_selector("dialog th")
    assert page.inner_text("dialog h2") == name
    with page.expect_download() as download:
        page.click("dialog a:text-is('PNG')")
    assert download.value.suggested_filename.endswith("-dream.png")
    page.keyboard.press("Escape")
    assert page.locator("img[src=x], main script").count() == 0 and alerts == []


def test_the_welcome_is_whole_at_every_width(visit):
    for width, height in ((320, 640), (360, 780), (820, 1100), (961, 600), (1024, 700), (1400, 900)):
        page = visit(viewport={"width": width, "height": height})
        view = page.locator("#view").bounding_box()
        for each in page.query_selector_all("#welcome h2, #welcome p, #welcome button"):
            box = each.bounding_box()
            assert view["y"] <= box["y"] and box["y"] + box["height"] <= view["y"] + view["height"], width
            assert view["x"] <= box["x"] and box["x"] + box["width"] <= view["x"] + view["width"], width


def test_another_network_dreams_of_its_own(visit):
    page = visit()
    page.select_option("#network select", "efficientnet_lite0")
    assert page.input_value("#objective textarea") == "blocks.4.2 + blocks.3.2"
    photo_chosen(page)
    quick(page, max_size=64)
    page.click("#objective summary")
    page.fill("#objective textarea", "blocks.4.1")
    page.press("#objective textarea", "Tab")
    page.click("#dream")
    state(page, "done")
    page.click("text=Recipe and more")
    page.wait_for_selector("dialog tr:has(th:text-is('octaves'))")
    assert page.inner_text("dialog tr:has(th:text-is('objective')) td") == "blocks.4.1"


def test_the_token_leaves_the_address(visit, address):
    page = visit()
    page.goto(f"{address}?token=secret")
    page.wait_for_selector("html[data-ready]")
    assert page.url == address


def test_mask_is_painted(visit):
    page = visit()
    photo_chosen(page)
    page.click("#paint")
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=4)
    page.mouse.up()
    page.click("#painting button:has-text('Done')")
    page.wait_for_selector("#paint[aria-pressed=true]")


def test_objective_is_put_together(visit):
    page = visit()
    page.fill("input[aria-label='A class']", "tabby")
    page.press("input[aria-label='A class']", "Enter")
    page.fill("[aria-label='Weight of class:tabby']", "-0.5")
    page.press("[aria-label='Weight of class:tabby']", "Tab")
    assert page.input_value("#objective textarea") == "blocks.4.1 - 0.5*class:tabby"
    page.click("[aria-label='Remove blocks.4.1']")
    assert page.input_value("#objective textarea") == "-0.5*class:tabby"
    page.keyboard.press("Control+z")
    assert len(page.query_selector_all("#objective .term")) == 2


TERMS = [
    "blocks.4.1",
    "blocks.4.1 + 0.5*blocks.3.2",
    "2*blocks.4.1:12 - 0.5*tv()",
    "-blocks.4.1",
    'text:"the sea - a + b" + 0.5*text:"a \\" storm"',
    'guide("flo wers.jpg", blocks.3.1) + 0.2*inception_3b/5x5_reduce:3',
    "blocks.1 | blocks.2",
    "class:Egyptian cat + blocks.4.1:12@3,5",
]


def test_terms_come_back_as_they_were(visit):
    page = visit()
    back = page.evaluate(
        "async texts => {"
        " const terms = await import('/static/terms.js');"
        " return texts.map(text => terms.text(terms.parse(text))); }",
        TERMS,
    )
    assert back == TERMS


@pytest.mark.parametrize("width", [360, 900, 1440])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_fits_the_screen_and_is_accessible(visit, width, scheme):
    page = visit(viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click("#more > summary")
    if page.is_visible("#zoom"):
        page.click("#zoom > summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert nameless(page) == []
    assert serious(page) == []


def test_the_map_is_accessible(visit):
    page = visit()
    page.click(".wander")
    page.wait_for_selector(".map .card")
    assert nameless(page) == []
    assert serious(page) == []
    page.click(".map .card")
    page.wait_for_selector("dialog", state="detached")
    assert page.input_value("#objective textarea") != ""


def nameless(page) -> list[str]:
    """Controls without a name for those who don't see them."""
    return page.evaluate("""() => [...document.querySelectorAll('button, input, select, textarea, a')]
        .filter(each => each.checkVisibility() && !(each.ariaLabel || each.textContent.trim()
            || each.labels?.[0]?.textContent.trim() || each.getAttribute('aria-labelledby')))
        .map(each => each.outerHTML)""")


def test_first_load_is_small(browser, address):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    sizes: list[int] = []
    outside: list[str] = []
    page.on("response", lambda answer: sizes.append(len(answer.body())))
    page.on("request", lambda asked: None if asked.url.startswith(address) else outside.append(asked.url))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    context.close()
    assert sum(sizes) < 200_000
    assert outside == []


def test_nothing_is_inline():
    text = (Path(__file__).parents[2] / "src/phosphene/studio/static/index.html").read_text()
    assert "style=" not in text
    assert "<style" not in text
    assert "onclick" not in text
    assert text.count("<script") == text.count('<script type="module" src="/static/')
