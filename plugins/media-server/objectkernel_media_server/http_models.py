"""What the routes take and answer, for the document of the API; the routes themselves are framework-free."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

Status = Literal["uploading", "processing", "ready", "failed", "deleted"]
ID = "01a1ff62-ee52-7848-aa75-14641b6d3bea"
KEY = f"fdee430d40bd57deeac186cd9790033d/2026/11/{ID}.webm"
BUCKET = "media-recordings"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
SESSION = "interview-7"
CURSOR = "WyIyMDI2LTExLTIxVDE4OjAwOjAwIiwiMDFhMWZmNjIiXQ"
MediaId = Annotated[str, Path(description="The id of a recording", examples=[ID])]
UploadId = Annotated[str, Path(description="The id of an upload", examples=["a8d5ee1ec0034f53b683233cdd16a7c4"])]
SessionId = Annotated[str, Path(description="What its takes call it", examples=[SESSION])]
BucketName = Annotated[str, Path(examples=[BUCKET])]
BlobKey = Annotated[str, Path(examples=[KEY])]


class _Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Recording(_Shape):
    """A recording."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {
                    "id": ID,
                    "accountId": "6cf49d9f-99c6-4d68-8189-ef615ea3efa1",
                    "ownerEmail": None,
                    "bucket": BUCKET,
                    "key": KEY,
                    "mimeType": "video/webm",
                    "sizeBytes": 1048576,
                    "durationMs": 5000,
                    "kind": "video",
                    "status": "ready",
                    "sessionId": SESSION,
                    "takeIndex": 1,
                    "checksum": SHA256,
                    "metadata": {"room": "blue"},
                    "createdAt": "2026-11-21T18:00:00Z",
                    "updatedAt": "2026-11-21T18:00:05Z",
                }
            ]
        },
    )
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
    signed_url: Annotated[str, Field(examples=[f"https://shop.example/api/media/blobs/{BUCKET}/{KEY}?exp=…&sig=…"])]
    signed_url_expires_at: Annotated[datetime, Field(examples=["2026-11-21T19:00:05Z"])]


class RecordingPage(_Shape):
    """Some recordings of a longer list."""

    items: list[Recording]
    next_cursor: Annotated[
        str | None, Field(description="Gets the rest, given as `after`; null at the end", examples=[CURSOR])
    ]


class PageParameters(_Shape):
    """Which recordings."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")
    status: Annotated[list[Status], Field(default_factory=list, description="One or several; by default ready")]
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str | None, Field(max_length=2000, examples=[CURSOR])] = None


class ListParameters(PageParameters):
    """Which recordings of the account."""

    session_id: Annotated[str | None, Field(max_length=200, examples=[SESSION])] = None


class LinkParameters(_Shape):
    """What link."""

    model_config = ConfigDict(extra="forbid")
    ttl: Annotated[
        float | None, Field(gt=0, le=7 * 24 * 3600, description="Seconds; by default as configured", examples=[600])
    ] = None


class StoredBlob(_Shape):
    """What a link has stored."""

    size: Annotated[int, Field(examples=[1048576])]
    sha256: Annotated[str, Field(examples=[SHA256])]


class RawParameters(_Shape):
    """What is said of a recording whose bytes are the body."""

    mime_type: Annotated[str, Field(description="By default the Content-Type")] = ""
    duration_ms: Annotated[float | None, Field(examples=[5000])] = None
    session_id: Annotated[str | None, Field(examples=[SESSION])] = None
    take_index: Annotated[int | None, Field(examples=[1])] = None
    sha256: Annotated[str | None, Field(examples=[SHA256])] = None
    metadata: Annotated[str | None, Field(description="A JSON object", examples=['{"room": "blue"}'])] = None


class RecordingForm(_Shape):
    """A form with a recording."""

    blob: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary", "examples": ["…"]})]
    mime_type: str = ""
    duration_ms: Annotated[float | None, Field(examples=[5000])] = None
    session_id: Annotated[str | None, Field(examples=[SESSION])] = None
    take_index: Annotated[int | None, Field(examples=[1])] = None
    sha256: Annotated[str | None, Field(examples=[SHA256])] = None
    metadata: Annotated[str | None, Field(description="A JSON object", examples=['{"room": "blue"}'])] = None
