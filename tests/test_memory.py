"""The memory plan: its arithmetic, what it chooses and refuses, and a run that runs out of memory."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from networks import branching, photo, strided
from phosphene import budget, expression, memory, tile
from phosphene.config import Dream
from phosphene.engine import dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = Dream(octaves=2, steps=2, jitter=8, seed=3)
POSTER = (1, 3000, 4000)


@pytest.fixture(scope="module")
def lens():
    return Lens(strided())


@pytest.fixture
def per_pixel(monkeypatch):
    """A process that holds 100 MB, a network that takes 1000 bytes per pixel."""
    monkeypatch.setattr(budget, "held", lambda device: 10**8)
    monkeypatch.setattr(budget, "highest", lambda device: 10**8)
    monkeypatch.setattr(budget, "free", lambda device: 10**11)
    monkeypatch.setattr(memory, "taken", lambda *_: 1000.0)


class Again(Lens):
    """A lens that takes 400 bytes per pixel where it computes activations again; the values are the same."""

    def watching(self, layers, checkpointing=False):
        self.checkpointing = checkpointing
        return super().watching(layers)


@pytest.fixture
def again(per_pixel, monkeypatch):
    monkeypatch.setattr(memory, "taken", lambda *a: 400.0 if a[-1] else 1000.0)
    return Again(strided())


def planned(lens, objective="3", size=POSTER, **settings):
    return memory.plan(expression.parse(objective).bind(lens), lens, CONFIG.but(**settings), size)


class TestWhatAGradientTakes:
    def test_is_what_autograd_keeps(self):
        """A convolution by 1: input, its copy for the network, the map, and as much on the way back."""
        lens = Lens(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()))
        parts = [expression.parse("1").bind(lens)]
        found = memory.taken(parts, lens, 0, 200, 200)
        map_, image = 8 * 4, 3 * 4
        assert 3 * map_ + 2 * image <= found <= 5 * map_ + 8 * image

    def test_does_not_depend_on_the_size(self, lens):
        parts = [expression.parse("5").bind(lens)]
        sizes = [(256, 256), (2560, 1000), (128, 128), (64, 2000)]
        found = [memory.taken(parts, lens, 0, *size) for size in sizes]
        assert max(found) < 1.05 * min(found)
        assert found[0] == pytest.approx(memory.taken(parts, lens, 0, 256, 256), rel=0.01)

    def test_nothing_stays(self):
        with memory._Counted() as counted:
            kept = torch.ones(10)
            torch.ones(1000).exp().sum()
        assert counted.now == 40 == kept.nbytes
        assert 8040 <= counted.peak <= 8100

    def test_a_view_is_counted_once(self):
        with memory._Counted() as counted:
            whole = torch.zeros(8, 8)
            parts = [whole[:4], whole.view(64), whole.T, whole.detach()]
        assert counted.now == counted.peak == 256 and parts


class TestPlan:
    def test_the_arithmetic(self, lens, per_pixel):
        found = planned(lens, tile=512, halo=32)
        crop = tile.largest(3000, 4000, tile.Plan(512, 32))
        assert found.tile == 512 and found.halo == 32
        assert 576**2 <= crop <= 640**2
        assert not found.checkpointing
        assert found.peak == int(10**8 + 4 * 144e6 + 1000 * memory.TILED * crop)

    def test_the_peak_is_never_less_than_it_was(self, lens, per_pixel, monkeypatch):
        monkeypatch.setattr(budget, "highest", lambda device: 5 * 10**9)
        assert planned(lens, max_memory="3GB").peak == 5 * 10**9

    def test_a_part_more_is_a_gradient_more(self, lens, per_pixel):
        blend, balance = "3 + 5", {"tile": 512}
        more = planned(lens, blend, **balance).peak - planned(lens, blend, balance=False, **balance).peak
        assert more == 144e6

    def test_the_largest_tile_that_fits(self, lens, per_pixel):
        tiles = [planned(lens, max_memory=size).tile for size in ("10GB", "2GB", "1.2GB", "900MB")]
        assert tiles[0] == max(memory.TILES)
        assert tiles == sorted(set(tiles), reverse=True)
        for size in ("2GB", "1.2GB", "900MB"):
            assert planned(lens, max_memory=size).peak <= budget.parsed(size)

    def test_small_pictures_are_whole_and_not_measured(self, lens, monkeypatch):
        monkeypatch.setattr(memory, "taken", lambda *_: pytest.fail("measured"))
        monkeypatch.setattr(budget, "free", lambda device: 10**11)
        found = memory.plan(expression.parse("3").bind(lens), lens, CONFIG, (1, 300, 450), measure=False)
        assert found.tile == 480
        assert tile.plan(300, 450, found.tile, found.halo, True) == tile.Plan()

    def test_small_pictures_are_tiled_where_memory_is_short(self, lens, per_pixel):
        assert planned(lens, size=(1, 900, 900), max_memory="500MB").tile < 900

    def test_large_pictures_are_tiled_in_any_case(self, lens, per_pixel):
        assert planned(lens).tile == max(memory.TILES)

    def test_the_dtype_and_the_halo_are_never_touched(self, lens, per_pixel):
        assert planned(lens, max_memory="1.2GB", halo=96).halo == 96

    @pytest.mark.parametrize("size", ["1kB", "500MB"])
    def test_a_budget_that_nothing_fits_is_refused(self, lens, per_pixel, size):
        with pytest.raises(
            PhospheneError, match=r"tiles of 64 px would take .*--max-memory.*--max-size"
        ) as e:
            planned(lens, max_memory=size)
        assert e.value.code == "E_MEMORY"

    def test_a_tile_over_the_budget_is_refused(self, lens, per_pixel):
        with pytest.raises(PhospheneError, match=r"a smaller --tile") as caught:
            planned(lens, max_memory="1GB", tile=1024)
        assert caught.value.code == "E_MEMORY"

    @pytest.mark.parametrize("objective", ["5:1@3,4", "head:2"])
    def test_scores_that_do_not_add_up_are_whole_or_refused(self, per_pixel, objective):
        lens = Lens(branching()) if "head" in objective else Lens(strided())
        assert planned(lens, objective, max_memory="20GB").tile == tile.whole(3000, 4000)
        with pytest.raises(PhospheneError, match=r"as a whole.* would take .*doesn't add up") as caught:
            planned(lens, objective, max_memory="2GB")
        assert caught.value.code == "E_MEMORY"

    def test_what_transforms_make_of_a_picture_is_counted_and_whole(self, lens, per_pixel):
        assert planned(lens, max_memory="20GB", transforms="jitter(8)").tile == tile.whole(3000, 4000)
        plain, padded = (
            planned(lens, max_memory="200GB", transforms=text).peak for text in ("noise(0.1)", "pad(500)")
        )
        assert padded - plain == pytest.approx(memory.SLACK * 1000 * (4000 * 5000 - 3000 * 4000), rel=1e-6)
        for more in ({"max_memory": "5GB"}, {"transforms": "crops(1024, 4096)"}, {"tile": 512}):
            with pytest.raises(
                PhospheneError, match=r"with transforms, which are .*, it isn't tiled"
            ) as caught:
                planned(lens, **{"transforms": "pad(4096), pad(4096)", **more})
            assert caught.value.code == "E_MEMORY"

    def test_a_small_picture_with_large_transforms_is_refused_before_the_first_step(self, lens):
        with pytest.raises(PhospheneError) as caught:
            next(dream(photo(1, 3, 48, 48), "5", lens, CONFIG.but(transforms="crops(1024, 4096)")))
        assert caught.value.code == "E_MEMORY"


class TestCheckpointing:
    def test_is_chosen_where_only_tiny_tiles_fit(self, again, monkeypatch):
        monkeypatch.setattr(memory, "taken", lambda *a: 1000.0 if a[-1] else 3000.0)
        assert not planned(again, max_memory="4GB").checkpointing
        found = planned(again, max_memory="900MB")
        assert found.checkpointing and found.tile > 200
        assert found.peak <= budget.parsed("900MB")

    def test_the_way_with_the_least_work_comes_first(self):
        """A tile of 1024 px in a crop of 1152 is 1.27 times the work; computing again, twice."""
        ways = memory._ways(CONFIG, 10240, 10240, True)
        assert ways[0] == (1024, False)
        assert ways.index((1024, True)) < ways.index((192, False))
        assert ways.index((512, False)) < ways.index((1024, True))

    def test_makes_a_score_fit_that_does_not_add_up(self, again):
        whole = tile.whole(3000, 4000)
        for limit, checkpointing in (("20GB", False), ("8GB", True)):
            found = planned(again, "5:1@3,4", max_memory=limit)
            assert (found.tile, found.checkpointing) == (whole, checkpointing)
        with pytest.raises(PhospheneError, match=r"computed again, would take .*doesn't add up") as caught:
            planned(again, "5:1@3,4", max_memory="5GB")
        assert caught.value.code == "E_MEMORY"

    def test_may_be_asked_for(self, again):
        assert planned(again, checkpointing=True, max_memory="20GB").checkpointing

    def test_a_run_carries_it_and_goes_on_with_it(self, again):
        image = photo(1, 3, 97, 131)
        frames = list(dream(image, "5", again, CONFIG.but(checkpointing=True)))
        assert again.checkpointing and all(frame.config.checkpointing for frame in frames)
        *_, last = dream(image, "5", Lens(strided()), CONFIG)
        assert torch.equal(frames[-1].image, last.image)
        again.checkpointing = False
        *_, last = dream(image, "5", again, CONFIG, resume=frames[1].state())
        assert again.checkpointing and torch.equal(frames[-1].image, last.image)


class TestARun:
    def test_carries_its_plan(self, lens, monkeypatch):
        monkeypatch.setattr(memory, "TILES", (64, 32))
        monkeypatch.setattr(tile, "WHOLE", 0)
        image = photo(1, 3, 97, 131)
        chosen = [frame.config for frame in dream(image, "3", lens, CONFIG)]
        assert {(config.tile, config.halo) for config in chosen} == {(64, 64)}
        *_, again = dream(image, "3", lens, CONFIG.but(tile=64))
        *_, first = dream(image, "3", lens, CONFIG)
        assert torch.equal(again.image, first.image)

    def test_resumes_with_the_same_plan(self, lens, monkeypatch):
        image = photo(1, 3, 97, 131)
        with monkeypatch.context() as patch:
            patch.setattr(memory, "TILES", (64, 32))
            patch.setattr(tile, "WHOLE", 0)
            frames = list(dream(image, "5", lens, CONFIG))
        *_, last = dream(image, "5", lens, CONFIG, resume=frames[1].state())
        assert last.config.tile == 64 and torch.equal(last.image, frames[-1].image)

    def test_an_impossible_budget_ends_before_the_first_step(self, lens):
        with pytest.raises(PhospheneError, match="--max-memory") as caught:
            next(dream(photo(1, 3, 97, 131), "3", lens, CONFIG.but(max_memory="1MB")))
        assert caught.value.code == "E_MEMORY"


class Strained(nn.Module):
    """Raises `error` forward or backward where the picture is larger than `room`, or the first `times`."""

    def __init__(self, error, room=0, times=0, backward=False):
        super().__init__()
        self.error, self.room, self.times, self.backward = error, room, times, backward

    def strain(self, x):
        self.times -= 1
        if self.times >= 0 or (self.room and x.shape[-1] * x.shape[-2] > self.room):
            raise self.error
        return x

    def forward(self, x):
        if self.backward and x.requires_grad:
            x = x.clone()
            x.register_hook(self.strain)
            return x
        return self.strain(x)


OUT = [
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
    RuntimeError("std::bad_alloc"),
]


class TestOutOfMemory:
    @pytest.mark.parametrize("backward", [False, True])
    @pytest.mark.parametrize("error", OUT, ids=lambda error: str(error)[:20])
    def test_halves_the_tile_and_goes_on(self, error, backward):
        network = nn.Sequential(Strained(error, room=210**2, backward=backward), *strided())
        image = photo(1, 3, 300, 330)
        config = CONFIG.but(halo=16)
        frames = list(dream(image, "4", Lens(network), config))
        assert len(frames) == 4
        assert {frame.config.tile for frame in frames} == {128}
        assert [bool(frame.notes) for frame in frames] == [True, False, False, False]
        assert frames[0].notes[0] == "out of memory; going on with --tile 128"
        *_, plain = dream(image, "3", Lens(strided()), config.but(tile=128))
        assert torch.equal(frames[-1].image, plain.image)

    def test_a_resumed_run_stays_with_the_smaller_tile(self):
        network = nn.Sequential(Strained(OUT[0], room=210**2), *strided())
        frames = list(dream(photo(1, 3, 300, 330), "4", Lens(network), CONFIG.but(halo=16)))
        again = dream(
            photo(1, 3, 300, 330), "4", Lens(network), CONFIG.but(halo=16), resume=frames[1].state()
        )
        *_, last = again
        assert torch.equal(last.image, frames[-1].image)

    def test_is_given_up_where_tiles_are_small(self):
        lens = Lens(nn.Sequential(Strained(OUT[0], room=1), *strided()))
        with pytest.raises(MemoryError):
            next(dream(photo(1, 3, 300, 330), "4", lens, CONFIG.but(tile=128)))

    def test_a_score_that_does_not_add_up_is_not_tiled(self):
        lens = Lens(nn.Sequential(Strained(OUT[1], room=210**2), *strided()))
        with pytest.raises(PhospheneError) as caught:
            next(dream(photo(1, 3, 300, 330), "4:1@2,2", lens, CONFIG.but(octaves=1)))
        assert caught.value.code == "E_MEMORY"

    def test_other_errors_pass(self):
        lens = Lens(nn.Sequential(Strained(RuntimeError("something else"), room=210**2), *strided()))
        with pytest.raises(PhospheneError, match="something else"):
            next(dream(photo(1, 3, 300, 330), "4", lens, CONFIG))


RUN = """
import sys
import torch
from phosphene import engine, expression, memory, models
from phosphene.config import Dream

height, width, config = int(sys.argv[1]), int(sys.argv[2]), Dream.from_json(sys.argv[3])
torch.set_num_threads(1)
lens = models.load(config.model)
image = torch.rand(1, 3, height, width)
planned = memory.plan(
    expression.parse(config.objective).bind(lens), lens, config, (1, height, width), photo_held=True
)
for frame in engine.dream(image, config.objective, lens, config):
    assert frame.config.tile == planned.tile
with open("/proc/self/status") as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
print(planned.tile, planned.peak, peak)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize(("height", "width", "limit"), [(450, 600, "20GB"), (800, 900, "1.1GB")])
def test_the_prediction_is_what_a_process_takes(height, width, limit):
    config = Dream(octaves=1, steps=2, seed=0, device="cpu", max_memory=limit)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(height), str(width), config.to_json()], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    side, predicted, taken = (int(number) for number in done.stdout.split())
    taken *= 1024
    assert limit != "20GB" or side == tile.whole(height, width)
    assert 0.8 * taken < predicted < 1.2 * taken
    assert max(taken, predicted) <= budget.parsed(limit)
