"""The plugin: what accounts needs, provides and contributes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio
from objectkernel import Plugin, background, collects, configured_by, contributes, needs, provides, wants
from objectkernel_contracts import (
    AUDIT,
    COMMANDS,
    CREDENTIAL_VERIFIERS,
    IDENTITY,
    KEY_NAMES,
    KEYRING,
    ROUTERS,
    SCOPES,
    STANDING,
    CommandMaker,
    GrantableScope,
    Identity,
    RouterMaker,
    Standing,
)
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, SYSTEM_SCHEMAS, DataError, EntitySchema

from objectkernel_accounts import parts, storage
from objectkernel_accounts.config import AccountsConfig
from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE, Accounts, People
from objectkernel_accounts.identity import Grants, HostIdentity
from objectkernel_accounts.parts import PARTS, Parts, assemble
from objectkernel_accounts.standing import HostStanding
from objectkernel_accounts.sweeping import sweep

if TYPE_CHECKING:
    from click import Command
    from fastapi import APIRouter


class AccountsPlugin(Plugin):
    """Accounts, people and sessions in the system database, the pages to sign in, and who is calling."""

    name = "accounts"
    config = configured_by(AccountsConfig)
    dialect = needs(SYSTEM_DIALECT)
    keyring = needs(KEYRING)
    parts = needs(PARTS)
    audit = wants(AUDIT)
    verifiers = collects(CREDENTIAL_VERIFIERS)
    scopes = collects(SCOPES)

    @provides(PARTS, uses=("dialect", "keyring", "audit"))
    def make_parts(self) -> Parts:
        return assemble(self.dialect, self.keyring, self.audit, self.context.emit, self.config)

    @provides(ACCOUNTS, uses=("parts",))
    def accounts(self) -> Accounts:
        return self.parts.accounts

    @provides(PEOPLE, uses=("parts",))
    def people(self) -> People:
        return self.parts.people

    @provides(IDENTITY, uses=("parts", "verifiers", "scopes"))
    def identity(self) -> Identity:
        return HostIdentity(self.parts.sessions, Grants(self.scopes), self.verifiers, self.config.base_url)

    @provides(STANDING, uses=("dialect", "scopes"))
    def standing(self) -> Standing:
        return HostStanding(self.dialect, Grants(self.scopes))

    @background(on_crash="restart")
    async def tidy(self) -> None:
        """Remove what has expired."""
        await self._again_and_again(lambda: sweep(self.dialect))

    @background(on_crash="restart")
    async def finish_deletions(self) -> None:
        """Go on with deletions that were left; a plugin that hangs in one of them keeps nothing else waiting."""
        await self._again_and_again(self.parts.deletions.resume)

    async def _again_and_again(self, job: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await job()
            except DataError as error:
                self.log.warning("tidying up has to wait: %s", error)
            await anyio.sleep(self.config.sweep_every)

    @contributes(SYSTEM_SCHEMAS, uses=())
    def account_schema(self) -> EntitySchema:
        return storage.ACCOUNT

    @contributes(SYSTEM_SCHEMAS, uses=())
    def user_schema(self) -> EntitySchema:
        return storage.USER

    @contributes(SYSTEM_SCHEMAS, uses=())
    def membership_schema(self) -> EntitySchema:
        return storage.MEMBERSHIP

    @contributes(SYSTEM_SCHEMAS, uses=())
    def session_schema(self) -> EntitySchema:
        return storage.SESSION

    @contributes(SYSTEM_SCHEMAS, uses=())
    def link_schema(self) -> EntitySchema:
        return storage.LINK

    @contributes(SYSTEM_SCHEMAS, uses=())
    def attempts_schema(self) -> EntitySchema:
        return storage.ATTEMPTS

    @contributes(KEY_NAMES, uses=())
    def form_keys(self) -> str:
        return parts.FORM_KEYS

    @contributes(KEY_NAMES, uses=())
    def device_keys(self) -> str:
        return parts.DEVICE_KEYS

    @contributes(SCOPES, uses=())
    def read_members(self) -> GrantableScope:
        return GrantableScope(
            name="members:read",
            description="See who is in the account",
            role="viewer",
            translations={"fr": "Voir qui fait partie du compte"},
        )

    @contributes(SCOPES, uses=())
    def write_members(self) -> GrantableScope:
        return GrantableScope(
            name="members:write",
            description="Invite people, change their roles",
            role="admin",
            translations={"fr": "Inviter des personnes, changer leurs rôles"},
        )

    @contributes(ROUTERS, uses=("parts", "scopes"))
    def routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_accounts.http import accounts_router

            return accounts_router(self.parts)

        return make

    @contributes(COMMANDS, uses=())
    def commands(self) -> CommandMaker:
        return accounts_command


def accounts_command() -> Command:
    """Make ``objectkernel accounts``; click is imported here and not with the plugin."""
    from objectkernel_accounts.commands import accounts

    return accounts
