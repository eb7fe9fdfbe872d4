"""What each account has and may have.

An account's usage is the sum over its rows: bytes and number of what is ready, and of what is coming, whose size is
what is reserved for it. It is kept beside them, and changed in the transaction that changes a row, so that it can be
asked for, and held against a limit, without a look at all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import attrs
from objectkernel_system_dialect.contracts import Dialect, DuplicateKey

from objectkernel_media_server.contracts import MediaStatus, QuotaExceeded
from objectkernel_media_server.entities import COMING, MEDIA, USAGE


@attrs.frozen(kw_only=True)
class AccountLimits:
    """How much one account may have, with what is coming; None: as much as there is room for."""

    bytes: int | None = None
    count: int | None = None


@attrs.frozen(kw_only=True)
class Usage:
    """What an account has, or a change of it: what is ready, and what is reserved for what is coming."""

    bytes: int = 0
    count: int = 0
    reserved_bytes: int = 0
    reserved_count: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in _NAMES})

    def __bool__(self) -> bool:
        return self != NOTHING

    def __sub__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) - getattr(other, name) for name in _NAMES})


_NAMES: Final = tuple(field.name for field in attrs.fields(Usage))
NOTHING: Final = Usage()
Elsewhere: TypeAlias = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]
"""Bytes that are reserved for something else than rows, by account, for these accounts."""


def share(status: MediaStatus, size: int) -> Usage:
    """What a recording of this status and size is of its account's usage."""
    if status in COMING:
        return Usage(reserved_bytes=size, reserved_count=1)
    return Usage(bytes=size, count=1) if status == "ready" else NOTHING


class QuotaBook(Protocol):
    """Reserves room in accounts for what is no recording, or none yet."""

    async def reserve(self, account_id: str, *, bytes: int) -> None:
        """Reserve room; raises `QuotaExceeded` where there is none."""
        ...

    async def release(self, account_id: str, *, bytes: int) -> None:
        """Give room back."""
        ...


class Boundless:
    """A quota book of accounts that have no limits and are not counted."""

    async def reserve(self, account_id: str, *, bytes: int) -> None:
        """There is room."""

    async def release(self, account_id: str, *, bytes: int) -> None:
        """Nothing was reserved."""


class Quota:
    """The usage of accounts, on a dialect that has the tables of `entities`."""

    def __init__(self, dialect: Dialect, limits: AccountLimits | None = None) -> None:
        self._dialect = dialect
        self.limits = limits or AccountLimits()

    async def reserve(self, account_id: str, *, bytes: int) -> None:
        await self.open(account_id)
        async with self._dialect.transaction():
            await self.move(account_id, Usage(reserved_bytes=bytes))

    async def release(self, account_id: str, *, bytes: int) -> None:
        await self.reserve(account_id, bytes=-bytes)

    async def usage(self, account_id: str) -> Usage:
        """What an account has."""
        row = await self._dialect.find_by_id(USAGE, account_id)
        return NOTHING if row is None else usage_of(row)

    async def open(self, account_id: str) -> None:
        """See to it that the account has a row; outside of the transaction that will change it, so that none waits."""
        if await self._dialect.find_by_id(USAGE, account_id) is not None:
            return
        try:
            async with self._dialect.transaction():
                await self._dialect.create(USAGE, {"account_id": account_id})
        except DuplicateKey:
            pass  # somebody else was quicker

    async def move(self, account_id: str, change: Usage, *, unlimited: bool = False) -> None:
        """Change the usage of an account that has a row, within the caller's transaction. Who else does, waits.

        Args:
            unlimited: whatever the limits are.

        Raises:
            QuotaExceeded: it grows beyond a limit; the caller lets the error undo the transaction.
        """
        if change == NOTHING:
            return
        row = await self._dialect.increment(USAGE, account_id, "reserved_bytes", change.reserved_bytes)
        if row is None:  # the account is being deleted
            return
        now = usage_of(row)
        rest = attrs.evolve(change, reserved_bytes=0)
        if not unlimited:
            self._hold(now + rest, change)
        if rest != NOTHING:
            await self._dialect.update(USAGE, account_id, attrs.asdict(now + rest))

    def _hold(self, after: Usage, change: Usage) -> None:
        for what, limit, used, asked in (
            ("bytes", self.limits.bytes, after.bytes + after.reserved_bytes, change.bytes + change.reserved_bytes),
            ("recordings", self.limits.count, after.count + after.reserved_count, change.count + change.reserved_count),
        ):
            if limit is not None and asked > 0 and used > limit:
                raise QuotaExceeded(
                    "the account has no room for this",
                    why=f"it has {used - asked} of {limit} {what}, and this needs {asked} more",
                    fix="delete recordings, or have the limit raised",
                    what_is=what,
                    limit=limit,
                    used=used - asked,
                    asked=asked,
                )

    async def recount(self, account_id: str, *, elsewhere: Elsewhere | None = None, mend: bool = True) -> Usage:
        """By how much the usage of an account differs from the sum over its rows; `mend`: set it right.

        Nobody changes either meanwhile: each change of a row is to change the usage next, which waits.
        """
        await self.open(account_id)
        async with self._dialect.transaction():
            row = await self._dialect.increment(USAGE, account_id, "reserved_bytes", 0)
            if row is None:
                return NOTHING
            other = {} if elsewhere is None else await elsewhere((account_id,))
            true = (await self.sums((account_id,))).get(account_id, NOTHING)
            true += Usage(reserved_bytes=other.get(account_id, 0))
            drift = usage_of(row) - true
            if mend and drift != NOTHING:
                await self._dialect.update(USAGE, account_id, attrs.asdict(true))
            return drift

    async def sums(self, account_ids: Sequence[str]) -> dict[str, Usage]:
        """The usage of accounts as their rows say."""
        found: dict[str, Usage] = {}
        rows = await self._dialect.aggregate(
            MEDIA,
            [
                {"$match": {"account_id": {"$in": list(account_ids)}, "status": {"$in": [*COMING, "ready"]}}},
                {
                    "$group": {
                        "_id": {"account_id": "$account_id", "status": "$status"},
                        "bytes": {"$sum": "$size_bytes"},
                        "count": {"$count": {}},
                    }
                },
            ],
        )
        for row in rows:
            account_id, ready = row["_id"]["account_id"], row["_id"]["status"] == "ready"
            size, count = int(row["bytes"] or 0), int(row["count"])
            part = Usage(bytes=size, count=count) if ready else Usage(reserved_bytes=size, reserved_count=count)
            found[account_id] = found.get(account_id, NOTHING) + part
        return found


def usage_of(row: Mapping[str, Any]) -> Usage:
    """The usage of a row of `entities.USAGE`."""
    return Usage(**{name: row[name] for name in _NAMES})
