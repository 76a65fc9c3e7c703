"""A report of what units want to see: one HTML page that needs nothing from outside."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from torch import Tensor

from phosphene.canvas import Held
from phosphene.evidence import Evidence, Photos, Window, crops
from phosphene.gradient import gaussian

SMOOTH = 1 / 56  # of a picture's shorter side: single pixels' weights are mostly noise
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
section { border-top: 1px solid #8884; padding: 1.5rem 0; }
h1 { font-size: 1.4rem } h2 { font: 600 1.1rem ui-monospace, monospace; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
figure { margin: 0; } figcaption { font-size: .85rem; opacity: .75; }
.picture { width: min(20rem, 90vw); }
.picture img { width: 100%; border-radius: 4px; display: block; }
.caption { font-size: .85rem; opacity: .75; margin: .3rem 0 }
.pixels { background: repeating-conic-gradient(#8883 0 25%, #0000 0 50%) 0 0 / 16px 16px; }
.photos { display: grid; grid-template-columns: repeat(3, 96px); gap: 6px; }
.photos img { width: 96px; height: 96px; display: block; border-radius: 3px; }
.photos figcaption { font-size: .7rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0 0 1rem; }
dt { opacity: .75; } dd { margin: 0; font-variant-numeric: tabular-nums; }
"""


@dataclass(frozen=True)
class Unit:
    """A unit's picture `[3, H, W]`, which of its pixels count `[H, W]`, and the figures."""

    objective: str
    image: Tensor
    pixels: Tensor
    evidence: Evidence


def page(units: Sequence[Unit], photos: Photos, *, title: str, about: dict[str, str], text: str) -> str:
    """The whole page; `about` are lines on how it was made, `text` is the settings to make it again."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in about.items())
    best = [one.window for unit in units for one in unit.evidence.best]
    pictures = {
        best[number]: _jpeg(image)
        for numbers, images in crops(photos, best)
        for number, image in zip(numbers, images, strict=True)
    }
    sections = "".join(_section(unit, pictures) for unit in units)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1><dl>{rows}</dl>"
        f"{sections}<details><summary>Settings</summary><pre>{escape(text)}</pre></details></body></html>\n"
    )


def _section(unit: Unit, pictures: Mapping[Window, str]) -> str:
    found = unit.evidence
    share = f"{found.percentile:.2f}".rstrip("0").rstrip(".")
    figures = {
        "activation on the picture": f"{found.activation:.4g}",
        "percentile among photos": f"{share} (of {found.crops} crops)",
        "on the photos": f"mean {found.mean:.4g} ± {found.deviation:.4g}, highest {found.highest:.4g}",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in figures.items())
    best = "".join(
        f'<figure><img alt="crop of {escape(one.window.photo)}" src="{pictures[one.window]}">'
        f"<figcaption>{one.activation:.3g}</figcaption></figure>"
        for one in found.best
    )
    name = escape(unit.objective)
    return (
        f"<section><h2>{name}</h2><dl>{rows}</dl>"
        f'<div class="pictures"><figure class="picture"><img alt="what {name} wants to see" '
        f'src="{_png(unit.image)}"><figcaption>the picture</figcaption></figure>'
        f'<figure class="picture"><img class="pixels" alt="the pixels that count" '
        f'src="{_png(unit.image, smoothed(unit.pixels))}"><figcaption>its pixels that count: '
        f"gradient × input, smoothed, as opacity</figcaption></figure>"
        f'<div><div class="photos">{best}</div><p class="caption">the crops of photos that excite it most'
        "</p></div></div></section>"
    )


def smoothed(pixels: Tensor) -> Tensor:
    """Weights `[H, W]` as people can see them: through a Gaussian, over their 99th percentile, 0..1."""
    sigma = SMOOTH * min(pixels.shape)
    found = gaussian(Held(pixels[None, None]), sigma).rows(0, pixels.shape[0])[0, 0]
    most = float(np.quantile(found.numpy(), 0.99))
    return (found / max(most, 1e-30)).clamp(0, 1)


def _png(image: Tensor, alpha: Tensor | None = None) -> str:
    pixels = _bytes(image.permute(1, 2, 0))
    if alpha is not None:
        pixels = np.concatenate((pixels, _bytes(alpha)[..., None]), -1)
    return _data(pixels, "png")


def _jpeg(image: Tensor) -> str:
    return _data(_bytes(image.permute(1, 2, 0)), "jpeg", quality=85)


def _bytes(values: Tensor) -> np.ndarray:
    return (values.clamp(0, 1) * 255).round().byte().cpu().numpy()


def _data(pixels: np.ndarray, kind: str, **how: int) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, kind, **how)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
