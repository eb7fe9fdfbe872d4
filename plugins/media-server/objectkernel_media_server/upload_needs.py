"""What uploads need of their store, and what their callers say of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from objectkernel_media_server.storage_contracts import Resumable, Storage
from objectkernel_media_server.upload_entities import UploadKind


class ResumableStorage(Storage, Resumable, Protocol):
    """A store that takes objects in several goes."""


@attrs.frozen(kw_only=True)
class Details:
    """What the sender of a recording says of it. Nothing of it is believed."""

    mime_type: str = ""
    duration_ms: int | None = None
    session_id: str | None = None
    take_index: int | None = None
    sha256: str | None = None
    metadata: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class NewUpload:
    """An upload that is to be.

    Attributes:
        length: None: its sender does not know yet.
        metadata: the header ``Upload-Metadata`` as it came.
        parts: of a final one: the ids of the partial ones.
        concat: the header ``Upload-Concat`` as it came.
    """

    length: int | None = None
    metadata: str = ""
    details: Details = Details()
    kind: UploadKind = "whole"
    parts: tuple[str, ...] = ()
    concat: str | None = None
