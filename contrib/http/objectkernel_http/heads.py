"""What the head of a request may not be, whatever its route is."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from objectkernel_http.body import CLOSE
from objectkernel_http.exchange import Exchange
from objectkernel_http.limits import HttpLimits
from objectkernel_http.problems import Refusal

PLAIN: Final = frozenset({b"", b"identity"})


def refuse_hostile_head(scope: Scope, exchange: Exchange, limits: HttpLimits) -> None:
    """Refuse a head that is too long, or that means two things.

    Raises:
        Refusal: 431 for too many headers; 400 for a target that is no UTF-8, and for a body whose length proxies could
            read in two ways (RFC 9112, section 6); 415 for a compressed body, whose length says nothing of what it
            becomes.
    """
    headers = exchange.headers
    if exchange.header_bytes > limits.header_bytes:
        told = f"all headers together may have {limits.header_bytes} bytes"
        raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, told)
    if b"transfer-encoding" in headers:
        if b"content-length" in headers:
            raise Refusal(HTTPStatus.BAD_REQUEST, "a body has one length: Content-Length or chunks", headers=CLOSE)
        if headers[b"transfer-encoding"].strip().lower() != b"chunked":
            raise Refusal(HTTPStatus.BAD_REQUEST, "Transfer-Encoding is chunked, and nothing else", headers=CLOSE)
    if headers.get(b"content-encoding", b"").lower() not in PLAIN:
        told = "bodies are taken as they are, without Content-Encoding"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, told, headers={"Accept-Encoding": "identity"})
    for part in (scope.get("raw_path") or b"", scope["query_string"]):
        if b"%" in part and not _is_text(part):
            raise Refusal(HTTPStatus.BAD_REQUEST, "the path or the query is no UTF-8")


def _is_text(part: bytes) -> bool:
    try:
        unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False
    return True
