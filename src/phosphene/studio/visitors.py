"""What visitors ask for, and what they are told: their own jobs and uploads, and nobody else's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from phosphene import models
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.studio.manager import MAX_JOBS, MAX_MINE, Manager
from phosphene.studio.store import Store, identifier

PATHS = ("guide", "mask", "weights")  # settings that name files of this machine: uploads take their place
Name = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Asked(BaseModel):
    """A job: what to dream, on what."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    kind: Literal["dream", "visualize"] = "dream"
    settings: dict[str, Any] = Field(default_factory=dict, max_length=100)
    photo: Name | None = None
    mask: Name | None = None
    guide: Name | None = None
    size: int = Field(512, ge=16, le=4096)
    from_: Name | None = Field(None, alias="from")


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
        settings = {name: value for name, value in asked.settings.items() if name not in PATHS}
        dream = Dream.read(settings)
        models.refuse_code(dream.model, "the request")
        models.find(dream.model)
        for key in (asked.photo, asked.mask, asked.guide):
            if key and self.store.upload(key, visitor) is None:
                raise PhospheneError("E_MISSING", "there is no such upload")
        if asked.from_:
            before = self.mine(asked.from_, visitor)
            if not self.store.file(before["id"], "png").exists():
                raise PhospheneError("E_STATE", "that dream has no picture to go on from")
        if asked.kind == "dream" and not asked.photo and not asked.from_:
            raise PhospheneError("E_PARAM", "a dream needs a photo; upload one, or visualize from noise")
        if self.store.waiting() >= MAX_JOBS or self.store.waiting(visitor) >= MAX_MINE:
            raise PhospheneError("E_FULL", "the queue is full; wait until a dream is done")
        if dream.seed is None:
            settings["seed"] = int(identifier()[:8], 16)
        upload = self.store.upload(asked.photo, visitor) if asked.photo else None
        wanted = {
            **asked.model_dump(by_alias=True),
            "settings": settings,
            "name": upload["name"] if upload else "",
        }
        key = self.store.add_job(visitor, asked.kind, wanted)
        self.manager.next()
        return self.seen(self.mine(key, visitor))

    def mine(self, key: str, visitor: str) -> dict[str, Any]:
        """The visitor's job; other visitors' don't exist."""
        job = self.store.job(key, visitor)
        if job is None:
            raise PhospheneError("E_MISSING", "there is no such job")
        return job

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
            **{key: progress.get(key) for key in ("width", "height")},
            **{key: job[key] for key in ("id", "kind", "state", "created", "error")},
            "seconds": round(job["seconds"], 2),
            "place": place,
            "settings": asked["settings"],
            "photo": asked.get("photo"),
            "from": asked.get("from"),
            "name": asked.get("name") or "",
            "scores": self.manager.scores.get(job["id"], []),
        }
