"""Reading the audit trail: its newest entries, a page of it, and what is added to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from objectkernel_system_dialect.contracts import Dialect, Filter, Page, Row

from objectkernel_accounts.audit import AUDIT_ENTRY

LATE: Final = timedelta(seconds=10)
"""How much later than others with higher numbers an entry may appear: when its transaction ends."""


def matching(account: str | None, action: str | None) -> Filter:
    """The filter for entries of an account, and of an action, where they are named."""
    asked = {"account_id": account, "action": action}
    return {name: value for name, value in asked.items() if value is not None}


async def newest(dialect: Dialect, filter: Filter, count: int, since: datetime | None = None) -> list[Row]:
    """At most `count` entries, the newest of them, in the order in which they were made."""
    found: list[Row] = []
    if count:
        async for row in dialect.stream(AUDIT_ENTRY, filter, sort={"sequence": -1}, batch=min(count, 1000)):
            if since is not None and row["at"] < since:
                if row["at"] < since - LATE:
                    break
                continue
            found.append(row)
            if len(found) == count:
                break
    return found[::-1]


async def page(dialect: Dialect, filter: Filter, limit: int, after: str | None) -> Page:
    """Entries, the newest first.

    Raises:
        CursorInvalid
    """
    return await dialect.find_page(AUDIT_ENTRY, filter, sort={"sequence": -1}, limit=limit, after=after)


class Follower:
    """What is added to the trail from now on: each entry once, whichever transaction ends first."""

    def __init__(
        self, dialect: Dialect, filter: Filter, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._dialect = dialect
        self._filter = filter
        self._clock = clock
        self._from = 0
        self._seen: set[int] = set()

    async def begin(self) -> None:
        """Pass over all that is there."""
        settled = {**self._filter, "at": {"$lt": self._clock() - LATE}}
        last = await self._dialect.find_one(AUDIT_ENTRY, settled, sort={"sequence": -1}, select=("sequence",))
        self._from = 0 if last is None else last["sequence"]
        self.pass_over([row async for row in self.added()])

    def pass_over(self, rows: Iterable[Row]) -> None:
        """Count these as seen."""
        self._seen.update(row["sequence"] for row in rows)

    async def added(self) -> AsyncIterator[Row]:
        """The entries that are new since this was asked last."""
        settled = self._clock() - LATE
        new: dict[str, Any] = {**self._filter, "sequence": {"$gt": self._from}}
        async for row in self._dialect.stream(AUDIT_ENTRY, new, sort={"sequence": 1}):
            number = row["sequence"]
            if row["at"] < settled:
                self._from = max(self._from, number)
            if number not in self._seen:
                self._seen.add(number)
                yield row
        self._seen = {number for number in self._seen if number > self._from}
