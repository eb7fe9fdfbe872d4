"""The device flow without a kernel: its parts on a database, with people who may what a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from objectkernel.secret import Secret
from objectkernel_contracts import GrantableScope, Principal
from objectkernel_device_auth import storage_codes, storage_keys
from objectkernel_device_auth.codes import digest
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import Asker, DeviceAuthorization, OAuthError, TokenAnswer
from objectkernel_device_auth.parts import Parts, assemble
from objectkernel_device_auth.storage_codes import DEVICE_CODE
from objectkernel_system_dialect.contracts import Dialect, Row
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.contrib.accounts.hosts import Recorder, Ring

CLI = "objectkernel-cli"
READ, WRITE = "data:read", "data:write"
SCOPES = (
    GrantableScope(name=READ, description="See the data", role="viewer"),
    GrantableScope(name=WRITE, description="Change the data", role="member"),
    GrantableScope(name="keys:read", description="See keys", role="viewer"),
)
LAPTOP = Asker(address="203.0.113.7", user_agent="atlas/2.1")
PHONE = Asker(address="198.51.100.1", user_agent="Firefox")


class Roles:
    """What people may now.

    Attributes:
        now: by person; who is not in it may all that a role gives.
    """

    def __init__(self) -> None:
        self.now: dict[str, frozenset[str] | None] = {}

    async def scopes(self, account_id: str, user_id: str | None) -> frozenset[str] | None:
        everything = frozenset(scope.name for scope in SCOPES)
        return self.now.get(user_id, everything) if user_id is not None else everything


def person(name: str = "ada", *scopes: str, account: str = "acme", session: str | None = None) -> Principal:
    """Somebody who has signed in."""
    held = scopes or (READ, WRITE)
    return Principal(account_id=account, user_id=name, scopes=held, session_id=session or f"session-of-{name}")


@attrs.define
class Desk:
    """A host's flow, and what it is made of.

    Attributes:
        told: the events that plugins would have got.
        halts: plugins take for ever with them.
    """

    dialect: Dialect
    config: DeviceAuthConfig
    ring: Ring = attrs.field(factory=Ring)
    audit: Recorder = attrs.field(factory=Recorder)
    roles: Roles = attrs.field(factory=Roles)
    told: list[Any] = attrs.field(factory=list)
    halts: bool = False
    parts: Parts = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.parts = self.another()

    def another(self) -> Parts:
        """The parts of another process on the same database."""
        made = (self.dialect, self.ring, SCOPES, self.config)
        return assemble(*made, audit=self.audit, standing=self.roles, notify=self.emit)

    async def emit(self, event: Any) -> None:
        self.told.append(event)
        if self.halts:
            await anyio.sleep_forever()

    @property
    def flow(self) -> Any:
        return self.parts.flow

    async def ask(self, client_id: str = CLI, scope: str | None = READ, **options: Any) -> DeviceAuthorization:
        made: DeviceAuthorization = await self.flow.authorize(client_id, scope, **{"asker": LAPTOP, **options})
        return made

    async def approve(self, asked: DeviceAuthorization, by: Principal | None = None, **options: Any) -> None:
        """Claim and approve, as somebody who has signed in."""
        by = by or person()
        found = await self.flow.claim(asked.user_code, by, asker=PHONE)
        assert found is not None
        assert await self.flow.decide(found.id, "approved", by, **options)

    async def approved(self, client_id: str = CLI, scope: str | None = READ, **options: Any) -> str:
        """A device code that somebody has approved."""
        asked = await self.ask(client_id, scope, **options)
        await self.approve(asked)
        return asked.device_code.reveal()

    async def redeem(self, code: str, client_id: str = CLI, **options: Any) -> TokenAnswer:
        answer: TokenAnswer = await self.flow.redeem(code, client_id, **{"asker": LAPTOP, **options})
        return answer

    async def tokens(self, client_id: str = CLI, scope: str | None = READ, **options: Any) -> TokenAnswer:
        """What a whole flow gives."""
        return await self.redeem(await self.approved(client_id, scope, **options), client_id, **options)

    async def refresh(self, token: Secret[str] | None, client_id: str = CLI, **options: Any) -> TokenAnswer:
        assert token is not None
        answer: TokenAnswer = await self.flow.refresh(token.reveal(), client_id, **options)
        return answer

    async def is_good(self, token: Secret[str]) -> bool:
        """Whether a key is one, looked up anew."""
        self.parts.checks.forget()
        return await self.parts.keys.verify(token.reveal()) is not None

    async def code_row(self, code: str) -> Row:
        """What is kept of a device code."""
        row = await self.dialect.find_one(DEVICE_CODE, {"digest": digest(code)})
        assert row is not None
        return row


async def refusal(call: Any) -> OAuthError:
    """What a call is refused with."""
    try:
        answer = await call
    except OAuthError as error:
        return error
    raise AssertionError(f"it was answered: {answer}")


async def refused(call: Any) -> str:
    """The standard's code of that."""
    return (await refusal(call)).error


async def furnish(dialect: Dialect, **settings: Any) -> Desk:
    """The flow on a dialect."""
    await dialect.register(*storage_keys.SCHEMAS, *storage_codes.SCHEMAS)
    return Desk(dialect, DeviceAuthConfig(**settings))


@asynccontextmanager
async def desk_of(path: str | Path = ":memory:", **settings: Any) -> AsyncIterator[Desk]:
    """The flow on SQLite."""
    dialect = await open_sqlite(str(path))
    try:
        yield await furnish(dialect, **settings)
    finally:
        await dialect.aclose()


@pytest.fixture
async def desk(anyio_backend: str) -> AsyncIterator[Desk]:
    """The device flow on a database in memory."""
    async with desk_of() as made:
        yield made
