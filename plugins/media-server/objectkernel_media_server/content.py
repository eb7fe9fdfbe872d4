"""Which bytes of a content a request gets: ranges and preconditions (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import attrs

UNIT: Final = "bytes"
GAP: Final = 80
"""Bytes between two ranges that are cheaper sent than left out: a part's head has as many."""
RANGE: Final = re.compile(r"(\d{1,19})-(\d{1,19})?|-(\d{1,19})")
CONDITIONS: Final = frozenset({"if-match", "if-unmodified-since", "if-none-match", "if-modified-since"})
ONE: Final = re.compile(r"bytes=(\d{1,19})-(\d{1,19})?", re.ASCII)
"""A header as players send it: one range with a first byte."""
OK: Final = HTTPStatus.OK
PARTIAL: Final = HTTPStatus.PARTIAL_CONTENT
UNSATISFIABLE: Final = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
ETAG: Final = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')


@attrs.define
class Span:
    """Some bytes: `start` is the first, `stop` is behind the last. Nobody changes them; they are not frozen, since one
    that is takes three times as long to make, for each request.
    """

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many."""
        return self.stop - self.start


@attrs.define
class Selection:
    """What is answered. Nobody changes it either.

    Attributes:
        status: 200, 206, 304, 412 or 416.
        spans: of 206, one or several, within the content; of 200 the whole.
    """

    status: HTTPStatus
    spans: tuple[Span, ...] = ()


def select(
    method: str, headers: Mapping[str, str], *, size: int, etag: str, modified: datetime, most: int
) -> Selection:
    """Decide in the order of RFC 9110, section 13.2.2.

    Args:
        headers: of the request, by lower-case name.
        etag: strong, with its quotes.
        modified: when the content came; aware.
        most: ranges that one request may ask for.
    """
    if not CONDITIONS.isdisjoint(headers) and (refused := _precondition(headers, etag, modified)) is not None:
        return Selection(refused)
    asked = headers.get("range") if method == "GET" else None
    if asked is None or ("if-range" in headers and not _still_the_same(headers["if-range"], etag, modified)):
        return _whole(size)
    wanted = ranges(asked)
    if wanted is None:
        return _whole(size)
    if len(wanted) == 1:
        ((first, last),) = wanted
        span = _within(first, last, size)
        return Selection(UNSATISFIABLE) if span is None else Selection(PARTIAL, (span,))
    spans = [span for first, last in wanted if (span := _within(first, last, size)) is not None]
    return Selection(PARTIAL, _apart(spans)) if spans and len(wanted) <= most else Selection(UNSATISFIABLE)


def _whole(size: int) -> Selection:
    return Selection(OK, (Span(0, size),))


def ranges(header: str) -> list[tuple[int | None, int | None]] | None:
    """First and last byte of each range; without a first one the last `last` bytes. None: as if there was no header,
    since its unit is unknown or it cannot be meant (section 14.2).
    """
    if (one := ONE.fullmatch(header)) is not None:
        first, last = int(one[1]), None if one[2] is None else int(one[2])
        return None if last is not None and last < first else [(first, last)]
    return _listed(header)


def _listed(header: str) -> list[tuple[int | None, int | None]] | None:
    """Of any number of ranges, in whatever way they are written."""
    unit, equals, given = header.partition("=")
    if not equals or unit.strip().lower() != UNIT:
        return None
    found: list[tuple[int | None, int | None]] = []
    for one in filter(None, (part.strip(" \t") for part in given.split(","))):
        match = RANGE.fullmatch(one)
        if match is None or not one.isascii():
            return None
        first, last, suffix = match[1], match[2], match[3]
        if suffix is not None:
            found.append((None, int(suffix)))
        elif last is not None and int(last) < int(first):
            return None
        else:
            found.append((int(first), None if last is None else int(last)))
    return found or None


def _within(first: int | None, last: int | None, size: int) -> Span | None:
    """The part of a range that there is; None: it cannot be satisfied."""
    if first is None:
        length = min(last or 0, size)
        return Span(size - length, size) if length else None
    if first >= size:
        return None
    return Span(first, size if last is None or last >= size else last + 1)


def _apart(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans as they were asked for; where some overlap, or nearly touch, in order and joined (section 15.3.7.2)."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, one.stop)):
        if joined and span.start <= joined[-1].stop + GAP:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, span.stop))
        else:
            joined.append(span)
    return tuple(spans if len(joined) == len(spans) else joined)


def _precondition(headers: Mapping[str, str], etag: str, modified: datetime) -> HTTPStatus | None:
    """412 or 304, for content that is only read; None: go on."""
    if "if-match" in headers:
        if not _matches(headers["if-match"], etag, weak=False):
            return HTTPStatus.PRECONDITION_FAILED
    elif (since := _date(headers.get("if-unmodified-since"))) is not None and _seconds(modified) > since:
        return HTTPStatus.PRECONDITION_FAILED
    if "if-none-match" in headers:
        return HTTPStatus.NOT_MODIFIED if _matches(headers["if-none-match"], etag, weak=True) else None
    since = _date(headers.get("if-modified-since"))
    return HTTPStatus.NOT_MODIFIED if since is not None and _seconds(modified) <= since else None


def _matches(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of tags has this one; `weak`: also as a weak one (section 8.8.3.2)."""
    if header.strip() == "*":
        return True
    tags = [found[0] for found in ETAG.finditer(header)]
    return etag in tags or (weak and f"W/{etag}" in tags)


def _still_the_same(header: str, etag: str, modified: datetime) -> bool:
    """Whether the ranges are of the content that the sender has (section 13.1.5)."""
    if '"' in header:
        return header.strip() == etag
    return _date(header) == _seconds(modified)


def _date(header: str | None) -> datetime | None:
    """A date; None: none, or one that cannot be meant, which is ignored."""
    if header is None:
        return None
    try:
        found = parsedate_to_datetime(header)
        return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def _seconds(at: datetime) -> datetime:
    """A time as headers tell it."""
    return at.astimezone(UTC).replace(microsecond=0)
