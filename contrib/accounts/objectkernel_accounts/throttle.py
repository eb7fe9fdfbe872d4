"""How often a password may be tried: after some wrong ones each further one has to wait longer than the one before."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Final

import attrs
from objectkernel_system_dialect.contracts import Dialect, DuplicateKey

from objectkernel_accounts.errors import TooManyAttempts
from objectkernel_accounts.storage import ATTEMPTS

LONGEST_WAIT: Final = timedelta(minutes=15)
REMEMBERED: Final = timedelta(hours=1)
"""After the last wrong one, or the end of its wait."""


@attrs.frozen(kw_only=True)
class Budget:
    """What wrong passwords are counted for.

    Attributes:
        id: names it, without telling what it is: a digest.
        free: how many may be wrong before waiting begins.
    """

    id: str
    free: int

    @classmethod
    def of(cls, kind: str, *what: str, free: int) -> Budget:
        """The budget of a login, an address, or both."""
        named = "\0".join((kind, *what)).encode("utf-8", "surrogatepass")
        return cls(id=hashlib.sha256(named).hexdigest(), free=free)


class Throttle:
    """Counts attempts in the system database, so that every host of it knows them.

    A row lives for `REMEMBERED`; there is one for each budget that somebody has used since.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    async def take(self, budgets: Iterable[Budget]) -> None:
        """Take one attempt from each budget, before the password is looked at: no two count as one.

        Raises:
            TooManyAttempts: from one of them there is none to take now; nothing that matters was taken.
        """
        budgets = tuple(budgets)
        now = datetime.now(UTC)
        for budget in budgets:
            row = await self._dialect.find_by_id(ATTEMPTS, budget.id)
            if row is not None and now < row["free_at"]:
                raise _too_many(row["free_at"] - now)
        for budget in budgets:
            await self._take(budget, now)

    async def give_back(self, *, all: Iterable[Budget] = (), one: Iterable[Budget] = ()) -> None:
        """The password was right: forget what was wrong before, or only that this one was taken."""
        for budget in all:
            await self._dialect.delete(ATTEMPTS, budget.id)
        for budget in one:
            await self._dialect.increment(ATTEMPTS, budget.id, "count", -1)

    async def _take(self, budget: Budget, now: datetime) -> None:
        count = await self._counted(budget.id, now)
        if count <= budget.free:
            return
        wait = _wait(count - budget.free)
        free_at = now + wait
        won = await self._dialect.update_many(
            ATTEMPTS,
            {"id": budget.id, "free_at": {"$lte": now}},
            {"free_at": free_at, "expires_at": free_at + REMEMBERED},
        )
        if not won and await self._dialect.exists(ATTEMPTS, {"id": budget.id}):  # else a right one was just faster
            raise _too_many(wait)

    async def _counted(self, id: str, now: datetime) -> int:
        """How many attempts there are with this one."""
        await self._dialect.delete_many(ATTEMPTS, {"id": id, "expires_at": {"$lte": now}})
        new = {"id": id, "count": 1, "free_at": now - REMEMBERED, "expires_at": now + REMEMBERED}
        while True:  # a second round only when somebody else removed the row in between
            try:
                await self._dialect.create(ATTEMPTS, new)
            except DuplicateKey:
                row = await self._dialect.increment(ATTEMPTS, id, "count")
                if row is not None:
                    return int(row["count"])
            else:
                return 1


def network_of(address: str) -> str:
    """Whose address it is: of IPv6 the first 64 bits, which one customer has all the others of."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> 64 << 64))


def _wait(beyond: int) -> timedelta:
    """One second, then two, then four."""
    return min(LONGEST_WAIT, timedelta(seconds=2 ** min(beyond - 1, 16)))


def _too_many(wait: timedelta) -> TooManyAttempts:
    seconds = max(1, math.ceil(wait.total_seconds()))
    return TooManyAttempts(
        "too many wrong passwords",
        why="each further attempt has to wait longer than the one before",
        fix=f"try again in {seconds} seconds",
        retry_after=seconds,
    )
