"""How bytes are delivered over HTTP (RFC 9110, RFC 9111): coding, caching, and whether the caller has them already."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, Literal, TypeAlias

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

Coding: TypeAlias = Literal["gzip", "identity"]

FOREVER: Final = "max-age=31536000, immutable"
"""For what never changes under its address (RFC 8246)."""
ASK_AGAIN: Final = "no-cache"
"""For what may change: it is kept, and asked for with its ETag before it is used again."""

SMALL: Final = 1024
"""Bytes below which compressing saves nothing."""
LARGE: Final = 65_536
"""Bytes from which compressing is a thread's work."""
LEVEL: Final = 6

_WEIGHTED: Final = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*[qQ]\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?\Z")
_TAGS: Final = re.compile(r'(?:W/)?"([^"]*)"')


async def deliver(
    request: Request,
    content: bytes,
    *,
    tag: str,
    cache: str,
    shared: bool = False,
    media_type: str = "application/json",
) -> Response:
    """An answer with these bytes, compressed if the caller likes that; without them if it has them, or asks with HEAD.

    Args:
        tag: tells this content from any other: the ETag, and the stem of that of its compressed form.
        cache: `FOREVER` or `ASK_AGAIN`.
        shared: everybody may have it, so that caches may keep it for all of them.

    Raises:
        HTTPException: 406, the caller takes neither the plain bytes nor compressed ones.
    """
    coding = coding_for(request.headers.getlist("accept-encoding"), len(content))
    plain, packed = tag, f"{tag}-gzip"
    tags = (plain, packed) if coding == "identity" else (packed, plain)
    known = had(request.headers.getlist("if-none-match"), tags)
    headers = {
        "ETag": f'"{known or tags[0]}"',
        "Cache-Control": f"{'public' if shared else 'private'}, {cache}",
        "Vary": "Accept-Encoding" if shared else "Accept-Encoding, Authorization, Cookie",
    }
    if known is not None:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if len(content) >= LARGE:
        body, digest = await to_thread.run_sync(_coded, content, coding)
    else:
        body, digest = _coded(content, coding)
    headers |= {"Repr-Digest": f"sha-256=:{digest}:", "Content-Length": str(len(body)), **_described(coding)}
    return Response(b"" if request.method == "HEAD" else body, headers=headers, media_type=media_type)


def coding_for(accepted: list[str], size: int) -> Coding:
    """The coding that ``Accept-Encoding`` likes best (RFC 9110, section 12.5.3).

    Raises:
        HTTPException: 406.
    """
    if not accepted:
        return "identity"
    weights = _weights(",".join(accepted))
    others = weights.get("*")
    compressed = weights.get("gzip", weights.get("x-gzip", others or 0.0))
    plain = weights.get("identity", others)
    if plain == 0.0 and compressed == 0.0:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, "it can be had as it is, or in gzip")
    if plain == 0.0:
        return "gzip"
    return "gzip" if size >= SMALL and compressed > 0.0 and compressed >= (plain or 0.0) else "identity"


def _weights(accepted: str) -> dict[str, float]:
    """The weight of each coding that is named; what cannot be read is left out."""
    found = (_WEIGHTED.match(item) for item in accepted.split(","))
    return {one[1].lower(): min(float(one[2] or 1), 1.0) for one in found if one}


def had(conditions: list[str], tags: Sequence[str]) -> str | None:
    """Which of the tags of one content ``If-None-Match`` names: the weak comparison of RFC 9110, 13.1.2.

    Args:
        tags: of each coding, that of the answer first; a cache goes by the one that it named (RFC 9111, 4.3.4).
    """
    told = ",".join(conditions).strip()
    named = set(_TAGS.findall(told))
    return next((tag for tag in tags if told == "*" or tag in named), None)


def _coded(content: bytes, coding: Coding) -> tuple[bytes, str]:
    """The bytes that are sent, the same ones each time, and their SHA-256 in base64."""
    body = gzip.compress(content, LEVEL, mtime=0) if coding == "gzip" else content
    return body, base64.b64encode(hashlib.sha256(body).digest()).decode()


def _described(coding: Coding) -> Mapping[str, str]:
    return {} if coding == "identity" else {"Content-Encoding": coding}
