"""What passes over the socket beside what the queue tells."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from ..jobs.wire import JobMessage, NodeMessage, QueueMessage, Snapshot

Name = Annotated[str, Field(max_length=1024)]


class FileMessage(BaseModel):
    """A file was saved by `client`; `etag` None is that it was deleted or got another name."""

    type: Literal["file"] = "file"
    path: str
    etag: str | None
    client: str | None


class PresenceMessage(BaseModel):
    """How many other tabs have the file open."""

    type: Literal["presence"] = "presence"
    path: str
    others: int


Message = Annotated[
    Snapshot | QueueMessage | JobMessage | NodeMessage | FileMessage | PresenceMessage, Field(discriminator="type")
]


class Hello(BaseModel):
    """The first a page sends: the name of its tab, the job it shows, the file it has open."""

    type: Literal["hello"]
    client: Name
    watch: Name | None = None
    file: Name | None = None


class Watch(BaseModel):
    """Show this job from now on; answered with a snapshot."""

    type: Literal["watch"]
    job: Name | None


class File(BaseModel):
    """This file is open from now on."""

    type: Literal["file"]
    path: Name | None


Request = Annotated[Hello | Watch | File, Field(discriminator="type")]
REQUEST: TypeAdapter[Hello | Watch | File] = TypeAdapter(Request)
