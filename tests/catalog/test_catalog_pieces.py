"""A film and photos spread over workers are those that one makes; here without a cluster."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import av
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cli"))

from tiny import QUICK, make_photo  # noqa: E402

from phosphene.catalog.executor import Failure  # noqa: E402
from phosphene.cli import main, pieces  # noqa: E402
from phosphene.errors import PhospheneError  # noqa: E402

LOSSLESS = [*QUICK, "--codec", "ffv1"]


class Inline:
    """An executor of one worker, in this process; the items in `bad` fail."""

    slots = 1

    def __init__(self, task, settings, bad=()):
        self.task, self.bad, self.items, self.done = task(**settings), bad, [], []

    def submit(self, item):
        self.items.append(item)

    def wait(self):
        item = self.items.pop(0)
        if Path(item["piece"]).name in self.bad:
            yield item, Failure("E_WORKER", "the worker died")
            return
        self.done.append(Path(item["piece"]).name)
        yield item, self.task.do(item)


@pytest.fixture
def film(tmp_path, monkeypatch):
    """Three scenes of six stills, five in a second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with av.open("film.mp4", "w") as out:
        stream = out.add_stream("libx264", rate=5, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for scene in range(3):
            coarse = np.random.default_rng(scene).integers(0, 256, (8, 14, 3), dtype=np.uint8)
            wide = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
            for number in range(6):
                pixels = np.ascontiguousarray(wide[:, number : number + 96])
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(stream.encode(None))
    return "film.mp4"


@pytest.fixture
def workers(monkeypatch):
    """`workers.bad` fail; `workers.used` are the executors that there were."""
    found = type("Workers", (), {"bad": (), "used": []})()

    def hired(task, settings, dream, spread, most):
        found.used.append(Inline(task, settings, found.bad))
        return nullcontext(found.used[-1])

    monkeypatch.setattr(pieces, "workers", hired)
    return found


def stills(path):
    with av.open(path) as film:
        return [(frame.pts * frame.time_base, frame.to_ndarray()) for frame in film.decode(video=0)]


@pytest.mark.usefixtures("one_thread")
def test_pieces_are_the_film_and_a_lost_one_is_made_later(film, workers, capfd):
    workers.bad = ("00001.mkv",)
    spread = ["video", film, "-o", "spread.mkv", "--ray", "auto", *LOSSLESS]
    assert main(spread) == 1
    assert "00001.mkv: E_WORKER: the worker died" in capfd.readouterr().err
    assert not Path("spread.mkv").exists() and Path("spread.mkv.pieces", "00002.mkv").is_file()
    assert main([*spread, "--strength", "3"]) == 2
    assert "pieces of another dream" in capfd.readouterr().err
    workers.bad = ()
    assert main([*spread, "--json"]) == 0
    assert [one.done for one in workers.used] == [["00000.mkv", "00002.mkv"], ["00001.mkv"]]
    end = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (end["output"], end["frames"], end["pieces"]) == ("spread.mkv", 18, 3)
    assert not Path("spread.mkv.pieces").exists()
    assert main(["video", film, "-o", "alone.mkv", *LOSSLESS]) == 0
    one, other = stills("spread.mkv"), stills("alone.mkv")
    assert [at for at, _ in one] == [at for at, _ in other]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(one, other, strict=True))
    with av.open("spread.mkv") as made:
        (comment,) = [text for name, text in made.metadata.items() if name.lower() == "comment"]
        assert json.loads(comment)["command"] == "video"


@pytest.mark.usefixtures("one_thread")
def test_photos_by_processes_of_this_machine(tmp_path, monkeypatch, capfd):
    """The same pictures, and those that are there are left."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    Path("photos").mkdir()
    names = [str(make_photo(f"photos/{number}.png", seed=number)) for number in range(3)]
    assert main(["dream", *names, "-o", "alone/", *QUICK]) == 0
    capfd.readouterr()
    for expected in (3, 0):
        assert main(["dream", "photos", "-o", "out/", *QUICK, "--workers", "2"]) == 0
        assert len(capfd.readouterr().out.splitlines()) == expected
    for path in Path("alone").iterdir():
        assert Path("out", path.name).read_bytes() == path.read_bytes()


def test_a_drawn_seed_is_kept_for_the_next_run(tmp_path):
    folder = tmp_path / "film.mp4.pieces"
    assert pieces.begun_with(str(tmp_path / "film.mp4")) is None
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps({"made by": {"seed": 7}, "pieces": []}))
    assert pieces.begun_with(str(tmp_path / "film.mp4")) == 7


def test_pieces_are_films(film, workers, capfd):
    assert main(["video", film, "-o", "spread.gif", "--ray", "auto", *QUICK]) == 2
    assert "several workers make .mp4" in capfd.readouterr().err


def test_a_folder_that_the_node_has_not(tmp_path):
    with pytest.raises(PhospheneError, match="a folder that all nodes have") as caught:
        pieces.Here(str(tmp_path / "gone"), {})
    assert caught.value.code == "E_INPUT"
