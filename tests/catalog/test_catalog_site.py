"""A catalog's pages, opened from a folder in a real browser; merged catalogs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import simulated

from accessible import serious
from phosphene.catalog import site
from phosphene.catalog.merge import merge
from phosphene.catalog.site import alike
from phosphene.catalog.store import Store
from phosphene.errors import PhospheneError

LAYERS = {"stem": 8, "blocks.0": 24, "blocks.1/<b>x": 130}
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two catalogs of networks with the same layers, and both merged."""
    home = tmp_path_factory.mktemp("catalogs")
    for number, name in enumerate("ab"):
        store = simulated.catalog(home / name, LAYERS, seed=number, size=64)
        site.build(store)
        store.close()
    assert merge([str(home / "a"), str(home / "b")], str(home / "c")) == 2
    return home


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    if CHROMIUM is None:
        pytest.skip("Chromium isn't installed; apt-get install chromium")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Open a catalog's page from its folder; at the end nothing may have gone wrong in its console."""
    contexts, said = [], []

    def opened(folder, address="", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{(folder / 'index.html').as_uri()}{address}")
        page.wait_for_selector("main h1")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


def test_built_again_nothing_is_written(made, monkeypatch):
    store = Store(str(made / "a"))
    written = []
    monkeypatch.setattr(type(store.files), "write", lambda self, name, data, **how: written.append(name))
    site.build(store)
    store.close()
    assert written == []


def test_neighbours_are_the_highest_cosines(made):
    store = Store(str(made / "a"))
    names = list(LAYERS)
    found = alike.neighbours(alike.among(store, 0, names, "photos"), 2)
    signed = [alike.signatures(store, 0, name)[1] for name in names]
    every = np.concatenate(signed)
    cosine = every @ signed[2][7]
    cosine[32 + 7] = -2
    best = np.argsort(-cosine)[: alike.MOST]
    starts = np.cumsum([0, *map(len, signed)])
    expected = [(int(np.searchsorted(starts, one, "right")) - 1, float(cosine[one])) for one in best]
    assert [(layer, value) for layer, _, value in found[7]] == [
        (layer, pytest.approx(value, abs=1e-3)) for layer, value in expected
    ]
    assert [channel for _, channel, _ in found[7]] == [
        int(one - starts[layer]) for one, (layer, _) in zip(best, expected, strict=True)
    ]
    store.close()


def test_pictures_are_alike_in_what_not_all_have_in_common(made):
    store = Store(str(made / "a"))
    names = list(LAYERS)
    less = alike.common(store, 0, names)
    looks = [alike.signatures(store, 0, name, "noise")[1] for name in names]
    every = np.concatenate(looks).astype(np.float64)
    assert np.allclose(less, every.mean(0), atol=1e-5)
    rest = every - every.mean(0)
    length = np.linalg.norm(rest, axis=1)
    cosine = rest @ rest[8 + 5] / length / length[8 + 5]
    cosine[8 + 5] = -2
    best = np.argsort(-cosine)[: alike.MOST]
    found = alike.neighbours(alike.among(store, 0, names, "noise"), 1)[5]
    starts = (0, 8, 32)
    assert [starts[layer] + channel for layer, channel, _ in found] == best.tolist()
    assert [value for *_, value in found] == [pytest.approx(float(cosine[n]), abs=1e-3) for n in best]
    store.close()


def test_the_wall_has_whole_rows(made, visit):
    page = visit(made / "a", viewport={"width": 1280, "height": 900})
    shown = "[...document.querySelectorAll('.wall a')].filter(one => one.offsetWidth)"
    page.wait_for_function(f"{shown}.length % new Set({shown}.map(one => one.offsetLeft)).size === 0")
    assert page.evaluate(f"{shown}.length") > 24


def test_from_the_map_to_a_unit_and_its_neighbour(made, visit):
    page = visit(made / "a")
    assert page.locator(".map li").count() == len(LAYERS)
    page.click(".map li:nth-child(3) a")
    page.wait_for_selector("h1:text-is('blocks.1/<b>x')")
    page.click(".tile >> nth=70")
    page.wait_for_selector("h1:text-is('blocks.1/<b>x:70')")
    page.wait_for_function("document.querySelector('.big img').naturalWidth > 0")
    assert page.locator("text=Photos that activate it most").count() == 1
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("h1:text-is('blocks.1/<b>x:71')")
    page.click("section:has(h2:text-is('Units most like it on photos')) .tile >> nth=0")
    page.wait_for_function("!document.querySelector('h1').textContent.endsWith('x:71')")
    page.go_back()
    page.wait_for_selector("h1:text-is('blocks.1/<b>x:71')")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("blocks.0:7", 1),
        ("blocks", 154),
        ("7", 3),
        ("conv2d stem", 8),
        ("bl*.0:3", 1),
        ("b*s.1*", 130),
        ("*.0 conv*", 24),
        ("s.*", 0),
        ("zzz", 0),
    ],
)
def test_what_is_typed_is_found(made, visit, query, count):
    page = visit(made / "a")
    page.keyboard.press("/")
    page.keyboard.type(query)
    page.wait_for_selector("[role=status]")
    words = f"{count} unit{'' if count == 1 else 's'}" if count else "Nothing"
    page.wait_for_function(
        "text => document.querySelector('[role=status]')?.textContent.startsWith(text)", arg=words
    )
    assert page.locator(".tile").count() == min(count, 60) or count > 60


