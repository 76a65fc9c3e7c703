"""What every test has: no network, no deadlines, and one thread for those that ask."""

import atexit
import importlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


WORKER = 3 * 2**30  # bytes, of a process of tests and what it begins
GUARD = Path(__file__).parent / "guard"
if "PYTEST_XDIST_WORKER" in os.environ:  # several at once: threads that wait for each other would spin
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # a pool takes longer to begin than to compile
LOG = Path(tempfile.mkdtemp(prefix="phosphene-tests-"), "network")
atexit.register(shutil.rmtree, LOG.parent, ignore_errors=True)
os.environ["TESTS_NETWORK_LOG"] = str(LOG)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(GUARD), os.environ.get("PYTHONPATH")]))
importlib.import_module("guard.sitecustomize")


def pytest_xdist_auto_num_workers(config):
    """One more than there are processors, as a third of the time is waiting, if there is memory for it."""
    room = psutil.virtual_memory().available // WORKER
    return max(1, min((os.cpu_count() or 1) + 1, room, 4))


@pytest.fixture(autouse=True)
def no_network():
    """A test that asks for anything beyond this machine fails, whatever became of its question."""
    yield
    if LOG.exists():
        asked = LOG.read_text()
        LOG.unlink()
        pytest.fail(f"no network in tests:\n{asked}", pytrace=False)


@pytest.fixture(autouse=True)
def no_plugins_left():
    """What a test, or a snippet of the docs, adds to this process isn't there for the next."""
    yield
    from phosphene import plugins

    plugins._of_this_program.clear()
    plugins.used.clear()


@pytest.fixture
def one_thread():
    """Small networks are quickest on one thread, above all on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
