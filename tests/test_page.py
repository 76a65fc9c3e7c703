"""The report: one page, nothing from outside, everything escaped."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from phosphene.evidence import Photos, evidence
from phosphene.page import Unit, page


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes))
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def made(objective="mix:3"):
    photos = Photos("a <folder>", {"photo.png": torch.rand(3, 60, 60)})
    found = evidence(2.5, np.linspace(0, 2, 300).astype(np.float32), photos)
    image, pixels = torch.rand(3, 20, 24), torch.rand(20, 24)
    unit = Unit(objective, image, pixels, found)
    return unit, page([unit], photos, title="Units", about={"compared with": "300 crops"}, text='{"a": 1}')


def test_whole_and_self_contained():
    _, text = made()
    tags = Tags(text)
    assert not tags.open
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in tags.images)
    assert not re.search(r"https?://|<script|@import|url\(", text)
    for said in ("mix:3", "2.5", "100 (of 300 crops)", "300 crops", '{"a": 1}'):
        assert said in tags.text


def test_pictures_are_the_pictures():
    unit, text = made()
    sources = [image["src"].partition(",")[2] for image in Tags(text).images[:2]]
    picture, counting = (Image.open(io.BytesIO(base64.b64decode(source))) for source in sources)
    expected = (unit.image.permute(1, 2, 0) * 255).round().byte().numpy()
    assert np.array_equal(np.asarray(picture), expected)
    assert counting.mode == "RGBA"
    weight = ndimage.gaussian_filter(unit.pixels.numpy().astype(float), 20 / 56, mode="nearest")
    weight = np.minimum(weight / np.quantile(weight, 0.99), 1)
    assert np.abs(np.asarray(counting)[..., 3] - 255 * weight).max() < 0.51


def test_a_name_is_text():
    _, text = made('"<img src=x onerror=alert(1)>":3')
    assert "<img src=x" not in text and "onerror" in Tags(text).text
