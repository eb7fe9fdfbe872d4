"""The head of an answer as bytes. Most of its lines are those of the answer before, and are not made again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import attrs
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

NO_NAME: Final = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]|^$")
"""What no header's name has (RFC 9110, section 5.6.2)."""
NO_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header's value has."""
STEADY: Final = frozenset(
    {
        b"accept-ranges",
        b"cache-control",
        b"content-disposition",
        b"content-security-policy",
        b"content-type",
        b"etag",
        b"last-modified",
        b"ratelimit-policy",
        b"referrer-policy",
        b"repr-digest",
        b"vary",
        b"x-content-type-options",
    }
)
"""Headers whose values come again. Those of others, some of which are secrets, are not remembered."""
LINES: Final = 1024
NAMES: Final = 256
NO_BODY: Final = frozenset({204, 304})
"""Statuses of answers that never have one."""


@attrs.define
class AnswerHead:
    """What the headers of an answer say of it.

    Attributes:
        lines: the status and the headers, without what ends a head.
        length: of its body; None: nobody has said.
        chunked: its body comes in chunks.
        closes: the connection ends behind it.
    """

    lines: list[bytes]
    length: int | None = None
    chunked: bool = False
    closes: bool = False


def answer_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> AnswerHead:
    """The head of an answer.

    Raises:
        RuntimeError: a name or a value would be read as something else.
    """
    lines = [STATUS_LINE[status]]
    head = AnswerHead(lines)
    for name, value in headers:
        if name in STEADY:
            lines.append(_steady(name, value))
            continue
        begin = _begin(name)
        lines.append(_line(begin, value))
        if begin == b"content-length: ":
            if head.length is None and not head.chunked:
                head.length = int(value)
        elif begin == b"transfer-encoding: ":
            head.chunked = head.chunked or value.lower() == b"chunked"
        elif begin == b"connection: ":
            head.closes = head.closes or b"close" in [option.strip() for option in value.lower().split(b",")]
    return head


@lru_cache(LINES)
def _steady(name: bytes, value: bytes) -> bytes:
    return _line(_begin(name), value)


@lru_cache(NAMES)
def _begin(name: bytes) -> bytes:
    if NO_NAME.search(name):
        raise RuntimeError(f"this is no name of a header: {name!r}")
    return name.lower() + b": "


def _line(begin: bytes, value: bytes) -> bytes:
    if NO_VALUE.search(value):
        raise RuntimeError(f"this is no value of a header: {begin!r} {value!r}")
    return begin + value + b"\r\n"
