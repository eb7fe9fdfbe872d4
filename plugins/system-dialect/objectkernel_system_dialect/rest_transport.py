"""The transport ``rest``: HTTP with httpx, repeated where that is safe."""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import anyio
import attrs
import httpx
from objectkernel.errors import KernelError
from objectkernel.secret import Secret

from objectkernel_system_dialect.data_plug import KeyRenewal
from objectkernel_system_dialect.errors import (
    AccessDenied,
    DatabaseUnavailable,
    DataError,
    DialectClosed,
    DialectUnsupported,
    IdempotencyKeyBusy,
    OptionInvalid,
    RequestTooLarge,
    RowMissing,
)
from objectkernel_system_dialect.net_transport import Call, NetOptions, Transport
from objectkernel_system_dialect.problems import error_of
from objectkernel_system_dialect.rest_api import IDEMPOTENCY_HEADER, PREFIX, ROUTES, TENANT_HEADER, key_path
from objectkernel_system_dialect.wire import Unsendable, dump, load

REPEATED: Final = frozenset({429, 502, 503, 504})
BUSY: Final = IdempotencyKeyBusy.code
"""The code of an operation whose first attempt the server is still busy with."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
PATIENCE: Final = 10.0
"""Seconds of ``Retry-After`` that are waited for; who asks for more is not asked again."""
LARGEST: Final = 256 * 2**20
"""Bytes of an answer, unpacked."""
DEPTH: Final = 1000
"""Levels of an answer: what a server's database has may be nested more deeply than what it takes."""

KEY_FIX: Final = "set MOSTA_NET_API_KEY to a valid key"


@attrs.frozen
class _Answer:
    """What a server answered, unpacked."""

    status: int
    headers: httpx.Headers
    content: bytes


