"""A request and its answer as the routes see them, whatever framework has them: ASGI, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Container, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

import anyio
import attrs

from objectkernel_media_server.claims import is_text
from objectkernel_media_server.content import Span
from objectkernel_media_server.entities import LONGEST_ID
from objectkernel_media_server.errors import MediaTooLarge
from objectkernel_media_server.incoming import Receive
from objectkernel_media_server.upload_limits import UploadLimits

AsgiScope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
RawHeader: TypeAlias = tuple[bytes, bytes]
Content: TypeAlias = AbstractAsyncContextManager[AsyncIterable[bytes]]

TRAILERS: Final = "http.request.trailers"
"""Where the extensions of an ASGI scope have a request's trailers, once its body has come: a list in ``headers``.
Servers that have no such extension drop trailers.
"""
ZERO_COPY: Final = "http.response.zerocopysend"
"""An ASGI extension: the server sends a part of an open file by itself, and keeps the file as it is."""
LONGEST_LENGTH: Final = 20
"""Digits."""


class Body:
    """What a request brings: ASGI's ``receive``, which knows when all has come, and refuses too much.

    Attributes:
        is_over: nothing more will come.
        most: bytes that it may have; 0: any number.
    """

    def __init__(self, receive: Receive, most: int, declared: int) -> None:
        self.is_over = False
        self.most = most
        self._receive = receive
        self._size = 0
        self._declared = declared

    async def __call__(self) -> MutableMapping[str, Any]:
        """The next message.

        Raises:
            MediaTooLarge: there are more bytes, or will be, as their sender says.
        """
        self._check(self._declared)
        message = await self._receive()
        self.is_over = message["type"] == "http.disconnect" or not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        self._check(self._size)
        return message

    def _check(self, size: int) -> None:
        if self.most and size > self.most:
            raise MediaTooLarge(f"a request may bring {self.most} bytes", fix="send it in several", limit=self.most)


@attrs.define(eq=False)
class Call:
    """A request. Nobody changes it; it is not frozen, since one that is takes three times as long to make.

    Attributes:
        account_id: whose recordings it is about; "" on routes that are for anybody.
        address: its path, decoded.
        path: the parameters of that.
        headers: by lower-case name.
        trailers: gives those that came behind the body; None: the server drops them.
        sends_files: the server can send parts of files by itself.
    """

    method: str
    account_id: str
    address: str
    path: Mapping[str, str]
    query: bytes
    headers: Mapping[str, str]
    trailers: Callable[[], Mapping[str, str]] | None
    receive: Body = attrs.field(repr=False)
    sends_files: bool = False

    @property
    def id(self) -> str:
        """The id in its path; "" for one that is none, which nothing has."""
        id = self.path.get("id", "")
        return id if is_text(id, LONGEST_ID) else ""


@attrs.define(eq=False)
class FileContent:
    """Parts of a file, for a server that sends them by itself.

    Attributes:
        file: its descriptor, good within the block.
        parts: what is sent: bytes of the file, and bytes of others between.
    """

    file: AbstractAsyncContextManager[int]
    parts: Sequence[Span | bytes]


@attrs.define(eq=False)
class Answer:
    """What is sent back. Nobody changes it either.

    Attributes:
        headers: without ``content-length`` where `body` tells it.
        first: headers that stand before those, as they are sent.
        body: bytes, or what gives them: opened before anything is sent, so that what goes wrong is still told.
        is_early: its request's body may still be coming, and is not wanted.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict)
    first: Sequence[RawHeader] = ()
    body: bytes | Content | FileContent = b""
    is_early: bool = False


Endpoint: TypeAlias = Callable[[Call], Awaitable[Answer]]


def call_of(
    scope: AsgiScope,
    receive: Receive,
    account_id: str,
    path: Mapping[str, str],
    limits: UploadLimits,
    *,
    wanted: Container[bytes] | None = None,
) -> Call:
    """The request of an ASGI scope.

    Args:
        wanted: the names of headers that somebody looks at; None: all.
    """
    headers = _headers(scope["headers"], wanted)
    length = headers.get("content-length", "")
    declared = int(length) if length.isascii() and length.isdigit() and len(length) < LONGEST_LENGTH else 0
    extensions = scope.get("extensions") or {}
    trailers: Mapping[str, Any] | None = extensions.get(TRAILERS)
    return Call(
        scope["method"],
        account_id,
        scope["path"],
        path,
        scope.get("query_string", b""),
        headers,
        None if trailers is None else lambda: _headers(trailers["headers"]),
        Body(receive, limits.request_bytes, declared),
        ZERO_COPY in extensions,
    )


def send_answer(answer: Answer, call: Call, send: Send, limits: UploadLimits) -> Awaitable[None]:
    """Send an answer."""
    body = answer.body
    if isinstance(body, bytes):
        return _send_whole(answer, body, call, send, limits)
    if isinstance(body, FileContent):
        return _send_file(answer, body, send)
    return _send_pieces(answer, body, send)


async def _send_pieces(answer: Answer, content: Content, send: Send) -> None:
    async with content as pieces:
        await send(_start(answer, answer.headers))
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_file(answer: Answer, content: FileContent, send: Send) -> None:
    async with content.file as file:
        await send(_start(answer, answer.headers))
        left = len(content.parts)
        for part in content.parts:
            left -= 1
            if isinstance(part, bytes):
                await send({"type": "http.response.body", "body": part, "more_body": left > 0})
            else:
                start, count = part.start, part.length
                await send({"type": ZERO_COPY, "file": file, "offset": start, "count": count, "more_body": left > 0})


async def _send_whole(answer: Answer, body: bytes, call: Call, send: Send, limits: UploadLimits) -> None:
    headers = dict(answer.headers)
    if answer.status not in (204, 304) and "content-length" not in headers:
        headers["content-length"] = str(len(body))
    if answer.is_early:
        headers["connection"] = "close"
    await send(_start(answer, headers))
    shown = b"" if call.method == "HEAD" else body
    if answer.is_early:
        await send({"type": "http.response.body", "body": shown, "more_body": True})
        await _drain(call, limits)
        shown = b""
    await send({"type": "http.response.body", "body": shown, "more_body": False})


async def _drain(call: Call, limits: UploadLimits) -> None:
    """Read some of a body that nobody wants: a sender that never gets to reading would see a reset, and no answer."""
    call.receive.most, left = 0, limits.drain_bytes
    with anyio.move_on_after(limits.drain_seconds):
        while left > 0 and not call.receive.is_over:
            message = await call.receive()
            left -= len(message.get("body", b""))


def _start(answer: Answer, headers: Mapping[str, str]) -> dict[str, Any]:
    told = [*answer.first, *raw(headers)] if headers else list(answer.first)
    return {"type": "http.response.start", "status": int(answer.status), "headers": told}


def raw(headers: Mapping[str, str]) -> list[RawHeader]:
    """Headers as they are sent."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _headers(given: Any, wanted: Container[bytes] | None = None) -> dict[str, str]:
    """By name; what comes several times is joined as HTTP joins it, so that a number that does is none."""
    found: dict[str, str] = {}
    for raw_name, raw_value in given:
        if wanted is not None and raw_name not in wanted:
            continue
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
