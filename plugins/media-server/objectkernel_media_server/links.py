"""Links to the content of recordings, from the store or from whoever signs for it."""

from __future__ import annotations

from typing import Final

import attrs

from objectkernel_media_server.contracts import (
    InvalidMedia,
    MediaRow,
    MediaWithSignedUrl,
    SigningKeyMissing,
    Signs,
    Storage,
)

LONGEST_TTL: Final = 7 * 24 * 3600.0
"""Seconds; what S3 signs at most."""


@attrs.frozen
class Links:
    """Makes links.

    Attributes:
        ttl: seconds that one works for, unless its caller says otherwise.
    """

    storage: Storage
    ttl: float

    async def linked(self, row: MediaRow, ttl: float | None = None) -> MediaWithSignedUrl:
        """A recording with a fresh link.

        Raises:
            InvalidMedia: `ttl` is too short or too long.
            SigningKeyMissing: the store signs nothing.
        """
        ttl = self.ttl if ttl is None else ttl
        if not 1 <= ttl <= LONGEST_TTL:
            raise InvalidMedia(
                "a link cannot work for so long",
                why=f"it works for 1 to {LONGEST_TTL:.0f} seconds",
                fix="ask for another when it has expired",
            )
        if not isinstance(self.storage, Signs):
            raise SigningKeyMissing(
                "there is no link to this recording",
                why=f"the store {self.storage.name!r} signs none",
                fix="read the content through the service, or use a store that signs",
            )
        shown = row.kind in ("video", "audio", "image")  # by their bytes: nothing that a browser would run
        filename = None if shown else f"{row.id}.bin"
        link = await self.storage.sign_get(
            row.bucket, row.key, ttl=float(ttl), content_type=row.mime_type, filename=filename
        )
        return MediaWithSignedUrl(row=row, signed_url=link.url, signed_url_expires_at=link.expires_at)
