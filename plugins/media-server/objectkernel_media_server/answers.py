"""What is told of an error, and of recordings, in the shapes that their readers expect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Final

import attrs

from objectkernel_media_server.calls import Answer
from objectkernel_media_server.contracts import MediaRow, MediaWithSignedUrl
from objectkernel_media_server.errors import MediaError, QuotaExceeded

PROBLEM: Final = "application/problem+json"
TYPE: Final = "urn:objectkernel:error:"
NOT_KEPT: Final = {"cache-control": "no-store"}


def is_told(error: MediaError) -> bool:
    """Whether whoever asks may know more than that something failed."""
    return error.http_status < HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, QuotaExceeded)


def problem(error: MediaError) -> Answer:
    """An error as problem details (RFC 9457), with the members that the host's own have."""
    status = HTTPStatus(error.http_status)
    members: dict[str, Any] = {
        "type": f"{TYPE}{error.code}",
        "title": status.phrase,
        "status": int(status),
        "detail": error.what,
        "code": error.code,
    }
    if error.why:
        members["why"] = list(error.why)
    if error.fix:
        members["fix"] = error.fix
    return json_answer(members, status, media_type=PROBLEM, is_early=True)


def json_answer(
    content: Any, status: int = HTTPStatus.OK, *, media_type: str = "application/json", is_early: bool = False
) -> Answer:
    """JSON that is nobody else's to keep."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status=int(status), headers={"content-type": media_type, **NOT_KEPT}, body=body, is_early=is_early)


def shown_row(row: MediaRow) -> dict[str, Any]:
    """A recording, in the names of the description."""
    found: dict[str, Any] = {_camel(name): value for name, value in attrs.asdict(row, recurse=False).items()}
    return {name: _shown(value) for name, value in found.items()}


def shown_link(found: MediaWithSignedUrl) -> dict[str, Any]:
    """A recording with a link."""
    return {
        "row": shown_row(found.row),
        "signedUrl": found.signed_url,
        "signedUrlExpiresAt": _shown(found.signed_url_expires_at),
    }


def http_date(at: datetime) -> str:
    """A time as HTTP writes it (RFC 9110, section 5.6.7)."""
    return format_datetime(at.astimezone(UTC), usegmt=True)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return dict(value) if isinstance(value, Mapping) else value
