"""A request and its answer as the routes see them, whatever framework has them: ASGI, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

import anyio
import attrs

from objectkernel_media_server.incoming import Receive
from objectkernel_media_server.upload_limits import UploadLimits

AsgiScope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Content: TypeAlias = AbstractAsyncContextManager[AsyncIterable[bytes]]

TRAILERS: Final = "http.request.trailers"
"""Where the extensions of an ASGI scope have the trailers of the request, once its body has come: a list as ``headers``
is one. Servers that have no such list drop trailers.
"""


class Body:
    """What a request brings: ASGI's ``receive``, which knows when all has come.

    Attributes:
        is_over: nothing more will.
    """

    def __init__(self, receive: Receive) -> None:
        self.is_over = False
        self._receive = receive

    async def __call__(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self.is_over = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message


@attrs.frozen(kw_only=True, eq=False)
class Call:
    """A request.

    Attributes:
        account_id: whose recordings it is about; "" on routes that are for anybody.
        address: its path, decoded.
        path: the parameters of that.
        headers: by lower-case name.
        trailers: gives those that came behind the body; None: the server drops them.
    """

    method: str
    account_id: str
    address: str
    path: Mapping[str, str]
    query: bytes
    headers: Mapping[str, str]
    trailers: Callable[[], Mapping[str, str]] | None
    receive: Body = attrs.field(repr=False)


@attrs.frozen(kw_only=True, eq=False)
class Answer:
    """What is sent back.

    Attributes:
        headers: without ``content-length`` where `body` tells it.
        body: bytes, or what gives them: opened before anything is sent, so that what goes wrong is still told.
        is_early: its request's body may still be coming, and is not wanted.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes | Content = b""
    is_early: bool = False


Endpoint: TypeAlias = Callable[[Call], Awaitable[Answer]]


def call_of(scope: AsgiScope, receive: Receive, account_id: str, path: Mapping[str, str]) -> Call:
    """The request of an ASGI scope."""
    trailers: list[tuple[bytes, bytes]] | None = (scope.get("extensions") or {}).get(TRAILERS)
    return Call(
        method=scope["method"],
        account_id=account_id,
        address=scope["path"],
        path=path,
        query=scope.get("query_string", b""),
        headers=_headers(scope["headers"]),
        trailers=None if trailers is None else lambda: _headers(trailers),
        receive=Body(receive),
    )


async def send_answer(answer: Answer, call: Call, send: Send, limits: UploadLimits) -> None:
    """Send an answer."""
    if isinstance(answer.body, bytes):
        await _send_whole(answer, answer.body, call, send, limits)
        return
    async with answer.body as pieces:
        await send(_start(answer.status, answer.headers))
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_whole(answer: Answer, body: bytes, call: Call, send: Send, limits: UploadLimits) -> None:
    headers = dict(answer.headers)
    if answer.status not in (204, 304) and "content-length" not in headers:
        headers["content-length"] = str(len(body))
    if answer.is_early:
        headers["connection"] = "close"
    await send(_start(answer.status, headers))
    shown = b"" if call.method == "HEAD" else body
    if answer.is_early:
        await send({"type": "http.response.body", "body": shown, "more_body": True})
        await _drain(call, limits)
        shown = b""
    await send({"type": "http.response.body", "body": shown, "more_body": False})


async def _drain(call: Call, limits: UploadLimits) -> None:
    """Read some of a body that nobody wants: a sender that never gets to reading would see a reset, and no answer."""
    left = limits.drain_bytes
    with anyio.move_on_after(limits.drain_seconds):
        while left > 0 and not call.receive.is_over:
            message = await call.receive()
            left -= len(message.get("body", b""))


def _start(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    sent = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": int(status), "headers": sent}


def _headers(given: Any) -> dict[str, str]:
    """By name; what comes several times is joined as HTTP joins it, so that a number that does is none."""
    found: dict[str, str] = {}
    for raw_name, raw_value in given:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
