"""What visitors ask for, and what they are told: their own jobs and uploads, and nobody else's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from phosphene import models
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.studio import room
from phosphene.studio.manager import MAX_JOBS, MAX_MINE, Manager
from phosphene.studio.store import Store, identifier

FILMS = ("zoom", "video")
PATHS = ("guide", "mask", "weights")  # settings that name files of this machine: uploads take their place
MACHINE = ("device", "threads", "max_memory", "compile")  # those are the studio's own affair
FRAMES = 2000  # of a film
Name = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Shift = Annotated[float, Field(ge=-1, le=1)]


class Motion(BaseModel):
    """How a zoom flies, in each frame."""

    model_config = ConfigDict(extra="forbid")

    zoom: float = Field(0.05, ge=-0.5, le=0.5)
    rotate: float = Field(0.0, ge=-180, le=180)
    drift: tuple[Shift, Shift] = (0.0, 0.0)
    target: tuple[Share, Share] = (0.5, 0.5)
    easing: Literal["none", "in", "out", "in-out"] = "none"
    steady: Share = 1.0


class Asked(BaseModel):
    """A job: what to dream, on what."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    kind: Literal["dream", "visualize", "zoom", "video"] = "dream"
    settings: dict[str, Any] = Field(default_factory=dict, max_length=100)
    photo: Name | None = Field(None, description="an upload to dream on; a dream needs it, or `from`")
    mask: Name | None = Field(None, description="an upload: white is dreamed on, black is kept")
    guide: Name | None = Field(None, description="an upload to dream towards")
    size: int = Field(512, ge=16, le=4096, description="px of a side, from noise")
    from_: Name | None = Field(None, alias="from", description="a job whose picture is gone on from")
    frames: int = Field(50, ge=1, le=FRAMES, description="of a zoom")
    fps: float = Field(25.0, ge=0.1, le=60, description="of a zoom")
    motion: Motion = Motion()
    loop: bool = Field(False, description="a zoom's end flows into its beginning")
    film: Name | None = Field(None, description="the upload that a video is of")
    start: float = Field(0.0, ge=0, le=1e6, description="seconds into the film")
    end: float | None = Field(None, gt=0, le=1e6, description="seconds into the film; null = its end")
    every: int = Field(1, ge=1, le=100, description="take one still of so many")

    @classmethod
    def described(cls) -> dict[str, Any]:
        """Its JSON schema, in one piece, with `Dream`'s fields as the settings."""
        found = cls.model_json_schema()
        found["properties"]["motion"] = found.pop("$defs")["Motion"]
        settings = Dream.model_json_schema()["properties"]
        allowed = {name: value for name, value in settings.items() if name not in PATHS + MACHINE}
        found["properties"]["settings"] = {
            "type": "object",
            "properties": allowed,
            "additionalProperties": False,
        }
        return found


