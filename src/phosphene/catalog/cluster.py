"""Workers on a Ray cluster: actors that load once. The only module that imports Ray.

A worker has one item at a time, so that it is known which one it died of: that costs the item a try. A
node that is lost costs nobody a try. Nothing waits at a worker that is still starting, so a cluster that is
smaller than was asked for, or that grows, is used as it is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phosphene.catalog.crews import Crew, crews_for
from phosphene.catalog.executor import Failure, told
from phosphene.catalog.pulse import Pulse, answers, none_at
from phosphene.errors import PhospheneError

AUTO = "auto"
STARTS = 3  # deaths of a worker while it starts, in a row, after which there is none
MOVES = 5  # lost nodes after which an item is taken for their end
PATIENCE = 0.5  # s that `wait` waits at most before it gives its caller the word
STORE = 200_000_000  # bytes of a local cluster's object store, which holds no pictures
QUIET = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # else it is told that nothing is to be told
    "RAY_DEDUP_LOGS": "0",
}


@dataclass
class _Hand:
    """A worker, and what it is at."""

    crew: Crew
    actor: Any
    starting: Any  # the reference to what `start` gives; None when it has
    node: str = ""
    host: str = ""
    doing: Any = None  # the reference to what `do` gives
    item: Any = None


class Worker:
    """What runs in an actor. Its methods give (True, result) or (False, code, text)."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(threads)

    def start(self, task: Callable[..., Any], settings: Mapping[str, Any], folder: str) -> tuple[Any, ...]:
        """Load, in the driver's `folder` where the node has it. `task` comes here and not above so that
        what it imports finds the threads set.
        """

        def load() -> dict[str, str]:
            import ray

            with contextlib.suppress(OSError):
                os.chdir(folder)
            self.task = task(**settings)
            if torch := sys.modules.get("torch"):
                torch.set_num_threads(self.threads)
            return {"node": ray.get_runtime_context().get_node_id(), "host": socket.gethostname()}

        return told(load)

    def do(self, item: Any) -> tuple[Any, ...]:
        return told(lambda: self.task.do(item))


class Cluster:
    """An Executor on Ray. `address` is "auto" (the cluster that runs, else one on this machine) or a
    cluster's; `workers` so many, 0 for all that there is room for; `most` is how many there are to
    do; for the rest see `crews_for`. E_FORMAT without Ray, E_DEVICE where there is no such cluster.
    """

    def __init__(
        self,
        task: Callable[..., Any],
        settings: Mapping[str, Any],
        *,
        address: str = AUTO,
        workers: int = 0,
        most: int = 0,
        threads: int = 1,
        share: float = 1.0,
        device: str = "auto",
        crews: Sequence[Crew] = (),
    ) -> None:
        self.ray = imported()
        self.mine = joined(self.ray, address, workers * threads)
        self.pulse, self.lost = _pulse(self.ray), False
        self.settings, self.threads = dict(settings), threads
        self.starts = 0  # workers that died while they started, since one didn't
        self.moves: dict[int, int] = {}
        self.queue: deque[Any] = deque()
        self.task = self.ray.put(task)
        crews = crews or crews_for(
            self.ray.cluster_resources(), workers, most=most, threads=threads, share=share, device=device
        )
        self.hands = [self._hired(crew) for crew in crews for _ in range(crew.count)]
        self.slots = len(self.hands)

    def submit(self, item: Any) -> None:
        self.queue.append(item)
        self._feed()

    def wait(self) -> Iterator[tuple[Any, Any]]:
        """What has been done, after half a second at most; nothing if that was nothing.

        Raises what kept the workers from starting if none is left, and E_WORKER where the cluster is gone.
        """
        try:
            self.pulse.check()
        except PhospheneError:
            self.lost = True
            raise
        pending = {hand.starting or hand.doing: hand for hand in self.hands if hand.starting or hand.doing}
        if not pending:
            return
        done, _ = self.ray.wait(list(pending), num_returns=1, timeout=PATIENCE)
        if done:
            done, _ = self.ray.wait(list(pending), num_returns=len(pending), timeout=0)
        found = [one for ref in done for one in self._taken(pending[ref])]
        self._feed()
        yield from found

    def close(self) -> None:
        """End the workers, whatever they are at, and a cluster that was begun for them."""
        for hand in self.hands if not self.lost else ():
            self.ray.kill(hand.actor)
        self.hands.clear()
        if self.mine or self.lost:
            self.ray.shutdown()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hired(self, crew: Crew) -> _Hand:
        remote = self.ray.remote(num_cpus=crew.cpus, num_gpus=crew.gpus, max_restarts=0, max_task_retries=0)
        actor, settings = remote(Worker).remote(self.threads), {**self.settings, **crew.more}
        return _Hand(crew, actor, actor.start.remote(self.task, settings, str(Path.cwd())))

    def _feed(self) -> None:
        for hand in self.hands:
            if self.queue and not hand.starting and not hand.doing:
                hand.item = self.queue.popleft()
                hand.doing = hand.actor.do.remote(hand.item)

    def _taken(self, hand: _Hand) -> Iterator[tuple[Any, Any]]:
        """What one worker has to say."""
        if hand.starting:
            self._started(hand)
            return
        try:
            good, *said = self.ray.get(hand.doing)
        except self.ray.exceptions.RayError as error:
            yield from self._died(hand, error)
            return
        hand.doing = None
        self.moves.pop(id(hand.item), None)
        yield hand.item, said[0] if good else Failure(*said)

    def _started(self, hand: _Hand) -> None:
        try:
            good, *said = self.ray.get(hand.starting)
        except self.ray.exceptions.RayError as error:
            self.starts += 1
            if self.starts < STARTS * len(self.hands):
                self._replace(hand)
                return
            good, said = False, ["E_WORKER", f"workers die while they start: {_line(error)}"]
        if good:
            hand.starting, self.starts = None, 0
            hand.node, hand.host = said[0]["node"], said[0]["host"]
            return
        self.ray.kill(hand.actor)
        self.hands.remove(hand)
        self.slots = len(self.hands)
        if not self.hands:
            raise PhospheneError(*said)

    def _died(self, hand: _Hand, error: Exception) -> Iterator[tuple[Any, Any]]:
        """An item's worker is gone."""
        item = hand.item
        lost = not any(node["Alive"] for node in self.ray.nodes() if node["NodeID"] == hand.node)
        self.moves[id(item)] = self.moves.get(id(item), 0) + lost
        self._replace(hand)
        if lost and self.moves[id(item)] < MOVES:
            self.queue.appendleft(item)
            return
        self.moves.pop(id(item), None)
        yield item, Failure("E_WORKER", f"the worker on {hand.host} died: {_line(error)}")

    def _replace(self, hand: _Hand) -> None:
        self.ray.kill(hand.actor)
        self.hands[self.hands.index(hand)] = self._hired(hand.crew)