def test_links_lead_to_the_place(made, visit):
    page = visit(made / "a", "#/unit/0/blocks.1%2F%3Cb%3Ex/100")
    assert page.inner_text("h1") == "blocks.1/<b>x:100"
    assert page.title().startswith("blocks.1/<b>x:100")
    page = visit(made / "a", "#/unit/0/stem/900")
    assert "no unit 900" in page.inner_text("main")


def test_merged_are_side_by_side(made, visit):
    page = visit(made / "c", "#/compare")
    assert page.locator(".pair").count() == 8
    stores = [Store(str(made / name)) for name in "ab"]
    one, two = (alike.signatures(store, 0, "stem")[1] for store in stores)
    order = np.argsort((one * two).sum(1))
    page.select_option("select[aria-label='Order']", "same")
    assert [int(text) for text in page.locator(".pair b").all_inner_texts()] == order.tolist()
    assert float(page.inner_text(".pair small >> nth=0")) == pytest.approx(
        float((one * two).sum(1).min()), abs=0.006
    )
    for store in stores:
        store.close()
    page.select_option("select[aria-label='Order']", "network")
    page.click(".pair >> nth=3")
    page.wait_for_selector(".columns article >> nth=1")
    assert page.locator(".columns article").count() == 2
    page.wait_for_function("[...document.querySelectorAll('.big img')].every(one => one.naturalWidth > 0)")
    assert "Correlation with the first" in page.inner_text(".columns")
    assert "a-network (a)" in page.inner_text(".columns")
    page = visit(made / "c", "#/find/stem:3")
    assert page.locator(".tile small").all_inner_texts()[1::2] == ["a-network (a)", "a-network (b)"]


def test_what_cannot_be_merged(made, tmp_path):
    with pytest.raises(PhospheneError, match="one of the catalogs"):
        merge([str(made / "a"), str(made / "b")], str(made / "a"))
    with pytest.raises(PhospheneError, match="nothing to merge"):
        merge([str(made / "a")], str(tmp_path / "c"))
    with pytest.raises(PhospheneError, match="a catalog of its own"):
        merge([str(made / "a"), str(made / "c")], str(made / "b"))
    with pytest.raises(PhospheneError, match="no catalog in it"):
        merge([str(made / "a"), str(tmp_path / "none")], str(tmp_path / "c"))
    assert merge([str(made / "a"), str(made / "b")], str(made / "c")) == 2


@pytest.mark.parametrize("width", [360, 820, 1440])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_fits_the_screen_and_is_accessible(made, visit, width, scheme):
    for address in ("", "#/layer/0/stem", "#/unit/0/stem/3", "#/find/blocks", "#/compare/stem/3"):
        page = visit(
            made / "c",
            address,
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width != 820:
            assert serious(page) == []