class Studio:
    """What visitors ask, and are told."""

    def __init__(self, store: Store, manager: Manager) -> None:
        self.store, self.manager = store, manager

    def create(self, visitor: str, body: Any) -> dict[str, Any]:
        """A new job in the queue."""
        try:
            asked = Asked.model_validate(body)
        except ValueError as error:
            raise PhospheneError("E_PARAM", str(error).replace("\n", " ")[:300]) from None
        named = [name for name in PATHS if asked.settings.get(name)]
        if named:
            raise PhospheneError("E_PARAM", f"{named[0]} names a file; upload it, and give its id")
        dream = Dream.read({name: value for name, value in asked.settings.items() if name not in PATHS})
        settings = {name: value for name, value in asked.settings.items() if name not in PATHS + MACHINE}
        models.refuse_files(dream.model, "the request")
        own = models.find(dream.model)
        uploads = {key: self._upload(key, visitor) for key in (asked.photo, asked.mask, asked.guide) if key}
        if any(one["film"] for one in uploads.values()):
            raise PhospheneError("E_PARAM", "that upload is a film; ask for a video of it")
        film = self._film(asked, visitor) if asked.kind == "video" else None
        if asked.from_:
            before = self.mine(asked.from_, visitor)
            if not self.store.file(before["id"], "png").exists():
                raise PhospheneError("E_STATE", "that dream has no picture to go on from")
        if asked.kind in FILMS and not find_spec("av"):
            raise PhospheneError("E_FORMAT", "films need PyAV and OpenCV; pip install 'phosphene[film]'")
        if asked.kind == "visualize" and asked.mask:
            raise PhospheneError("E_PARAM", "a mask needs a photo; a unit grows everywhere")
        if asked.kind == "dream" and not asked.photo and not asked.from_:
            raise PhospheneError("E_PARAM", "a dream needs a photo; upload one, or visualize from noise")
        room.check(self.store.files)
        if self.store.waiting() >= MAX_JOBS or self.store.waiting(visitor) >= MAX_MINE:
            raise PhospheneError("E_FULL", "the queue is full; wait until a dream is done")
        if dream.seed is None:
            settings["seed"] = int(identifier()[:8], 16)
        if not settings.get("objective"):
            settings["objective"] = own.guide_layer if asked.guide else own.objective
            if settings["objective"] == Dream().objective:
                del settings["objective"]
        upload = film or uploads.get(asked.photo or "")
        name, size = upload["name"] if upload else "", asked.size
        if asked.from_:
            size = before["asked"].get("size") or size
            name = f"{PurePath(before['asked'].get('name') or 'noise').stem}-dream.png"
        wanted = {**asked.model_dump(by_alias=True), "settings": settings, "name": name, "size": size}
        wanted["names"] = {part: uploads[wanted[part]]["name"] for part in ("guide", "mask") if wanted[part]}
        key = self.store.add_job(visitor, asked.kind, wanted)
        self.manager.next()
        return self.seen(self.mine(key, visitor))

    def _upload(self, key: str, visitor: str) -> dict[str, Any]:
        found = self.store.upload(key, visitor)
        if found is None:
            raise PhospheneError("E_MISSING", "there is no such upload")
        return found

    def _film(self, asked: Asked, visitor: str) -> dict[str, Any]:
        """The upload that a video is of."""
        if not asked.film:
            raise PhospheneError("E_PARAM", "a video needs a film; upload one")
        upload = self._upload(asked.film, visitor)
        if not upload["film"]:
            raise PhospheneError("E_PARAM", "that upload is no film; upload one, or ask for a zoom")
        end = min(asked.end or 1e9, upload["film"]["seconds"] or 1e9)
        if end <= asked.start:
            raise PhospheneError("E_PARAM", f"start is {asked.start}, expected less than the end, {end}")
        frames = (end - asked.start) * upload["film"]["fps"] / asked.every
        if frames > FRAMES:
            raise PhospheneError(
                "E_PARAM",
                f"that is about {frames:.0f} stills, expected at most {FRAMES}; choose a shorter part",
            )
        return upload

    def mine(self, key: str, visitor: str) -> dict[str, Any]:
        """The visitor's job; other visitors' don't exist."""
        job = self.store.job(key, visitor)
        if job is None:
            raise PhospheneError("E_MISSING", "there is no such job")
        return job

    def act(self, key: str, visitor: str, action: str) -> dict[str, Any]:
        """Pause, resume or cancel; the job after that."""
        if not self.manager.ask(self.mine(key, visitor), action):
            raise PhospheneError("E_STATE", f"the job can't {action} now")
        return self.seen(self.mine(key, visitor))

    def told(self, key: str, visitor: str) -> dict[str, Any] | None:
        """The same, for the WebSocket."""
        job = self.store.job(key, visitor)
        return None if job is None else self.seen(job)

    def seen(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job as visitors see it."""
        place = None
        if job["state"] == "queued":
            queue = [one["id"] for one in self.store.queue()]
            place = queue.index(job["id"]) + 1 if job["id"] in queue else None
        asked, progress = job["asked"], job["progress"] or {}
        return {
            **{key: progress.get(key) for key in ("octave", "octaves", "step", "steps", "score")},
            **{key: progress.get(key) for key in ("width", "height", "frame", "frames")},
            **{key: job[key] for key in ("id", "kind", "state", "created", "error")},
            "seconds": round(job["seconds"], 2),
            "place": place,
            "settings": asked["settings"],
            "photo": asked.get("photo"),
            "film": asked.get("film"),
            "from": asked.get("from"),
            "still": job["kind"] not in FILMS,
            "name": asked.get("name") or "",
            "scores": self.manager.scores.get(job["id"]) or progress.get("scores", []),
        }
