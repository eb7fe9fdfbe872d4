"""Requests to an authorization server: small answers, no redirects, an end in time."""

from __future__ import annotations

import json
import os
import platform
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self

import anyio
import attrs
import httpx

from objectkernel_device_auth.client_errors import told

LARGEST: Final = 256 * 1024
"""Bytes of an answer."""
PROGRAM: Final = f"objectkernel on {platform.system() or 'an unknown system'}"
"""The User-Agent: whoever approves is shown it, and knows by it whether that was their machine."""


class NoAnswer(Exception):
    """The server did not answer. Attributes: timed_out, hopeless (asking again gives the same)."""

    def __init__(self, why: str, *, timed_out: bool = False, hopeless: bool = False) -> None:
        super().__init__(why)
        self.timed_out = timed_out
        self.hopeless = hopeless


@attrs.frozen
class Answer:
    """What a server answered.

    Attributes:
        document: the JSON object of the body, None where it has none.
        retry_after: seconds that the server asks to wait, 0 where it does not.
        challenge: ``WWW-Authenticate``.
    """

    status: int
    document: Mapping[str, Any] | None = attrs.field(repr=False)
    retry_after: float = 0.0
    challenge: str = ""

    @property
    def error(self) -> str | None:
        """The OAuth code of an error, None where it is none."""
        found = None if self.status == 200 or self.document is None else self.document.get("error")
        return found if isinstance(found, str) and found else None

    @property
    def is_transient(self) -> bool:
        """Whether the same request may be answered otherwise in a moment."""
        return self.status >= 500 or self.status in (408, 425, 429)


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


class Requests:
    """A client of one authorization server; `timeout` seconds for each answer."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            timeout=timeout, follow_redirects=False, headers={"Accept": "application/json", "User-Agent": PROGRAM}
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._client.aclose()

    async def get(self, url: str, *, bearer: str | None = None) -> Answer:
        """What is there.

        Raises:
            NoAnswer: nothing came back.
        """
        return await self._send(self._client.build_request("GET", url, headers=_shown(bearer)))

    async def post(self, url: str, form: Mapping[str, str], *, bearer: str | None = None) -> Answer:
        """What is answered to a form.

        Raises:
            NoAnswer: nothing came back.
        """
        return await self._send(self._client.build_request("POST", url, data=dict(form), headers=_shown(bearer)))

    async def _send(self, request: httpx.Request) -> Answer:
        request.stream = _Content(request.content)
        try:
            with anyio.fail_after(self._timeout):  # httpx's own limit is one for each part of an answer
                return await self._sent(request)
        except (TimeoutError, httpx.TimeoutException):
            raise NoAnswer(f"it did not answer within {self._timeout:g} s", timed_out=True) from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            causes = _causes(error)
            untrusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
            why = "its certificate is not trusted" if untrusted else _no_connection(causes)
        raise NoAnswer(why, hopeless=untrusted)

    async def _sent(self, request: httpx.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        content = b""
        async with aclosing(response):
            try:
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > LARGEST:
                        await response.aclose()  # ends the loop
            except httpx.RequestError:
                if len(content) <= LARGEST:
                    raise
        challenge = response.headers.get("www-authenticate", "")
        return Answer(response.status_code, _document(content), _retry_after(response), challenge)


def _causes(error: BaseException) -> list[BaseException]:
    """An error, and what it came from, down to the first."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause)
    return causes


def _no_connection(causes: Sequence[BaseException]) -> str:
    """Why there is none, as the system says it: a wrong port, a name that nobody knows, http taken for https."""
    why = [_said(cause) for cause in causes if isinstance(cause, OSError)]
    return f"no connection ({type(causes[0]).__name__}{f': {told(why[-1])}' if why else ''})"


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed; is it http?"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _shown(bearer: str | None) -> dict[str, str]:
    return {} if bearer is None else {"Authorization": f"Bearer {bearer}"}


def _document(content: bytes) -> Mapping[str, Any] | None:
    if len(content) > LARGEST:
        return None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "").strip()
    return float(text[:6]) if text.isascii() and text.isdigit() else 0.0
