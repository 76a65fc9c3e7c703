"""The notebook's view: what its thread does, and what it draws in real Chromium."""

import base64
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import phosphene
from networks import branching
from phosphene import Dream, PhospheneError
from phosphene.lens import Lens

anywidget = pytest.importorskip("anywidget")
CHROMIUM = "/usr/bin/chromium"


def frames(steps=4, objective="left"):
    image = torch.linspace(0, 1, 3 * 40 * 48).reshape(1, 3, 40, 48)
    config = Dream(octaves=1, steps=steps, seed=1, jitter=0)
    return phosphene.dream(image, objective, Lens(branching()), config)


def until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_ends_with_the_picture_of_the_loop():
    watch = phosphene.watch(frames())
    last = watch.wait(60)
    *_, own = frames()
    assert torch.equal(last.full(), own.full())
    assert watch.state == "done" and watch.jpeg.startswith(b"\xff\xd8") and watch.before != watch.jpeg
    assert (watch.progress["step"], watch.progress["width"], len(watch.scores)) == (4, 48, 4)


def test_it_pauses_goes_on_and_stops():
    watch = phosphene.watch(frames(steps=100_000))
    watch.pause()
    until(lambda: watch._last is not None)
    time.sleep(0.1)
    held = watch._last.step
    time.sleep(0.1)
    assert watch.state == "paused" and watch._last.step == held
    watch.resume()
    until(lambda: watch._last.step > held)
    watch.stop()
    assert watch.wait(30).step < 99_999 and watch.state == "stopped"


def test_nothing_piles_up():
    watch = phosphene.watch(frames(steps=100_000))
    until(lambda: watch.jpeg)
    first = watch.progress["step"]
    time.sleep(0.4)
    assert watch.progress["step"] == first  # nobody has drawn it
    watch._heard(watch, {"type": "drawn"}, [])
    until(lambda: watch.progress["step"] > first)
    watch._heard(watch, {"type": "stop"}, [])
    watch.wait(30)
    assert threading.active_count() < 50


def test_a_fault_is_told_and_raised():
    watch = phosphene.watch(frames(objective="nothing"))
    with pytest.raises(PhospheneError):
        watch.wait(30)
    assert watch.state == "failed" and watch.error.startswith("E_LAYER: ")
    empty = phosphene.watch(iter(()))
    with pytest.raises(PhospheneError):
        empty.wait(30)


def test_a_page_that_is_never_heard_gets_pictures_all_the_same(monkeypatch):
    monkeypatch.setattr("phosphene.widget.view.PATIENCE", 0.2)
    watch = phosphene.watch(frames(steps=100_000))
    until(lambda: watch.jpeg)
    first = watch.progress["step"]
    until(lambda: watch.progress["step"] > first)
    watch.close()
    watch.wait(30)
    assert watch.state == "stopped"


def test_an_interrupt_of_the_wait_stops_it(monkeypatch):
    def interrupted(timeout):
        raise KeyboardInterrupt

    watch = phosphene.watch(frames(steps=100_000))
    until(lambda: watch.frame is not None)
    with monkeypatch.context() as patch:
        patch.setattr(watch._thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            watch.wait()
    assert watch.wait(30).step < 99_999 and watch.state == "stopped"


def test_the_last_good_picture_is_there_after_a_fault():
    def breaking():
        yield from frames()
        raise ValueError("two\nlines")

    watch = phosphene.watch(breaking())
    with pytest.raises(ValueError, match="two"):
        watch.wait(30)
    *_, own = frames()
    assert torch.equal(watch.frame.full(), own.full())
    assert watch.error == "ValueError: two lines" and watch.progress["step"] == 4


def test_without_anywidget_only_watching_is_refused(monkeypatch):
    monkeypatch.delitem(sys.modules, "anywidget")
    monkeypatch.setattr("phosphene.widget.find_spec", lambda name: None)
    assert callable(phosphene.watch)
    with pytest.raises(PhospheneError, match=r"pip install 'phosphene\[notebook\]'") as caught:
        phosphene.watch(frames())
    assert caught.value.code == "E_FORMAT"


PAGE = """async ([code, css, jpeg]) => {
    const url = URL.createObjectURL(new Blob([code], {type: 'text/javascript'}));
    const widget = (await import(url)).default;
    const bytes = (text) => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
    const values = {jpeg: bytes(jpeg), before: bytes(jpeg), scores: [1, 2, 4], state: 'running', error: '',
        progress: {octave: 1, octaves: 2, step: 3, steps: 9, score: 4, width: 48, height: 40}};
    const heard = {}, el = document.body;
    window.sent = [];
    const model = {get: name => values[name], send: message => window.sent.push(message.type),
        on: (name, work) => { heard[name] = work; }, off: () => {}};
    window.set = (name, value) => { values[name] = value; heard['change:' + name](); };
    widget.render({model, el});
}"""

OVERTAKEN = """async () => {
    const jpeg = async (colour, side) => {
        const canvas = new OffscreenCanvas(side, side), pen = canvas.getContext('2d');
        pen.fillStyle = colour;
        pen.fillRect(0, 0, side, side);
        const blob = await canvas.convertToBlob({type: 'image/jpeg', quality: 1});
        return new DataView(await blob.arrayBuffer());
    };
    const [older, newer] = [await jpeg('#00f', 200), await jpeg('#f00', 40)];
    const make = window.createImageBitmap;
    window.createImageBitmap = async blob => {
        const made = await make(blob);
        if (blob.size === older.byteLength) await new Promise(done => setTimeout(done, 300));
        return made;
    };
    window.sent = [];
    window.set('jpeg', older);
    window.set('jpeg', newer);
    await new Promise(done => setTimeout(done, 800));
    const [red, , blue] = document.querySelector('canvas').getContext('2d').getImageData(5, 5, 1, 1).data;
    return window.sent.length === 1 ? [red > 250 ? 255 : red, blue < 5 ? 0 : blue] : window.sent;
}"""


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")
def test_it_is_drawn_and_can_be_held():
    playwright = pytest.importorskip("playwright.sync_api")
    watch = phosphene.watch(frames())
    watch.wait(60)
    home = Path(phosphene.__file__).parent / "widget"
    texts = [(home / f"view.{kind}").read_text() for kind in ("js", "css")]
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        said = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.evaluate(PAGE, [*texts, base64.b64encode(watch.jpeg).decode()])
        page.wait_for_function("window.sent.includes('drawn')")
        assert page.evaluate("document.querySelector('canvas').width") == 48
        assert "running: octave 1 of 2, step 3 of 9, score 4.000" in page.inner_text("body")
        page.click("text=Pause")
        page.evaluate("window.set('state', 'paused')")
        page.click("text=Go on")
        page.click("text=Stop")
        assert page.evaluate("window.sent.filter(one => one !== 'drawn')") == ["pause", "resume", "stop"]
        page.evaluate("window.set('error', 'E_LAYER: no such layer')")
        assert page.inner_text("[role=alert]") == "E_LAYER: no such layer"
        assert page.is_visible("input[aria-label='Before and after']")
        drawn = page.evaluate(OVERTAKEN)
        assert drawn == [255, 0]  # the newer one stays, and only it is told of
        browser.close()
        assert said == []
