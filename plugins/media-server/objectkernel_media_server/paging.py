"""Pages of lists: which statuses, in which order, and from where on.

A cursor says behind which place of the order a page begins, and nothing of the account: whose rows they are comes from
the caller's credential each time.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from objectkernel_media_server.claims import is_text, is_whole
from objectkernel_media_server.contracts import InvalidMedia, MediaFilter, MediaPage, MediaRow, MediaStatus
from objectkernel_media_server.entities import LONGEST_SESSION, NO_TAKE, STATUSES

MOST: Final = 200
"""Recordings of one page."""
LONGEST_CURSOR: Final = 1000


@attrs.frozen
class Place:
    """A place in an order: the value that it sorts by first, and the id, which decides ties."""

    value: Any
    id: str


@attrs.frozen(kw_only=True)
class Asked:
    """A filter that was checked.

    Attributes:
        statuses: in the order of a recording's life.
        after: None: from the beginning.
    """

    statuses: tuple[MediaStatus, ...]
    session_id: str | None
    limit: int
    after: Place | None

    @property
    def newest_first(self) -> bool:
        """Whether it is by time; the takes of a session are by their number."""
        return self.session_id is None

    def place(self, row: MediaRow) -> Place:
        """Where a recording is in the order."""
        if self.newest_first:
            return Place(row.created_at, row.id)
        return Place(NO_TAKE if row.take_index is None else row.take_index, row.id)

    def is_behind(self, row: MediaRow) -> bool:
        """Whether a recording comes behind the cursor."""
        if self.after is None:
            return True
        place, after = self.place(row), self.after
        here, there = (place.value, place.id), (after.value, after.id)
        return here < there if self.newest_first else here > there

    def page(self, found: Iterable[MediaRow]) -> MediaPage:
        """The page of what was found: of each status at least `limit` and one more, where there are so many.

        A row that has gone on to another status meanwhile is found twice, and counts as what it was found last as.
        """
        rows = list({row.id: row for row in found}.values())
        rows.sort(key=lambda row: (self.place(row).value, row.id), reverse=self.newest_first)
        items = tuple(rows[: self.limit])
        return MediaPage(items=items, next_cursor=self._cursor(items[-1]) if len(rows) > self.limit else None)

    def _cursor(self, last: MediaRow) -> str:
        place = self.place(last)
        value = place.value.isoformat() if self.newest_first else place.value
        text = json.dumps([_kind(self.session_id), value, place.id], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(filter: MediaFilter | None) -> Asked:
    """What a filter asks for.

    Raises:
        InvalidMedia: it is not allowed, or its cursor is damaged or of another list.
    """
    filter = MediaFilter() if filter is None else filter
    wanted = _several(filter.status)
    problems: list[str] = []
    if not wanted or not wanted <= set(STATUSES):
        problems.append(f"the status is not one or several of {', '.join(STATUSES)}")
    if filter.session_id is not None and not is_text(filter.session_id, LONGEST_SESSION):
        problems.append(f"the session is no text of 1 to {LONGEST_SESSION} characters")
    if not is_whole(filter.limit, 1, MOST):
        problems.append(f"the limit is no whole number from 1 to {MOST}")
    after = None if filter.after is None else _place(filter.after, filter.session_id)
    if filter.after is not None and after is None:
        problems.append("the cursor is damaged, or of another list")
    if problems:
        raise InvalidMedia("this list cannot be had", why=problems, fix="ask for another, or begin without a cursor")
    statuses: tuple[MediaStatus, ...] = tuple(status for status in STATUSES if status in wanted)
    return Asked(statuses=statuses, session_id=filter.session_id, limit=filter.limit, after=after)


def _several(status: Any) -> frozenset[Any]:
    return frozenset({status} if isinstance(status, str) else status)


def _kind(session_id: str | None) -> str:
    return "newest" if session_id is None else "takes"


def _place(cursor: object, session_id: str | None) -> Place | None:
    """The place of a cursor; None where it is none of this kind of list."""
    if not isinstance(cursor, str) or len(cursor) > LONGEST_CURSOR:
        return None
    try:
        kind, value, id = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if kind != _kind(session_id) or not is_text(id, LONGEST_CURSOR):
            return None
        if session_id is not None:
            return Place(value, id) if is_whole(value, 0, NO_TAKE) else None
        at = datetime.fromisoformat(value)
        return Place(at.astimezone(UTC), id) if at.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError):
        return None
