"""How often somebody has done something lately: counted in the database, so that every host of it knows."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address

import attrs
from objectkernel_system_dialect.contracts import Dialect, DuplicateKey, Row

from objectkernel_device_auth.storage_codes import BUDGET


@attrs.frozen
class Spent:
    """What somebody has used of a budget.

    Attributes:
        free_at: before that, nothing more.
        ends_at: then all of it is forgotten.
    """

    count: int
    free_at: datetime
    ends_at: datetime


class Budgets:
    """A row for each that is used; it is forgotten when its time is over."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    async def spent(self, id: str) -> Spent | None:
        """What was used; None: nothing lately."""
        row = await self._dialect.find_by_id(BUDGET, id)
        return None if row is None or row["remove_at"] <= datetime.now(UTC) else _spent(row)

    async def count(self, id: str, lasts: timedelta) -> Spent:
        """Use it once more: no two of those who do so at once are told the same count.

        Args:
            lasts: how long the first use, with all that follow, is remembered.
        """
        while True:  # a second round only when somebody else adds or removes the row in between
            now = datetime.now(UTC)
            row = await self._dialect.find_by_id(BUDGET, id)
            if row is not None and row["remove_at"] <= now:
                await self._dialect.delete_many(BUDGET, {"id": id, "remove_at": {"$lte": now}})
                row = None
            if row is not None:
                row = await self._dialect.increment(BUDGET, id, "count")
            else:
                row = await self._first(id, now, now + lasts)
            if row is not None:
                return _spent(row)

    async def _first(self, id: str, now: datetime, ends_at: datetime) -> Row | None:
        try:
            return await self._dialect.create(BUDGET, {"id": id, "count": 1, "free_at": now, "remove_at": ends_at})
        except DuplicateKey:
            return None

    async def wait(self, id: str, until: datetime, ends_at: datetime) -> None:
        """Let nobody use it before a time, unless they have to wait longer already; remember it until another."""
        changes = {"free_at": until, "remove_at": ends_at}
        await self._dialect.update_many(BUDGET, {"id": id, "free_at": {"$lt": until}}, changes)

    async def remember(self, id: str, until: datetime) -> None:
        """Forget what was used at this time, not before."""
        await self._dialect.update_many(BUDGET, {"id": id, "remove_at": {"$lt": until}}, {"remove_at": until})

    async def give_back(self, id: str) -> None:
        """Undo one use, and let it be used at once."""
        await self._dialect.increment(BUDGET, id, "count", -1)
        await self._dialect.update_many(BUDGET, {"id": id}, {"free_at": datetime.now(UTC)})
        await self._dialect.delete_many(BUDGET, {"id": id, "count": {"$lte": 0}})


def budget_id(kind: str, *what: str) -> str:
    """The name of a budget, which does not tell whose it is."""
    named = "\0".join((kind, *what)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(named).hexdigest()


def network_of(address: str | None) -> str:
    """Whose address it is: of IPv6 the first 56 bits, which one customer has all the others of.

    "" for none, and for this machine's own: there a proxy may ask for everybody that nobody has named to the host.
    """
    if not address:
        return ""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    found = getattr(found, "ipv4_mapped", None) or found
    if found.is_loopback:
        return ""
    return str(IPv6Address(int(found) >> 72 << 72)) if isinstance(found, IPv6Address) else str(found)


def _spent(row: Row) -> Spent:
    return Spent(row["count"], row["free_at"], row["remove_at"])
