"""The content of recordings: by the host's own routes, by links that it has signed, or from the store itself."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import attrs

from objectkernel_media_server.answers import http_date, json_answer
from objectkernel_media_server.calls import Answer, Call
from objectkernel_media_server.content import Selection, Span, select
from objectkernel_media_server.errors import MediaTypeRefused, UploadIncomplete
from objectkernel_media_server.incoming import reading
from objectkernel_media_server.service import HostMedia
from objectkernel_media_server.signing import LinkSigner, SignedGrant
from objectkernel_media_server.storage_contracts import Signs
from objectkernel_media_server.tus_headers import number
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.upload_rows import missing_upload

SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
"""What a browser may show, beside sound and film: nothing of it can run."""
ENDLESS: Final = 3600.0
"""Seconds that a link works to which a reader is led."""
SAFE: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'",
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
}


@attrs.frozen(kw_only=True)
class _Blob:
    """A content that may be read.

    Attributes:
        filename: what it is to be saved as; None: it may be shown, where its type may.
    """

    bucket: str
    key: str
    size: int
    content_type: str
    sha256: str
    modified: datetime
    filename: str | None = None

    @property
    def etag(self) -> str:
        """Its tag."""
        return f'"{self.sha256}"'

    def headers(self) -> dict[str, str]:
        """What is told of it, whichever part is sent."""
        digest = base64.b64encode(bytes.fromhex(self.sha256)).decode()
        return {
            **SAFE,
            "content-type": self.content_type,
            "content-disposition": disposition(self.content_type, self.filename),
            "etag": self.etag,
            "last-modified": http_date(self.modified),
            "repr-digest": f"sha-256=:{digest}:",  # RFC 9530
        }


class Contents:
    """The endpoints.

    Args:
        links: of a store whose links lead to this host; None: they lead elsewhere, or there are none.
    """

    def __init__(self, media: HostMedia, limits: UploadLimits, links: LinkSigner | None) -> None:
        self._media = media
        self._storage = media.recordings.storage
        self._limits = limits
        self._links = links

    async def content(self, call: Call) -> Answer:
        """Read a recording of the account that asks."""
        row = await self._media.find(call.account_id, call.id)
        if row is None or row.status != "ready" or row.checksum is None:
            raise missing_upload()
        elsewhere = self._links is None and self._limits.content_by == "redirect" and call.method == "GET"
        if elsewhere and isinstance(self._storage, Signs):
            link = await self._storage.sign_get(
                row.bucket, row.key, ttl=ENDLESS, content_type=row.mime_type, filename=_saved_as(row.mime_type, row.key)
            )
            return Answer(status=HTTPStatus.FOUND, headers={"location": link.url, "cache-control": "no-store"})
        return self._answer(
            call,
            _Blob(
                bucket=row.bucket,
                key=row.key,
                size=row.size_bytes,
                content_type=row.mime_type,
                sha256=row.checksum,
                modified=row.updated_at or row.created_at,
            ),
        )

    async def blob(self, call: Call) -> Answer:
        """Read, or store, what a link allows. Whatever is wrong with one, it is a 404."""
        bucket, key = call.path["bucket"], call.path["key"]
        grant = None
        if self._links is not None:
            grant = self._links.verify(call.method, bucket, key, call.query.decode("latin-1"))
        if grant is None:
            raise missing_upload()
        if grant.method == "PUT":
            return await self._store(call, grant)
        row = await self._media.of_blob(bucket, key)
        if row is None or row.checksum is None:
            raise missing_upload()
        return self._answer(
            call,
            _Blob(
                bucket=bucket,
                key=key,
                size=row.size_bytes,
                content_type=grant.content_type or row.mime_type,
                sha256=row.checksum,
                modified=row.updated_at or row.created_at,
                filename=grant.filename,
            ),
        )

    async def _store(self, call: Call, grant: SignedGrant) -> Answer:
        given = call.headers.get("content-type", "")
        if given != grant.content_type:
            raise MediaTypeRefused("the link is for another type", found=given, claimed=grant.content_type)
        length = number(call.headers, "content-length")
        if length is not None and length != grant.size:
            raise UploadIncomplete("the link is for another length", offset=0, length=grant.size)
        async with reading(call.receive) as pieces:
            stored = await self._storage.put_stream(
                grant.bucket, grant.key, pieces, size=grant.size, content_type=grant.content_type
            )
        return json_answer({"size": stored.size, "sha256": stored.sha256}, HTTPStatus.CREATED)

    def _answer(self, call: Call, blob: _Blob) -> Answer:
        chosen = select(
            call.method,
            call.headers,
            size=blob.size,
            etag=blob.etag,
            modified=blob.modified,
            most=self._limits.max_ranges,
        )
        headers = blob.headers()
        match chosen.status:
            case HTTPStatus.NOT_MODIFIED:
                for name in ("content-type", "content-disposition", "repr-digest"):
                    del headers[name]
                return Answer(status=chosen.status, headers=headers)
            case HTTPStatus.PRECONDITION_FAILED:
                return Answer(status=chosen.status, headers={"etag": blob.etag})
            case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return Answer(status=chosen.status, headers={**SAFE, "content-range": f"bytes */{blob.size}"})
            case _:
                return self._sent(call, blob, chosen, headers)

    def _sent(self, call: Call, blob: _Blob, chosen: Selection, headers: dict[str, str]) -> Answer:
        span, *more = chosen.spans
        if more:
            return self._several(blob, chosen.spans, headers)
        headers["content-length"] = str(span.length)
        if chosen.status == HTTPStatus.PARTIAL_CONTENT:
            headers["content-range"] = _content_range(span, blob.size)
        if call.method == "HEAD" or not span.length:
            return Answer(status=chosen.status, headers=headers)
        body = self._storage.open_range(blob.bucket, blob.key, span.start, span.length)
        return Answer(status=chosen.status, headers=headers, body=body)

    def _several(self, blob: _Blob, spans: Sequence[Span], headers: dict[str, str]) -> Answer:
        boundary = secrets.token_hex(16)
        heads = [
            f"\r\n--{boundary}\r\nContent-Type: {blob.content_type}\r\n"
            f"Content-Range: {_content_range(span, blob.size)}\r\n\r\n".encode("latin-1")
            for span in spans
        ]
        end = f"\r\n--{boundary}--\r\n".encode()
        headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
        headers["content-length"] = str(sum(map(len, heads)) + sum(span.length for span in spans) + len(end))
        body = self._parts(blob, list(zip(heads, spans, strict=True)), end)
        return Answer(status=HTTPStatus.PARTIAL_CONTENT, headers=headers, body=body)

    @asynccontextmanager
    async def _parts(
        self, blob: _Blob, parts: Sequence[tuple[bytes, Span]], end: bytes
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncGenerator[bytes]:
            for head, span in parts:
                yield head
                async with self._storage.open_range(blob.bucket, blob.key, span.start, span.length) as content:
                    async for piece in content:
                        yield piece
            yield end

        async with aclosing(pieces()) as sent:
            yield sent


def disposition(content_type: str, filename: str | None) -> str:
    """``Content-Disposition``: shown only where nothing of the type can run, and saved under a name that is no header
    of its own (RFC 6266, RFC 8187).
    """
    kind = "attachment" if filename is not None or not _is_shown(content_type) else "inline"
    if not filename:
        return kind
    plain = "".join(one if one.isascii() and one.isprintable() and one not in '"\\%' else "_" for one in filename)
    exact = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
    return f'{kind}; filename="{plain}"{exact}'


def _is_shown(content_type: str) -> bool:
    name = content_type.partition(";")[0].strip().lower()
    return name.startswith(("video/", "audio/")) or name in SHOWN


def _saved_as(content_type: str, key: str) -> str | None:
    return None if _is_shown(content_type) else key.rpartition("/")[2]


def _content_range(span: Span, size: int) -> str:
    return f"bytes {span.start}-{span.stop - 1}/{size}"
