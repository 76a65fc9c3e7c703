"""The studio from a program: what its page does, a script can do.

with Client("http://127.0.0.1:8347") as studio:
    job = studio.dream(studio.upload("photo.jpg"), steps=20)
    for frame in job.frames():
        print(frame.octave, frame.step, frame.score)
    job.save("dream.png")
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from phosphene.errors import PhospheneError
from phosphene.picture import atomic

OVER = ("done", "failed", "cancelled")
EVERY = 0.2  # s between two questions while waiting
LAST = 1.0  # s that the last frame of a job that is over is waited for
PLACE = ("octave", "step", "frame")
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff"}


@dataclass(frozen=True)
class Frame:
    """A job's newest picture, as a JPEG of at most 1024 px, and how far it is."""

    jpeg: bytes
    octave: int
    octaves: int
    step: int
    steps: int
    score: float
    width: int  # of the picture itself
    height: int
    frame: int | None = None  # of a film
    frames: int | None = None


class Client:
    """A visitor of the studio at `url`. Errors are `PhospheneError`s with the studio's code."""

    def __init__(self, url: str = "http://127.0.0.1:8347", token: str = "", *, timeout: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Go away; what was asked for goes on."""
        self._http.close()

    def about(self) -> dict[str, Any]:
        """The networks, the looks, the settings, the limits."""
        return dict(self.call("GET", "/api/about").json())

    def layers(self, model: str) -> list[dict[str, Any]]:
        """All layers of a network; waits while it is being read."""
        while True:
            found = self.call("GET", f"/api/models/{quote(model, safe='')}/layers").json()
            if found["complete"]:
                return list(found["layers"])
            time.sleep(EVERY)

    def channels(self, model: str, layer: str, start: int = 0, count: int = 48) -> list[dict[str, Any]]:
        """So many of a layer's channels; none while the network is being read: `layers` waits for that."""
        place = f"/api/models/{quote(model, safe='')}/layers/{quote(layer, safe='')}/channels"
        return list(self.call("GET", place, params={"from": start, "count": count}).json()["channels"])

    def classes(self, model: str, search: str = "") -> list[dict[str, Any]]:
        """The classes with this text in their names; they are known once the layers are."""
        place = f"/api/models/{quote(model, safe='')}/classes"
        return list(self.call("GET", place, params={"search": search}).json()["classes"])

    def sketch(self, unit: dict[str, Any], photo: dict[str, Any] | str = "") -> bytes:
        """The WebP of what a listed layer or channel dreams, or does to a photo; waits for it."""
        values = {"photo": _id(photo)} if photo else {}
        while (answer := self.call("GET", unit["picture"], params=values)).status_code == 202:
            time.sleep(EVERY)
        return answer.content

    def upload(self, file: str | Path | bytes, name: str = "") -> dict[str, Any]:
        """Send a picture or a film: its `id`, its size, and the recipe that it brings along."""
        try:
            content = file if isinstance(file, bytes) else Path(file).read_bytes()
        except OSError as error:
            raise PhospheneError("E_INPUT", f"{file!s}: {error.strerror}") from None
        name = name or ("" if isinstance(file, bytes) else Path(file).name)
        return dict(self.call("POST", "/api/uploads", params={"name": name}, content=content).json())

    def dream(self, photo: dict[str, Any] | str, **settings: Any) -> Job:
        """Dream on an upload."""
        return self.ask(kind="dream", photo=_id(photo), settings=settings)

    def visualize(self, objective: str, size: int = 512, **settings: Any) -> Job:
        """What a unit wants to see, from noise."""
        return self.ask(kind="visualize", size=size, settings={"objective": objective, **settings})

    def zoom(self, photo: dict[str, Any] | str, frames: int = 50, fps: float = 25.0, **settings: Any) -> Job:
        """A film that flies into an upload; `motion` as in the interface's description."""
        motion, loop = settings.pop("motion", {}), settings.pop("loop", False)
        wanted = {"frames": frames, "fps": fps, "motion": motion, "loop": loop}
        return self.ask(kind="zoom", photo=_id(photo), settings=settings, **wanted)

    def video(self, film: dict[str, Any] | str, **settings: Any) -> Job:
        """Dream on a film."""
        times = {name: settings.pop(name) for name in ("start", "end", "every") if name in settings}
        return self.ask(kind="video", film=_id(film), settings=settings, **times)

    def ask(self, **wanted: Any) -> Job:
        """Any job, as `POST /api/jobs` takes it."""
        return Job(self, self.call("POST", "/api/jobs", json=wanted).json())

    def jobs(self, limit: int = 50) -> list[Job]:
        """This visitor's, the newest first."""
        return [Job(self, one) for one in self.call("GET", "/api/jobs", params={"limit": limit}).json()]

    def job(self, name: str) -> Job:
        """One of them, by its id."""
        return Job(self, self.call("GET", f"/api/jobs/{quote(name, safe='')}").json())

    def compare(self, one: Job, other: Job) -> dict[str, Any]:
        """What is the same in two jobs' settings, and what differs."""
        return dict(self.call("GET", "/api/compare", params={"a": one.id, "b": other.id}).json())

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request; E_OFFLINE where nobody answers."""
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise PhospheneError("E_OFFLINE", f"{self.url} doesn't answer: {error}") from None
        if answer.is_error:
            try:
                told = answer.json()
                code, message = str(told["code"]), str(told["message"])
            except (ValueError, KeyError, TypeError):
                code, message = "E_REQUEST", f"{self.url} answered {answer.status_code}"
            raise PhospheneError(code, message)
        return answer

    def live(self) -> Any:
        """The WebSocket."""
        parts = urlsplit(self.url)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._http.cookies.items())}
        if bearer := self._http.headers.get("Authorization"):
            headers["Authorization"] = bearer
        address = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{parts.path}/api/live"
        return connect(address, additional_headers=headers, max_size=None)


class Job:
    """A dream that was asked for. `now` is what the studio last said of it."""

    def __init__(self, client: Client, now: dict[str, Any]) -> None:
        self.client, self.now = client, now
        self.id = str(now["id"])

    def __repr__(self) -> str:
        return f"Job({self.id!r}, {self.now['kind']}, {self.state})"

    @property
    def state(self) -> str:
        """queued, running, paused, done, failed or cancelled."""
        return str(self.now["state"])

    def refresh(self) -> Job:
        """Ask how far it is."""
        self.now = self.client.call("GET", f"/api/jobs/{self.id}").json()
        return self

    def frames(self) -> Iterator[Frame]:
        """Its pictures as they grow, the newest each time, to the last one before it is over or paused.

        Raises the fault that it failed with.
        """
        shown: tuple[Any, ...] = ()
        try:
            with self.client.live() as socket:
                socket.send(json.dumps({"type": "watch", "job": self.id}))
                while True:
                    over = self.state in (*OVER, "paused")
                    if over and shown == tuple(self.now[name] for name in PLACE):
                        break
                    try:
                        message = socket.recv(LAST if over else None)
                    except TimeoutError:
                        break
                    if isinstance(message, bytes):
                        length = int.from_bytes(message[:4], "big")
                        header = json.loads(message[4 : 4 + length])
                        socket.send(json.dumps({"type": "ack", "n": header["n"]}))
                        known = {name: header[name] for name in Frame.__dataclass_fields__ if name in header}
                        shown = tuple(header.get(name) for name in PLACE)
                        yield Frame(message[4 + length :], **known)
                    elif (told := json.loads(message)).get("id") == self.id:
                        self.now = told
        except (WebSocketException, OSError) as error:
            raise PhospheneError("E_OFFLINE", f"{self.client.url} has gone away: {error}") from None
        self._check()

    def wait(self) -> Job:
        """Until it is over; raises the fault that it failed with."""
        while self.refresh().state not in OVER:
            time.sleep(EVERY)
        self._check()
        return self

    def pause(self) -> Job:
        """Keep its state, and give the device to the next."""
        return self._act("pause")

    def resume(self) -> Job:
        """Go on."""
        return self._act("resume")

    def cancel(self) -> Job:
        """End it with what there is."""
        return self._act("cancel")

    def more(self, **settings: Any) -> Job:
        """A new job of that kind which begins where this one ended."""
        kept = {**self.now["settings"], **settings}
        return self.client.ask(kind=self.now["kind"], settings=kept, **{"from": self.id})

    def picture(self, format: str = "png", size: int = 0) -> bytes:  # noqa: A002
        """The picture as it is now; of a film, `mp4`, or its newest still."""
        values = {"format": format, "size": size}
        return self.client.call("GET", f"/api/jobs/{self.id}/picture", params=values).content

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """The picture, as its name ends, or the film, at `path`."""
        path = Path(path)
        format = "mp4" if not self.now["still"] else FORMATS.get(path.suffix.lower(), "")  # noqa: A001
        if not format or (format == "mp4") != (path.suffix.lower() == ".mp4"):
            raise PhospheneError(
                "E_FORMAT", f"{path} ends in {path.suffix!r}, expected .mp4 for films, {' '.join(FORMATS)}"
            )
        content = self.picture(format)
        with atomic.write(path, overwrite=overwrite) as file:
            file.write(content)
        return path

    def recipe(self) -> dict[str, Any]:
        """All that is needed to make it again."""
        return dict(self.client.call("GET", f"/api/jobs/{self.id}/recipe").json())

    def command(self) -> str:
        """The same on the command line."""
        return str(self.client.call("GET", f"/api/jobs/{self.id}/command").json()["command"])

    def python(self) -> str:
        """The same in Python."""
        return str(self.client.call("GET", f"/api/jobs/{self.id}/command").json()["python"])

    def remove(self) -> None:
        """Out of the gallery, with its picture; it must be over."""
        self.client.call("DELETE", f"/api/jobs/{self.id}")

    def _act(self, action: str) -> Job:
        self.now = self.client.call("POST", f"/api/jobs/{self.id}/{action}").json()
        return self

    def _check(self) -> None:
        if self.state == "failed":
            error = self.now["error"] or {}
            raise PhospheneError(error.get("code", "E_INTERNAL"), error.get("message", "the job failed"))


def _id(upload: dict[str, Any] | str) -> str:
    return upload if isinstance(upload, str) else str(upload["id"])