class _Quiet(logging.Filter):
    """Keeps requests out of the log of httpx, which shows their URLs: the server's address, and keys of rows."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _QUIET.get()


_QUIET: Final = ContextVar("objectkernel_quiet", default=False)
logging.getLogger("httpx").addFilter(_Quiet())


class _Content(httpx.AsyncByteStream):
    """A body that is no async generator: trio warns of one that a cancelled request leaves unfinished."""

    def __init__(self, content: bytes) -> None:
        self._parts = [content]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._parts:
            raise StopAsyncIteration
        return self._parts.pop()


class RestTransport:
    """Requests to one server, over connections that are kept.

    Every write carries an idempotency key of its own, so that any request may be sent again.
    """

    def __init__(self, options: NetOptions) -> None:
        url = _checked(options.url.reveal())
        self.place = url.netloc.decode()
        self._base = str(url).rstrip("/").removesuffix(PREFIX) + PREFIX
        self._attempts = max(1, options.attempts)
        self._key = options.api_key
        self._renew = options.on_api_key_invalid
        self._renewing = anyio.Lock()
        self._renewals = 0
        self._closed = False
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(options.timeout, pool=None), follow_redirects=False)

    async def describe(self) -> Any:
        return await self._ask("GET", self._base, {})

    async def call(self, call: Call) -> Any:
        route = ROUTES[call.operation]
        segment = "" if call.key is None else key_path(call.key)
        url = f"{self._base}/{call.entity}{route.path.replace('{id}', segment)}"
        headers = {} if call.tenant is None else {TENANT_HEADER: quote(call.tenant, safe="")}
        if route.writes:
            headers[IDEMPOTENCY_HEADER] = uuid.uuid4().hex
        if call.version is not None:
            headers["If-Match"] = f'"{call.version}"'
        try:
            if route.method in ("GET", "DELETE"):
                return await self._ask(route.method, url, headers, params=_params(call.arguments))
            headers["Content-Type"] = "application/json"
            return await self._ask(route.method, url, headers, content=_body(call))
        except RowMissing:
            return None

    async def aclose(self) -> None:
        self._closed = True
        await self._client.aclose()

    # --- one request ----------------------------------------------------------------------------------

    async def _ask(self, method: str, url: str, headers: dict[str, str], **content: Any) -> Any:
        key = self._key
        response = await self._persistently(method, url, headers, key, content)
        if response.status == HTTPStatus.UNAUTHORIZED and await self._renewed(key):
            response = await self._persistently(method, url, headers, self._key, content)
        return self._answer(response)

    async def _persistently(
        self, method: str, url: str, headers: Mapping[str, str], key: Secret[str] | None, content: Mapping[str, Any]
    ) -> _Answer:
        if key is not None and not key.reveal().isascii():  # httpx would show it in an error
            raise self._denied(HTTPStatus.UNAUTHORIZED, "the key has characters that none can have", KEY_FIX)
        shown = dict(headers) if key is None else {**headers, "Authorization": f"Bearer {key.reveal()}"}
        reason = ""
        for attempt in range(1, self._attempts + 1):
            if self._closed:
                raise DialectClosed(
                    "the connection to the server is closed", why="`aclose` was called", fix="open the dialect again"
                )
            last = attempt == self._attempts
            pause = random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))
            try:
                response = await self._once(method, url, shown, content)
            except httpx.RequestError as error:
                reason = type(error).__name__
                if last:
                    break
            else:
                wanted = _retry_after(response)
                if last or not _repeatable(response) or wanted > PATIENCE:
                    return response
                pause += wanted
            await anyio.sleep(pause)
        raise self._unavailable("it did not answer", reason)

    async def _once(self, method: str, url: str, headers: Mapping[str, str], content: Mapping[str, Any]) -> _Answer:
        request = self._client.build_request(method, url, headers=headers, **content)
        request.stream = _Content(request.content)
        quiet = _QUIET.set(True)
        try:
            response = await self._client.send(request, stream=True)
        finally:
            _QUIET.reset(quiet)
        parts, size = [], 0
        async with aclosing(response):
            try:
                async for part in response.aiter_bytes():
                    size += len(part)
                    if size <= LARGEST:
                        parts.append(part)
                    else:  # the reading ends by itself then; left alone, trio warns of its generators
                        await response.aclose()
            except httpx.RequestError:
                if size <= LARGEST:
                    raise
        if size > LARGEST:
            raise self._unavailable(f"its answer has more than {LARGEST} bytes", "answer too large")
        return _Answer(response.status_code, response.headers, b"".join(parts))

    async def _renewed(self, refused: Secret[str] | None) -> bool:
        """Whether there is another key than the one refused; many callers ask for it once."""
        if self._renew is None:
            return False
        seen = self._renewals
        async with self._renewing:
            if self._key is refused and self._renewals == seen:
                key = await self._another_key(self._renew)
                self._renewals += 1
                if key and (refused is None or key != refused.reveal()):
                    self._key = Secret(key)
        return self._key is not refused

    async def _another_key(self, renew: KeyRenewal) -> str:
        try:
            return await renew()
        except Exception as error:
            self._renewals += 1  # who waits for it does not have somebody asked again
            if isinstance(error, DataError) or not isinstance(error, KernelError):
                raise
            why = ("the server does not accept the key", f"[{error.code}] {error.what}", *error.why)
            raise self._denied(HTTPStatus.UNAUTHORIZED, why, error.fix) from error

    def _answer(self, response: _Answer) -> Any:
        status = response.status
        if status == HTTPStatus.NO_CONTENT:
            return {}
        try:
            content = load(response.content, DEPTH)
        except ValueError:
            content = None
        if 200 <= status < 300 and isinstance(content, dict):
            return content
        raise self._failure(status, content)

    def _failure(self, status: int, content: Any) -> DataError:
        if status == HTTPStatus.UNAUTHORIZED:
            why = "it wants a key, and none is set" if self._key is None else "the server does not accept the key"
            return self._denied(status, why, KEY_FIX)
        if isinstance(content, dict) and (error := error_of(content, self.place)) is not None:
            return error
        if status == HTTPStatus.FORBIDDEN:
            return self._denied(status, "the API key may not be used for this", "use one that has the scope")
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return RequestTooLarge(
                "the server does not take that much at once", fix="send fewer rows at a time", limit=None
            )
        return self._unavailable(f"it answered {status}, and not as a server of data does", f"HTTP {status}")

    def _denied(self, status: int, why: str | Sequence[str], fix: str) -> AccessDenied:
        return AccessDenied(f"{self.place} denies access", why=why, fix=fix, database=self.place, status=int(status))

    def _unavailable(self, why: str, reason: str) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f"the server {self.place} gave no proper answer",
            why=why,
            fix="check MOSTA_NET_URL, and whether the server is up",
            database=self.place,
            reason=reason,
        )


def _checked(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise DialectUnsupported(
            "the address of the server cannot be used",
            why="it is http:// or https:// with a host and perhaps a path; no user, query or fragment",
            fix="correct MOSTA_NET_URL; a key belongs into MOSTA_NET_API_KEY",
        )
    return url


def _params(arguments: Mapping[str, Any]) -> dict[str, str]:
    made = {}
    for name, value in arguments.items():
        made[name] = ",".join(value) if isinstance(value, list) else str(value).lower()
    return made


def _body(call: Call) -> bytes:
    arguments = call.arguments
    try:
        return dump(arguments["data"] if call.operation in ("create", "upsert", "patch") else arguments)
    except Unsendable:
        raise OptionInvalid(
            f"{call.operation} was given what cannot be sent",
            why="a part of it is neither text, number, truth value, list nor mapping",
            fix="give such values",
        ) from None


def _repeatable(response: _Answer) -> bool:
    if response.status == HTTPStatus.CONFLICT:
        return f'"{BUSY}"'.encode() in response.content
    return response.status in REPEATED


def _retry_after(response: _Answer) -> float:
    """Seconds of ``Retry-After`` (RFC 9110, section 10.2.3); 0 without."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


if TYPE_CHECKING:
    _is_a_transport: type[Transport] = RestTransport
