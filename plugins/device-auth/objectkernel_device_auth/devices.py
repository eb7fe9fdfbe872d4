"""What can act in somebody's name: devices that were let in, and keys that were made by hand.

A device is a family of tokens and not a key: its key of today may have ended while its refresh token still gets the
next one, and whoever looks for devices to end has to see that one too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import attrs
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import Dialect, Row

from objectkernel_device_auth.contracts import ApiKeys
from objectkernel_device_auth.key_endings import KeyEndings
from objectkernel_device_auth.storage_codes import FAMILY, REFRESH_TOKEN
from objectkernel_device_auth.storage_keys import KEY

NEWEST: Final[Mapping[str, Literal[1, -1]]] = {"created_at": -1, "id": -1}
MOST: Final = 500
"""Devices, and keys, of one person that are looked at: the newest."""


@attrs.frozen(kw_only=True)
class Device:
    """A device, or a key that was made by hand.

    Attributes:
        id: of the family, or of the key.
        client_id: the program that was let in; None: a key that was made by hand.
        last_used_at: None: never, or not lately.
        ends_at: when it ends unless it is used before; None: not by itself.
    """

    id: str
    name: str
    client_id: str | None
    scopes: frozenset[str]
    created_at: datetime
    last_used_at: datetime | None
    ends_at: datetime | None


class Devices(Protocol):
    """The devices and keys of people. What is somebody else's is as if it were not there."""

    async def list(self, by: Principal, *, page: int = 0, size: int = 20) -> tuple[tuple[Device, ...], bool]:
        """Those of a page, the newest first, and whether there are more."""
        ...

    async def get(self, by: Principal, id: str) -> Device | None:
        """One of them."""
        ...

    async def end(self, by: Principal, id: str) -> bool:
        """End one, with every key and token of it; whether it was there."""
        ...


@attrs.frozen
class HostDevices:
    """Those in the system database.

    Attributes:
        forget: lets keys that were checked lately be looked up anew.
    """

    dialect: Dialect
    keys: ApiKeys
    endings: KeyEndings
    forget: Callable[[], None]

    async def list(self, by: Principal, *, page: int = 0, size: int = 20) -> tuple[tuple[Device, ...], bool]:
        families, keys = await self._families(by), await self._keys(by)
        ids = {family["id"] for family in families}
        rows = [*families, *(key for key in keys if key["family"] not in ids)]
        rows.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
        start = page * size
        return await self._devices(rows[start : start + size]), len(rows) > start + size

    async def get(self, by: Principal, id: str) -> Device | None:
        rows = [*await self._families(by, id=id), *await self._keys(by, id=id)]
        return next(iter(await self._devices(rows)), None)

    async def end(self, by: Principal, id: str) -> bool:
        found = await self.get(by, id)
        if found is None:
            return False
        if await self._keys(by, id=id):
            return await self.keys.revoke(by.account_id, id, by=by)
        async with self.dialect.transaction():
            await self.endings.end({"account_id": by.account_id, "user_id": by.user_id, "family": id}, by=by)
            if self.endings.end_families is not None:  # also where no key of it is remembered any more
                await self.endings.end_families([id])
            await self.endings.trail.note("device.revoke", id, by=by, client=found.client_id)
        self.forget()
        return True

    async def _keys(self, by: Principal, **which: Any) -> Sequence[Row]:
        """Keys that are good: those made by hand, those of devices, and those that have outlived their device."""
        good = {"revoked_at": None, "$or": [{"expires_at": None}, {"expires_at": {"$gt": datetime.now(UTC)}}]}
        own = {"account_id": by.account_id, "user_id": by.user_id, **good, **which}
        return await self.dialect.find(KEY, own, sort=NEWEST, limit=MOST)

    async def _families(self, by: Principal, **which: Any) -> Sequence[Row]:
        """Devices that were let in and not ended."""
        live = {"ended_at": None, "remove_at": {"$gt": datetime.now(UTC)}}
        own = {"account_id": by.account_id, "user_id": by.user_id, **live, **which}
        return await self.dialect.find(FAMILY, own, sort=NEWEST, limit=MOST)

    async def _devices(self, rows: Sequence[Row]) -> tuple[Device, ...]:
        """What rows of either kind tell, but for families of which nothing can be used any more."""
        families = [row["id"] for row in rows if "scope" in row]
        uses: dict[str, list[datetime]] = defaultdict(list)
        ends: dict[str, list[datetime]] = defaultdict(list)
        now = datetime.now(UTC)
        if families:
            for row in await self.dialect.find(REFRESH_TOKEN, {"family": {"$in": families}, "spent_at": None}):
                ends[row["family"]].append(row["expires_at"])
            newest = {"family": {"$in": families}, "rotated_to": None}  # those before were used before, and may be many
            for row in await self.dialect.find(KEY, newest):
                uses[row["family"]].append(row["last_used_at"] or row["created_at"])
                ends[row["family"]].append(row["revoked_at"] or row["expires_at"])
        found = []
        for row in rows:
            told: dict[str, Any] = {name: row[name] for name in ("id", "name", "client_id", "created_at")}
            if "scope" not in row:
                last, end, scopes = row["last_used_at"], row["expires_at"], row["scopes"]
            elif (end := max(ends[row["id"]], default=now)) > now:
                last, scopes = max(uses[row["id"]], default=None), row["scope"].split()
            else:
                continue
            found.append(Device(**told, scopes=frozenset(scopes), last_used_at=last, ends_at=end))
        return tuple(found)


if TYPE_CHECKING:
    _are_devices: type[Devices] = HostDevices
