"""What the system database keeps of uploads that come in several requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import attrs
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index

UploadKind: TypeAlias = Literal["whole", "partial", "final"]
"""``partial`` ones become a recording by a ``final`` one, which has no bytes of its own (tus, Concatenation)."""
UploadState: TypeAlias = Literal["open", "done"]

UPLOAD: Final = EntitySchema(
    name="MediaUpload",
    collection="sys_media_uploads",
    fields={
        "id": Field("string", length=32, required=True),
        "account_id": Field("string", length=255, required=True),
        "media_id": Field("string", length=64),
        "bucket": Field("string", length=63, required=True),
        "key": Field("string", length=200, required=True),
        "token": Field("text"),
        "offset": Field("integer", required=True, default=0, min=0),
        "length": Field("integer", min=0),
        "reserved": Field("integer", required=True, default=0, min=0),
        "metadata": Field("text"),
        "content_type": Field("string", length=255),
        "kind": Field("enum", enum=("whole", "partial", "final"), required=True),
        "parts": Field("array", items="string"),
        "concat": Field("text"),
        "state": Field("enum", enum=("open", "done"), required=True, default="open"),
        "writer": Field("string", length=64),
        "expires_at": Field("datetime", required=True),
    },
    indexes=(Index(("expires_at",)), Index(("account_id", "state")), Index(("bucket", "key"))),
    timestamps=True,
)
"""An upload. `token` is the store's. `offset` bytes are durable: it is changed after they are, never before.

`writer` is the request that may change `token` and `offset`, of whichever host: whoever wants to is there first.
`reserved` are the bytes that a partial upload takes of its account's quota; those of others are in the recording's row.
"""

SCHEMAS: Final = (UPLOAD,)


@attrs.frozen(kw_only=True)
class Upload:
    """A row of `UPLOAD`.

    Attributes:
        token: None: nothing of it has come to the store yet.
        length: None: its sender does not know yet.
        metadata, concat: the headers ``Upload-Metadata`` and ``Upload-Concat`` as they came.
    """

    id: str
    account_id: str
    media_id: str | None
    bucket: str
    key: str
    token: str | None = attrs.field(repr=False)
    offset: int
    length: int | None
    reserved: int
    metadata: str | None = attrs.field(repr=False)
    content_type: str | None
    kind: UploadKind
    parts: tuple[str, ...]
    concat: str | None = attrs.field(repr=False)
    state: UploadState
    writer: str | None
    expires_at: datetime

    @property
    def is_whole(self) -> bool:
        """Whether all of its bytes are there."""
        return self.length is not None and self.offset == self.length


NAMES: Final = tuple(attrs.fields_dict(Upload))


def upload_of(row: Mapping[str, Any]) -> Upload:
    """The value of a row."""
    return Upload(**{name: row[name] for name in NAMES if name != "parts"}, parts=tuple(row["parts"] or ()))
