"""What the studio answers, as its OpenAPI description tells it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, JsonValue


class Error(BaseModel):
    """What went wrong, in one line."""

    code: str = Field(description="E_…, as docs/commands.md lists them")
    message: str


class Network(BaseModel):
    """One that can dream."""

    name: str
    summary: str
    objective: str = Field(description="what it dreams of where nothing is said")
    ready: bool = Field(description="whether its weights are here")


class Look(BaseModel):
    """A preset: settings by a name."""

    name: str
    summary: str
    settings: dict[str, Any]


class Setting(BaseModel):
    """One of a job's settings."""

    name: str
    type: str
    default: JsonValue
    minimum: int | float | None
    maximum: int | float | None
    choices: list[str] | None
    help: str
    group: str


class About(BaseModel):
    """All that a form for jobs is made from."""

    version: str
    device: str
    models: list[Network]
    presets: list[Look]
    fields: list[Setting]
    visualize: dict[str, Any] = Field(description="the settings that are other than usual")
    zoom: dict[str, Any] = Field(description="likewise")
    kinds: list[str] = Field(description="of jobs")
    limits: dict[str, int]


class Upload(BaseModel):
    """A picture or a film that was sent."""

    id: str
    kind: Literal["picture", "film"]
    name: str
    width: int
    height: int
    recipe: JsonValue = Field(None, description="what a picture of phosphene says of how it was made")
    frames: int | None = Field(None, description="of a film")
    seconds: float | None = None
    fps: float | None = None


class Job(BaseModel):
    """A dream: what was asked, and how far it is."""

    id: str
    kind: Literal["dream", "visualize", "zoom", "video"]
    still: bool = Field(description="whether it is a picture, not a film")
    state: Literal["queued", "running", "paused", "done", "failed", "cancelled"]
    place: int | None = Field(description="in the queue, from 1")
    settings: dict[str, Any]
    photo: str | None
    film: str | None
    from_: str | None = Field(alias="from", description="the job that it goes on from")
    name: str = Field(description="of the upload")
    created: float = Field(description="seconds since 1970")
    seconds: float = Field(description="of work")
    octave: int | None
    octaves: int | None
    step: int | None
    steps: int | None
    frame: int | None = Field(description="of a film")
    frames: int | None
    score: float | None
    scores: list[float] = Field(description="so far, thinned out to 200")
    width: int | None
    height: int | None
    error: Error | None


class Command(BaseModel):
    """The same on the command line, and in Python."""

    command: str
    python: str


class Difference(BaseModel):
    """A setting that two jobs don't share."""

    name: str
    a: JsonValue = None
    b: JsonValue = None


class Compared(BaseModel):
    """Two jobs' settings."""

    same: dict[str, Any]
    differs: list[Difference]


class Layer(BaseModel):
    """A layer of a network."""

    name: str
    kind: str
    channels: int | None
    depth: int
    height: int | None
    width: int | None
    card: bool = Field(description="whether the network's card names it")
    picture: str


class Layers(BaseModel):
    """A network's layers; not `complete` while it is being read: ask again."""

    complete: bool
    layers: list[Layer]


class Channel(BaseModel):
    """A channel of a layer."""

    channel: int
    picture: str


class Channels(BaseModel):
    """Some of a layer's channels, of `total`."""

    complete: bool
    total: int
    channels: list[Channel]


class Class(BaseModel):
    """What a network was taught to tell apart."""

    number: int
    name: str


class Classes(BaseModel):
    """Those that were found, of `total`."""

    complete: bool
    total: int
    classes: list[Class]
