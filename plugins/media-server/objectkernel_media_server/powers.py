"""What not every `MediaRepository` can: the optional powers of one, as the service looks for them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from objectkernel_media_server.contracts import MediaRow


@runtime_checkable
class Purges(Protocol):
    """A repository that remembers whose blobs are to be removed, until they are."""

    async def purged(self, account_id: str, id: str) -> None:
        """The blob of a recording that failed or was deleted is gone."""
        ...


@runtime_checkable
class FindsBlobs(Protocol):
    """A repository that knows whose a blob is."""

    async def find_by_blob(self, bucket: str, key: str) -> MediaRow | None:
        """The row of a blob, of whichever account: for whoever shows a signed link to it."""
        ...
