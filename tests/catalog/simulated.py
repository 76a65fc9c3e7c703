"""A catalog that nobody computed: a manifest with as many units as one likes, and a few pictures."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from PIL import Image

from phosphene.catalog.record import Layer, Plan
from phosphene.catalog.store import Store
from phosphene.config import Dream

PICTURES = 40


def pictures(store: Store, size: int = 224, seed: int = 0) -> list[str]:
    """Colourful waves, as WebP with their thumbnails; their names."""
    rng, found = np.random.default_rng(seed), []
    y, x = np.mgrid[:size, :size] / size
    for _ in range(PICTURES):
        waves = [
            np.sin(a * x * 30 + b * y * 30 + c + 3 * np.sin(d * x * y * 20))
            for a, b, c, d in rng.uniform(-2, 2, (3, 4))
        ]
        image = Image.fromarray((127.5 + 127.5 * np.stack(waves, 2)).astype(np.uint8))
        data = _webp(image)
        sha = hashlib.sha256(data).hexdigest()
        store.files.write(f"images/{sha[:2]}/{sha}.webp", data)
        store.files.write(f"images/{sha[:2]}/{sha}-96.webp", _webp(image.resize((96, 96))))
        found.append(sha)
    return found


def catalog(place, layers: dict[str, int], *, model="a-network", seed=0, crops=64, top=4, size=224) -> Store:
    """A store with these layers' units: noise and photos each."""
    store = Store(str(place), make=True)
    rng = np.random.default_rng(seed)
    plan = Plan(
        model=model,
        layers=tuple(
            Layer(name=name, kind="Conv2d", channels=count, height=14, width=14, depth=n, stop=count)
            for n, (name, count) in enumerate(layers.items())
        ),
        noise=Dream(),
        photos="0" * 64,
    )
    store.begin(plan)
    shas = pictures(store, size, seed)
    with store.base:
        for name, count in layers.items():
            _layer(store, name, count, shas, rng, crops, top, size)
        store.base.execute(
            "insert into items values ('one', '', 'noise', 1, 'cpu', 1, 1, 1.0, 'here', 1, 1.0)"
        )
    return store


def _layer(store, name, count, shas, rng, crops, top, size) -> None:
    signed = rng.normal(size=(count, crops))
    signed = (signed - signed.mean(1, keepdims=True)).astype(np.float32)
    signed /= np.linalg.norm(signed, axis=1, keepdims=True)
    units, images = [], []
    for channel in range(count):
        noise, photos = (
            hashlib.sha256(f"{name}:{channel}:{kind}".encode()).hexdigest()[:32] for kind in "np"
        )
        score = float(rng.gamma(3))
        curve = np.sort(rng.gamma(2, size=257)).astype(np.float16).tobytes()
        units += [
            (0, name, channel, "noise", noise, "one", 1, score, 50 + score * 5 % 50, *[None] * 4),
            *[(0, name, channel, "photos", photos, "one", 1, None, None, 2.0, 1.4, 8.1, curve)],
        ]
        units[-1] += (signed[channel].astype(np.float16).tobytes(),)
        units[-2] += (rng.gamma(1, 0.3, 46).astype(np.float16).tobytes(),)
        images.append((0, noise, 0, "noise", shas[int(rng.integers(len(shas)))], size, size, score, ""))
        for n, role in enumerate(["top"] * top + ["bottom"] * top):
            sha = shas[int(rng.integers(len(shas)))]
            images.append((0, photos, n, role, sha, size, size, 8.0 - n, "chelsea.png,10,20,96"))
    store.base.executemany("insert into units values (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", units)
    store.base.executemany("insert into images values (?,?,?,?,?,?,?,?,?)", images)


def _webp(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "webp", quality=80)
    return file.getvalue()
