"""Keys and clients without a kernel: their parts on a database, with people that tests disable."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
from objectkernel_contracts import GrantableScope, Principal, Standing
from objectkernel_device_auth import storage_codes, storage_keys
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import IssuedKey
from objectkernel_device_auth.parts import Parts, assemble
from objectkernel_device_auth.storage_keys import KEY
from objectkernel_system_dialect.contracts import Dialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.contrib.accounts.hosts import Recorder, Ring

ACCOUNT = "engines"
ADA = "ada"
SCOPES = (
    GrantableScope(name="data:read", description="Read", role="viewer"),
    GrantableScope(name="data:write", description="Write"),
    GrantableScope(name="keys:read", description="See keys", role="viewer"),
    GrantableScope(name="keys:write", description="Make keys", role="viewer"),
    GrantableScope(name="keys:manage", description="Manage keys", role="admin"),
    GrantableScope(name="host:install", description="Install", role="operator"),
)
ALL = frozenset(scope.name for scope in SCOPES) | {"host:operate"}


class People:
    """What people may now, as tests say; whoever is not here may everything.

    Attributes:
        may: by account and person; None: nothing at all.
        asked: how often it was asked.
    """

    def __init__(self) -> None:
        self.may: dict[tuple[str, str | None], frozenset[str] | None] = {}
        self.asked = 0

    async def scopes(self, account_id: str, user_id: str | None) -> frozenset[str] | None:
        self.asked += 1
        return self.may.get((account_id, user_id), ALL)


@attrs.define
class Desk:
    """A host's keys, and what they are made of.

    Attributes:
        told: the events that plugins would have got.
    """

    dialect: Dialect
    people: People
    audit: Recorder
    ring: Ring
    config: DeviceAuthConfig
    parts: Parts = attrs.field(init=False)
    told: list[Any] = attrs.field(factory=list)

    async def emit(self, event: Any) -> None:
        self.told.append(event)

    async def issue(
        self, *scopes: str, user_id: str | None = ADA, account_id: str = ACCOUNT, **options: Any
    ) -> IssuedKey:
        """A key, by default a person's that reads data."""
        name = options.pop("name", "laptop")
        return await self.parts.keys.issue(account_id, name, scopes or ("data:read",), user_id=user_id, **options)

    async def is_good(self, issued: IssuedKey) -> bool:
        """Whether a key is good, on a host that has never seen it."""
        return await neighbour(self).keys.verify(issued.secret.reveal()) is not None

    async def row(self, issued: IssuedKey) -> dict[str, Any]:
        row = await self.dialect.find_by_id(KEY, issued.key.id)
        assert row is not None
        return row


def neighbour(desk: Desk, *, standing: Standing | None = None, **settings: Any) -> Parts:
    """The parts of another process on the same database."""
    return assemble(
        desk.dialect,
        desk.ring,
        SCOPES,
        attrs.evolve(desk.config, **settings),
        audit=desk.audit,
        standing=standing or desk.people,
        notify=desk.emit,
    )


async def furnish(dialect: Dialect, config: DeviceAuthConfig | None = None) -> Desk:
    """Keys on a dialect."""
    await dialect.register(*storage_keys.SCHEMAS, *storage_codes.SCHEMAS)
    desk = Desk(dialect, People(), Recorder(), Ring(), config or DeviceAuthConfig())
    desk.parts = neighbour(desk)
    return desk


@asynccontextmanager
async def desk_of(config: DeviceAuthConfig | None = None, path: str = ":memory:") -> AsyncIterator[Desk]:
    """Keys on SQLite."""
    dialect = await open_sqlite(path)
    try:
        yield await furnish(dialect, config)
    finally:
        await dialect.aclose()


def by(*scopes: str, user_id: str | None = ADA, account_id: str = ACCOUNT, key_id: str | None = None) -> Principal:
    """Somebody who asks, with these scopes."""
    return Principal(account_id=account_id, user_id=user_id, scopes=scopes, key_id=key_id)


def shown_by(issued: IssuedKey) -> Principal:
    """Whoever shows this key."""
    key = issued.key
    return Principal(account_id=key.account_id, user_id=key.user_id, scopes=key.scopes, key_id=key.id)
