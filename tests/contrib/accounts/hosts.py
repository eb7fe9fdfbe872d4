"""Accounts without a kernel: their parts on a database, with a keyring and an audit trail that tests can look into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
from objectkernel_accounts.config import AccountsConfig
from objectkernel_accounts.contracts import Membership
from objectkernel_accounts.parts import Parts, assemble
from objectkernel_accounts.passwords import Hardness
from objectkernel_accounts.sessions import Client, Session
from objectkernel_accounts.sign_in import SignedIn
from objectkernel_accounts.storage import SCHEMAS
from objectkernel_contracts import NamedKey, Principal
from objectkernel_system_dialect.contracts import Dialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

PASSWORD = "correct horse battery staple"
OTHER = "an entirely different phrase"
QUICK = Hardness(memory=64, iterations=1)
HOME = Client(address="192.0.2.1", agent="Firefox")
AWAY = Client(address="198.51.100.7", agent="curl")


class Ring:
    """A keyring whose keys tests change."""

    def __init__(self) -> None:
        self.ids = ["first"]

    def current(self, name: str) -> NamedKey:
        return self.keys(name)[0]

    def keys(self, name: str) -> tuple[NamedKey, ...]:
        return tuple(NamedKey(id=id, secret=f"{name}-{id}".encode().ljust(32, b".")) for id in self.ids)

    def find(self, name: str, id: str) -> NamedKey | None:
        return next((key for key in self.keys(name) if key.id == id), None)


@attrs.frozen
class Entry:
    action: str
    subject: str
    by: str | None
    account_id: str | None
    details: Mapping[str, Any]


class Recorder:
    """An audit trail in memory. It keeps what was undone: tests of that look at the real one."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def record(
        self,
        action: str,
        subject: str,
        *,
        principal: Principal | None = None,
        account_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        by = None if principal is None else principal.user_id
        account_id = account_id or (None if principal is None else principal.account_id)
        self.entries.append(Entry(action, subject, by, account_id, details or {}))

    @property
    def actions(self) -> list[str]:
        return [entry.action for entry in self.entries]


@attrs.define
class House:
    """A host's accounts, and what they are made of.

    Attributes:
        told: the events that plugins would have got.
        refusing: raised instead of telling them.
    """

    dialect: Dialect
    ring: Ring
    audit: Recorder
    parts: Parts = attrs.field(init=False)
    told: list[Any] = attrs.field(factory=list)
    refusing: Exception | None = None

    async def emit(self, event: Any) -> None:
        self.told.append(event)
        if self.refusing is not None:
            raise self.refusing

    async def admin(self, login: str = "ada@example.org", **options: Any) -> Membership:
        return await self.parts.people.create_admin(login, PASSWORD, **options)

    async def member(self, account_id: str, login: str, role: Any = "member") -> Membership:
        """Somebody new who has joined an account."""
        link = await self.parts.people.invite(login, account_id, role)
        return await self.parts.people.accept(link.token.reveal(), PASSWORD)

    async def sign_in(
        self, login: str = "ada@example.org", password: str = PASSWORD, client: Client = HOME, **options: Any
    ) -> SignedIn:
        return await self.parts.sign_in.sign_in(login, password, client, **options)

    async def session(self, signed_in: SignedIn, client: Client = HOME) -> Session | None:
        """What the token of a session leads to."""
        return await self.parts.sessions.find(signed_in.session.token.reveal(), secure=client.secure)

    async def signed_in(self, login: str = "ada@example.org", **options: Any) -> Session:
        session = await self.session(await self.sign_in(login, **options))
        assert session is not None
        return session


async def furnish(dialect: Dialect, config: AccountsConfig | None = None) -> House:
    """Accounts on a dialect."""
    await dialect.register(*SCHEMAS)
    house = House(dialect, Ring(), Recorder())
    house.parts = rooms(house, config)
    return house


def rooms(house: House, config: AccountsConfig | None = None) -> Parts:
    """The parts of another process on the same database."""
    chosen = config or AccountsConfig()
    return assemble(house.dialect, house.ring, house.audit, house.emit, chosen, QUICK)


def by(membership: Membership, *scopes: str) -> Principal:
    """Whoever has this membership, in its account."""
    return Principal(account_id=membership.account.id, user_id=membership.user.id, scopes=scopes)


@asynccontextmanager
async def housed(config: AccountsConfig | None = None, path: str = ":memory:") -> AsyncIterator[House]:
    """Accounts on SQLite."""
    dialect = await open_sqlite(path)
    try:
        yield await furnish(dialect, config)
    finally:
        await dialect.aclose()
