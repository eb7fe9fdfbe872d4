"""The rows of uploads: each change is one statement that says what it expects to find."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from objectkernel_system_dialect.contracts import Dialect

from objectkernel_media_server.errors import MediaMissing, QuotaExceeded, UploadConflict
from objectkernel_media_server.upload_entities import UPLOAD, Upload, upload_of

BATCH: Final = 100
ID: Final = re.compile(r"[0-9a-f]{32}")


def missing_upload() -> MediaMissing:
    """The one answer to whoever asks for what is not there, or not theirs."""
    return MediaMissing("there is no such recording or upload", fix="look at the id")


class UploadRows:
    """The uploads of all accounts. Every method but those of housekeeping takes the account."""

    def __init__(self, dialect: Dialect, expires: float) -> None:
        self.dialect = dialect
        self._expires = timedelta(seconds=expires)

    def expiry(self) -> datetime:
        """When an upload that gets bytes now is given up."""
        return datetime.now(UTC) + self._expires

    async def find(self, account_id: str, id: str) -> Upload:
        """An upload that has not expired.

        Raises:
            MediaMissing
        """
        upload = await self._one(account_id, id)
        if upload.expires_at <= datetime.now(UTC):
            raise missing_upload()
        return upload

    async def again(self, upload: Upload) -> Upload:
        """An upload as it is now, expired or not.

        Raises:
            MediaMissing
        """
        return await self._one(upload.account_id, upload.id)

    async def _one(self, account_id: str, id: str) -> Upload:
        row = await self.dialect.find_by_id(UPLOAD, id) if ID.fullmatch(id) else None
        if row is None or row["account_id"] != account_id:
            raise missing_upload()
        return upload_of(row)

    async def some(self, account_id: str, ids: Sequence[str]) -> list[Upload]:
        """Those that there are."""
        wanted = {"account_id": account_id, "id": {"$in": [id for id in set(ids) if ID.fullmatch(id)]}}
        return [upload_of(row) for row in await self.dialect.find(UPLOAD, wanted)]

    async def add(self, account_id: str, most: int, **fields: Any) -> Upload:
        """Keep a new upload, unless the account has too many. Parts count until a final one has them.

        Raises:
            QuotaExceeded
        """
        counted: dict[str, Any] = {"state": "open"}
        if fields["kind"] != "final":  # which is what makes parts go
            counted = {"$or": [counted, {"kind": "partial"}]}
        count = await self.dialect.count(UPLOAD, {"account_id": account_id, **counted})
        if count >= most:
            raise QuotaExceeded(
                f"the account has {count} unfinished uploads",
                fix="finish some of them, or end them with DELETE",
                what_is="uploads",
                limit=most,
                used=count,
                asked=1,
            )
        row = {"id": uuid4().hex, "account_id": account_id, "expires_at": self.expiry(), **fields}
        return upload_of(await self.dialect.create(UPLOAD, row))

    async def change(self, upload: Upload, expected: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
        """Change an upload whose fields are as expected; whether they were."""
        filter = {"id": upload.id, "account_id": upload.account_id, **expected}
        return await self.dialect.update_many(UPLOAD, filter, changes) == 1

    async def claim(self, upload: Upload, writer: str) -> bool:
        """Be the only one that may go on behind the offset that the upload has; whether it is as it was read."""
        expected = {"writer": upload.writer, "offset": upload.offset, "state": "open"}
        return await self.change(upload, expected, {"writer": writer})

    async def record(self, upload: Upload, changes: Mapping[str, Any]) -> None:
        """Change an upload that its writer still has.

        Raises:
            UploadConflict: somebody else has claimed it since.
        """
        if not await self.change(upload, {"writer": upload.writer}, changes):
            raise taken_over()

    async def remove(self, upload: Upload) -> bool:
        """Forget an upload; whether it was there."""
        return await self.dialect.delete_many(UPLOAD, {"id": upload.id, "account_id": upload.account_id}) == 1

    # --- housekeeping -----------------------------------------------------------------------------

    async def expired(self, now: datetime, after: str) -> list[Upload]:
        """Some uploads that are given up, behind the id `after`."""
        wanted = {"expires_at": {"$lte": now}, "id": {"$gt": after}}
        return [upload_of(row) for row in await self.dialect.find(UPLOAD, wanted, sort={"id": 1}, limit=BATCH)]

    async def of_account(self, account_id: str, **fields: Any) -> list[Upload]:
        """All uploads of an account."""
        return [upload_of(row) for row in await self.dialect.find(UPLOAD, {"account_id": account_id, **fields})]

    async def waiting_for(self, part: Upload) -> list[Upload]:
        """Final uploads that a part was the last for; their number and that of their parts is up to their sender."""
        of_account = {"account_id": part.account_id, "state": "open"}
        finals = await self.dialect.find(UPLOAD, {**of_account, "kind": "final"}, select=("id", "parts"))
        finals = [row for row in finals if part.id in row["parts"]]
        if not finals:
            return []
        coming = await self.dialect.find(UPLOAD, {**of_account, "kind": "partial"}, select=("id",))
        ids = {row["id"] for row in coming}
        return await self.some(part.account_id, [row["id"] for row in finals if ids.isdisjoint(row["parts"])])


def taken_over() -> UploadConflict:
    """Another request, perhaps of another host, goes on with the upload."""
    return UploadConflict("another request has taken this upload over", fix="ask for its offset, and go on from there")
