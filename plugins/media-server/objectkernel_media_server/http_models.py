"""What the routes take and answer, for the document of the API; the routes themselves are framework-free."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

Status = Literal["uploading", "processing", "ready", "failed", "deleted"]
MediaId = Annotated[str, Path(description="The id of a recording")]
UploadId = Annotated[str, Path(description="The id of an upload")]


class _Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Recording(_Shape):
    """A recording."""

    id: str
    account_id: str
    owner_email: str | None
    bucket: str
    key: str
    mime_type: str
    size_bytes: int
    duration_ms: int | None
    kind: Literal["video", "audio", "image", "other"]
    status: Status
    session_id: str | None
    take_index: int | None
    checksum: Annotated[str | None, Field(description="SHA-256 in hexadecimal")]
    metadata: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime | None


class LinkedRecording(_Shape):
    """A recording, and a link to its content."""

    row: Recording
    signed_url: str
    signed_url_expires_at: datetime


class RecordingPage(_Shape):
    """Some recordings of a longer list."""

    items: list[Recording]
    next_cursor: Annotated[str | None, Field(description="Gets the rest, given as `after`; null at the end")]


class PageParameters(_Shape):
    """Which recordings."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")
    status: Annotated[list[Status], Field(default_factory=list, description="One or several; by default ready")]
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str | None, Field(max_length=2000)] = None


class ListParameters(PageParameters):
    """Which recordings of the account."""

    session_id: Annotated[str | None, Field(max_length=200)] = None


class LinkParameters(_Shape):
    """What link."""

    model_config = ConfigDict(extra="forbid")
    ttl: Annotated[float | None, Field(gt=0, le=7 * 24 * 3600, description="Seconds; by default as configured")] = None


class RawParameters(_Shape):
    """What is said of a recording whose bytes are the body."""

    mime_type: Annotated[str, Field(description="By default the Content-Type")] = ""
    duration_ms: float | None = None
    session_id: str | None = None
    take_index: int | None = None
    sha256: str | None = None


class RecordingForm(_Shape):
    """A form with a recording."""

    blob: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]
    mime_type: str = ""
    duration_ms: float | None = None
    session_id: str | None = None
    take_index: int | None = None
    sha256: str | None = None
    metadata: Annotated[str | None, Field(description="A JSON object")] = None