def imported() -> Any:
    """Ray, quiet; E_FORMAT where it isn't installed."""
    if importlib.util.find_spec("ray") is None:
        raise PhospheneError("E_FORMAT", "Ray isn't installed; pip install 'phosphene[ray]'")
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray
    import ray.exceptions
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):  # it writes into what we print, whatever `log_to_driver` says
        worker.print_to_stdstream = _silent
    return ray


def _silent(*_: object, **__: object) -> None: ...


def joined(ray: Any, address: str, cpus: int = 0) -> bool:
    """Join the cluster; whether that was done here, and so is to be undone here."""
    if ray.is_initialized():
        return False
    place = running() if address == AUTO else address
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if place:
            answers(place)
            ray.init(address=place, log_to_driver=False, logging_level=logging.ERROR)
        else:
            _begun(ray, cpus)
    except PhospheneError:
        raise
    except Exception as error:  # a raylet that is too slow to come up is a bare Exception
        raise none_at(place or "local", _line(error)) from None
    finally:
        if threading.current_thread() is threading.main_thread():  # Ray puts its own in their place
            for number, handler in before.items():
                signal.signal(number, handler)
    return True


def _begun(ray: Any, cpus: int, tries: int = 2) -> None:
    """A cluster of this machine alone; once more where it was too busy for a raylet to come up in time."""
    alone = {"num_cpus": cpus or None, "object_store_memory": STORE, "include_dashboard": False}
    try:
        ray.init(address="local", **alone, log_to_driver=False, logging_level=logging.ERROR)
    except Exception:
        ray.shutdown()
        if tries == 1:
            raise
        _begun(ray, cpus, tries - 1)


def _pulse(ray: Any) -> Pulse:
    """Of the cluster that was joined."""
    from ray._private import worker

    node = worker.global_worker.node
    door = str(getattr(node, "raylet_socket_name", "") or "") if os.name == "posix" else ""
    return Pulse(ray.get_runtime_context().gcs_address, door)


def running() -> str:
    """The address of the cluster that was begun on this machine, or that RAY_ADDRESS names; '' for none.

    Ray would also take whichever it finds, anybody's.
    """
    from ray._private.utils import read_ray_address

    named = os.environ.get("RAY_ADDRESS", "")
    if named not in ("", AUTO, "local"):
        return named
    found = read_ray_address() if named != "local" else ""
    try:
        answers(found or "")
    except PhospheneError:  # it has ended
        return ""
    return str(found)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
