"""The store on an S3 server, with the server's own links."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from objectkernel_media_server.keys import check_place
from objectkernel_media_server.s3_client import S3Place
from objectkernel_media_server.s3_uploads import S3Uploads
from objectkernel_media_server.signing import attachment, check_link
from objectkernel_media_server.storage_contracts import SignedUrl

__all__ = ["S3Driver", "S3Place"]


class S3Driver(S3Uploads):
    """An S3 server as a store: `contracts.Storage`, `contracts.Signs` and `contracts.Resumable`.

    Buckets have to be there. The server has to know ``If-None-Match`` on PUT and on the end of a multipart upload, as
    Amazon's, MinIO, Ceph and SeaweedFS do: nothing else keeps two writers of one key apart.
    """

    async def sign_get(
        self, bucket: str, key: str, *, ttl: float, content_type: str = "", filename: str | None = None
    ) -> SignedUrl:
        """See `contracts.Signs.sign_get`."""
        check_place(bucket, key)
        check_link(ttl, content_type)
        asked: dict[str, Any] = {"Bucket": bucket, "Key": key}
        asked["ResponseContentDisposition"] = "inline" if filename is None else attachment(filename)
        if content_type:
            asked["ResponseContentType"] = content_type
        return SignedUrl(url=self.client.link("get_object", ttl, asked), expires_at=_end(ttl))

    async def sign_put(self, bucket: str, key: str, *, ttl: float, size: int, content_type: str) -> SignedUrl:
        """See `contracts.Signs.sign_put`; the headers are part of the signature."""
        check_place(bucket, key)
        check_link(ttl, content_type)
        asked = {"Bucket": bucket, "Key": key, "ContentLength": size, "ContentType": content_type, "IfNoneMatch": "*"}
        return SignedUrl(
            url=self.client.link("put_object", ttl, asked),
            expires_at=_end(ttl),
            headers={"Content-Type": content_type, "If-None-Match": "*"},
        )


def _end(ttl: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=int(ttl))
