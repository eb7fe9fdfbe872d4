"""The content of recordings: by the host's own routes, by links that it has signed, or from the store itself."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import attrs

from objectkernel_media_server.answers import http_date, json_answer
from objectkernel_media_server.calls import Answer, Call, Content, FileContent, RawHeader, raw
from objectkernel_media_server.content import PARTIAL, Span, select
from objectkernel_media_server.content_rows import ContentRow
from objectkernel_media_server.errors import MediaTypeRefused, UploadIncomplete
from objectkernel_media_server.incoming import reading
from objectkernel_media_server.service import HostMedia
from objectkernel_media_server.signing import LinkSigner, SignedGrant
from objectkernel_media_server.storage_contracts import OpensFiles, Signs
from objectkernel_media_server.tus_headers import number
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.upload_rows import missing_upload

SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
"""What a browser may show, beside sound and film: nothing of it can run."""
ENDLESS: Final = 3600.0
"""Seconds that a link works to which a reader is led."""
LATEST: Final = 256
"""Contents of which it is remembered what is told of each."""
SAFE: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'",
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
}


@attrs.frozen(kw_only=True)
class _Told:
    """What is told of a content, whichever part is sent.

    Attributes:
        content_type: what it is said to be.
        unchanged: what is told of one that its reader has already.
        parts: what is told beside the type, where several parts are sent.
        whole: everything.
    """

    content_type: str
    etag: str
    unchanged: tuple[RawHeader, ...]
    parts: tuple[RawHeader, ...]
    whole: tuple[RawHeader, ...]


@lru_cache(LATEST)
def _told(content_type: str, filename: str | None, sha256: str, modified: datetime) -> _Told:
    """Worked out once for each content.

    Args:
        filename: what it is to be saved as; None: it may be shown, where its type may.
    """
    etag = f'"{sha256}"'
    known = {"etag": etag, "last-modified": http_date(modified)}
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    named = {"content-disposition": disposition(content_type, filename)}
    parts = {**SAFE, **named, **known, "repr-digest": f"sha-256=:{digest}:"}  # RFC 9530
    return _Told(
        content_type=content_type,
        etag=etag,
        unchanged=tuple(raw({**SAFE, **known})),
        parts=tuple(raw(parts)),
        whole=tuple(raw({**parts, "content-type": content_type})),
    )


class Contents:
    """The endpoints.

    Args:
        links: of a store whose links lead to this host; None: they lead elsewhere, or there are none.
    """

    def __init__(self, media: HostMedia, limits: UploadLimits, links: LinkSigner | None) -> None:
        self._media = media
        self._storage = storage = media.recordings.storage
        self._files = storage if isinstance(storage, OpensFiles) else None
        self._limits = limits
        self._links = links
        leads = links is None and limits.content_by == "redirect"
        self._elsewhere = storage if leads and isinstance(storage, Signs) else None

    async def content(self, call: Call) -> Answer:
        """Read a recording of the account that asks."""
        row = await self._media.content(call.account_id, call.id)
        if row is None:
            raise missing_upload()
        if self._elsewhere is not None and call.method == "GET":
            link = await self._elsewhere.sign_get(
                row.bucket, row.key, ttl=ENDLESS, content_type=row.mime_type, filename=_saved_as(row.mime_type, row.key)
            )
            return Answer(status=HTTPStatus.FOUND, headers={"location": link.url, "cache-control": "no-store"})
        return self._answer(call, row, _told(row.mime_type, None, row.checksum, row.modified_at))

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
        row = await self._media.content_of_blob(bucket, key)
        if row is None:
            raise missing_upload()
        content_type = grant.content_type or row.mime_type
        return self._answer(call, row, _told(content_type, grant.filename, row.checksum, row.modified_at))

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

    def _answer(self, call: Call, row: ContentRow, told: _Told) -> Answer:
        chosen = select(
            call.method,
            call.headers,
            size=row.size_bytes,
            etag=told.etag,
            modified=row.modified_at,
            most=self._limits.max_ranges,
        )
        status, spans = chosen.status, chosen.spans
        if len(spans) == 1:
            return self._one(call, row, status, spans[0], told)
        if spans:
            return self._several(call, row, spans, told)
        if status == HTTPStatus.NOT_MODIFIED:
            return Answer(status, first=told.unchanged)
        if status == HTTPStatus.PRECONDITION_FAILED:
            return Answer(status, {"etag": told.etag})
        return Answer(status, {**SAFE, "content-range": f"bytes */{row.size_bytes}"})

    def _one(self, call: Call, row: ContentRow, status: HTTPStatus, span: Span, told: _Told) -> Answer:
        length, first = span.length, told.whole
        if status == PARTIAL:
            first = (*first, (b"content-range", _content_range(span, row.size_bytes)))
        if call.method == "HEAD" or not length:
            return Answer(status, {"content-length": str(length)}, first)
        first = (*first, (b"content-length", b"%d" % length))
        return Answer(status, {}, first, self._body(call, row, (span,)))

    def _several(self, call: Call, row: ContentRow, spans: Sequence[Span], told: _Told) -> Answer:
        boundary = secrets.token_hex(16)
        heads = [
            f"\r\n--{boundary}\r\nContent-Type: {told.content_type}\r\nContent-Range: ".encode("latin-1")
            + _content_range(span, row.size_bytes)
            + b"\r\n\r\n"
            for span in spans
        ]
        end = f"\r\n--{boundary}--\r\n".encode()
        length = sum(map(len, heads)) + sum(span.length for span in spans) + len(end)
        headers = {"content-type": f"multipart/byteranges; boundary={boundary}", "content-length": str(length)}
        parts = [part for pair in zip(heads, spans, strict=True) for part in pair]
        body = self._body(call, row, [*parts, end])
        return Answer(status=HTTPStatus.PARTIAL_CONTENT, first=told.parts, headers=headers, body=body)

    def _body(self, call: Call, row: ContentRow, parts: Sequence[Span | bytes]) -> Content | FileContent:
        if self._files is not None and call.sends_files:
            return FileContent(self._files.open_file(row.bucket, row.key), parts)
        if len(parts) == 1 and isinstance(parts[0], Span):
            return self._storage.open_range(row.bucket, row.key, parts[0].start, parts[0].length)
        return self._read(row, parts)

    @asynccontextmanager
    async def _read(self, row: ContentRow, parts: Sequence[Span | bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncGenerator[bytes]:
            for part in parts:
                if isinstance(part, bytes):
                    yield part
                    continue
                async with self._storage.open_range(row.bucket, row.key, part.start, part.length) as content:
                    async for piece in content:
                        yield piece

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


def _content_range(span: Span, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (span.start, span.stop - 1, size)
