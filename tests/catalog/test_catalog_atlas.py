"""The activation atlas: cells where activations lie, their directions, and the page that shows them."""

import json

import numpy as np
import pytest

from phosphene.catalog import atlas
from phosphene.catalog.store import Store
from phosphene.cli import main
from phosphene.errors import PhospheneError

pytest.importorskip("umap")


def clouds(counts=(60, 60, 60)):
    """Activations around three directions of eight channels."""
    random = np.random.RandomState(3)
    return np.concatenate(
        [np.eye(8)[2 * n] * 5 + random.normal(0, 0.3, (count, 8)) for n, count in enumerate(counts)]
    ).astype(np.float32)


def test_cells_are_the_means_of_what_lies_in_them():
    values = clouds()
    found = atlas.chart(values, 8)
    points = atlas.layout(values)
    assert points.min() >= 0 and points.max() <= 1 and set(found.side) == {4, 8}
    for n in range(len(found.count)):
        side = found.side[n]
        places = np.minimum((points * side).astype(int), side - 1)
        inside = (places[:, 0] == found.column[n]) & (places[:, 1] == found.row[n])
        assert inside.sum() == found.count[n] >= 2
        assert np.allclose(found.vectors[n], values[inside].mean(0) - values.mean(0), atol=1e-4)


@pytest.mark.parametrize(
    ("cells", "sides"), [(20, {5, 10, 20}), (16, {4, 8, 16}), (6, {4, 6}), (4, {4}), (2, {2})]
)
def test_grids_get_finer_and_none_is_coarse(cells, sides, monkeypatch):
    monkeypatch.setattr(atlas, "layout", lambda values: np.linspace(0, 1, 2 * len(values)).reshape(-1, 2))
    assert set(atlas.chart(clouds(), cells).side) == sides


def test_alike_lies_together():
    points = atlas.layout(clouds())
    groups = [points[start : start + 60] for start in (0, 60, 120)]
    centres = [group.mean(0) for group in groups]
    inner = max(
        np.linalg.norm(group - centre, axis=1).mean() for group, centre in zip(groups, centres, strict=True)
    )
    outer = min(np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert outer > 2 * inner


def test_a_chart_comes_back_as_it_was():
    found = atlas.chart(clouds(), 4)
    data = found.to_bytes()
    assert atlas.Chart.from_bytes(data).to_bytes() == data == atlas.chart(clouds(), 4).to_bytes()


def test_too_few_activations_are_told():
    with pytest.raises(PhospheneError) as caught:
        atlas.chart(np.zeros((20, 4), np.float32), 64)
    assert caught.value.code == "E_PARAM"


def test_an_atlas_in_a_catalog(tmp_path):
    site = tmp_path / "site"
    typed = ["catalog", "efficientnet_lite0", "-o", str(site), "--layers", "blocks.0.0", "--units", "0:1"]
    typed += ["--atlas", "blocks.2.1", "--cells", "4", "--crops", "48", "--size", "32", "--steps", "2"]
    assert main([*typed, "--workers", "1", "--quiet"]) == 0
    data = json.loads((site / "data" / "atlas-0-0.js").read_text().partition(",")[2].rpartition(")")[0])
    assert data["layer"] == "blocks.2.1" and [level["side"] for level in data["levels"]] == [4]
    cells = [cell for level in data["levels"] for cell in level["cells"]]
    assert all((site / "images" / sha[:2] / f"{sha}.webp").exists() and wide == 96 for *_, sha, wide in cells)
    (file,) = (site / "atlas").iterdir()
    drawn = atlas.Chart.from_bytes(file.read_bytes())
    assert [cell[:3] for cell in cells] == np.stack([drawn.column, drawn.row, drawn.count], 1).tolist()
    assert 24 < drawn.count.sum() <= 48
    index = (site / "data" / "index.js").read_text()
    assert '"atlases":["blocks.2.1"]' in index and "atlas:" not in index
    store = Store(str(site))
    before = [tuple(row) for row in store.base.execute("select name, finished from items order by name")]
    store.close()
    assert main([*typed, "--workers", "1", "--quiet"]) == 0
    store = Store(str(site))
    assert [
        tuple(row) for row in store.base.execute("select name, finished from items order by name")
    ] == before
    store.close()
