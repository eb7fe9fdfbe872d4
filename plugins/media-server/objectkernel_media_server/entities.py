"""What the system database keeps of recordings, of what each account has, and of events that are to be delivered."""

from __future__ import annotations

from typing import Final, get_args

from objectkernel_system_dialect.contracts import EntitySchema, Field, Index

from objectkernel_media_server.contracts import MediaKind, MediaStatus

LONGEST_ACCOUNT: Final = 255
"""The host says what accounts are."""
LONGEST_ID: Final = 64
LONGEST_SESSION: Final = 200
LONGEST_EMAIL: Final = 254
LONGEST_TYPE: Final = 127
NO_TAKE: Final = 2**53
"""The `take_order` of a recording that is no numbered take: behind those that are."""
HIGHEST_TAKE: Final = 2**31

STATUSES: Final[tuple[MediaStatus, ...]] = get_args(MediaStatus)
"""In the order of a recording's life: none ever goes back."""
COMING: Final[tuple[MediaStatus, ...]] = ("uploading", "processing")
"""What is reserved counts."""
LIVE: Final[tuple[MediaStatus, ...]] = (*COMING, "ready")
"""Whose blobs are needed."""

MEDIA: Final = EntitySchema(
    name="Media",
    collection="sys_media",
    fields={
        "id": Field("string", length=LONGEST_ID, required=True),
        "account_id": Field("string", length=LONGEST_ACCOUNT, required=True),
        "owner_email": Field("string", length=LONGEST_EMAIL),
        "bucket": Field("string", length=63, required=True),
        "key": Field("string", length=512, required=True),
        "mime_type": Field("string", length=LONGEST_TYPE, required=True),
        "size_bytes": Field("integer", required=True, min=0),
        "duration_ms": Field("integer", min=0),
        "kind": Field("enum", enum=get_args(MediaKind), length=10, required=True),
        "status": Field("enum", enum=STATUSES, length=10, required=True),
        "session_id": Field("string", length=LONGEST_SESSION),
        "take_order": Field("integer", required=True, min=0),
        "checksum": Field("string", length=64),
        "metadata": Field("json"),
        "created_at": Field("datetime", required=True),
        "updated_at": Field("datetime"),
        "stuck_at": Field("datetime"),
        "purge_at": Field("datetime"),
        "purge_tries": Field("integer", required=True, default=0),
        "forget_at": Field("datetime"),
    },
    indexes=(
        Index(("account_id", "status", "created_at", "id")),
        Index(("account_id", "session_id", "status", "take_order", "id")),
        Index(("bucket", "key"), unique=True),
        Index(("stuck_at",)),
        Index(("purge_at",)),
        Index(("forget_at",)),
    ),
)
"""A recording.

A list is asked for each status by itself and merged, so that the first two indexes answer it without a sort and without
a look at rows of another status, however many there are.

`stuck_at` is when somebody looks whether a recording that has not come still comes; `purge_at` when its blob is to be
removed, None: it has been, or is needed; `forget_at` when the row of one that failed or was deleted goes.
"""

USAGE: Final = EntitySchema(
    name="MediaUsage",
    collection="sys_media_usage",
    fields={
        "account_id": Field("string", length=LONGEST_ACCOUNT, required=True),
        "bytes": Field("integer", required=True, default=0),
        "count": Field("integer", required=True, default=0),
        "reserved_bytes": Field("integer", required=True, default=0),
        "reserved_count": Field("integer", required=True, default=0),
    },
    key=("account_id",),
)
"""What an account has: bytes and number of what is ready, and of what is coming."""

OUTBOX: Final = EntitySchema(
    name="MediaOutbox",
    collection="sys_media_outbox",
    fields={
        "number": Field("sequence"),
        "event_id": Field("string", length=36, required=True),
        "media_id": Field("string", length=LONGEST_ID, required=True),
        "account_id": Field("string", length=LONGEST_ACCOUNT, required=True),
        "type": Field("string", length=20, required=True),
        "reason": Field("text"),
        "row": Field("json", required=True),
        "at": Field("datetime", required=True),
        "due_at": Field("datetime", required=True),
        "tries": Field("integer", required=True, default=0),
    },
    key=("event_id",),
    indexes=(Index(("due_at", "number")), Index(("media_id", "number"))),
)
"""An event that was not delivered yet. `due_at` is when it is tried next; whoever delivers it sets that ahead first."""

SCHEMAS: Final = (MEDIA, USAGE, OUTBOX)
