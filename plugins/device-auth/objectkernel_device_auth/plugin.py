"""The plugin: what device-auth's server needs, provides and contributes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio
from objectkernel import Plugin, background, collects, configured_by, contributes, lifespan, needs, on, provides, wants
from objectkernel_contracts import (
    AUDIT,
    COMMANDS,
    CREDENTIAL_VERIFIERS,
    IDENTITY,
    KEY_NAMES,
    KEYRING,
    METRICS,
    ROUTERS,
    SCOPES,
    STANDING,
    AccountDeleting,
    CommandMaker,
    CredentialVerifier,
    FigureSource,
    GrantableScope,
    RouterMaker,
)
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, SYSTEM_SCHEMAS, DataError, EntitySchema

from objectkernel_device_auth import codes, form_tokens, key_scopes, storage_codes, storage_keys
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import API_KEYS, CLIENTS, DEVICE_AUTH, ApiKeys, Clients, DeviceAuth
from objectkernel_device_auth.devices import HostDevices
from objectkernel_device_auth.key_use import WRITTEN_EVERY
from objectkernel_device_auth.parts import PARTS, Parts, assemble
from objectkernel_device_auth.sweeping import sweep
from objectkernel_device_auth.verifying import KeyVerifier

if TYPE_CHECKING:
    from click import Command
    from fastapi import APIRouter

    from objectkernel_device_auth.pages_shared import Pages

LAST_WRITING: Final = 5.0
"""Seconds that the last uses of keys may take to be written when the host stops."""


class DeviceAuthPlugin(Plugin):
    """API keys, the clients that ask for them, and the device flow by which they get them."""

    name = "device-auth"
    config = configured_by(DeviceAuthConfig)
    dialect = needs(SYSTEM_DIALECT)
    keyring = needs(KEYRING)
    parts = needs(PARTS)
    audit = wants(AUDIT)
    standing = wants(STANDING)
    identity = wants(IDENTITY)
    scopes = collects(SCOPES)

    @provides(PARTS, uses=("dialect", "keyring", "audit", "standing", "scopes"))
    def make_parts(self) -> Parts:
        return assemble(
            self.dialect,
            self.keyring,
            self.scopes,
            self.config,
            audit=self.audit,
            standing=self.standing,
            notify=self.context.notify,
        )

    @provides(API_KEYS, uses=("parts",))
    def api_keys(self) -> ApiKeys:
        return self.parts.keys

    @provides(CLIENTS, uses=("parts",))
    def clients(self) -> Clients:
        return self.parts.clients

    @provides(DEVICE_AUTH, uses=("parts",))
    def device_auth(self) -> DeviceAuth:
        return self.parts.flow

    @contributes(CREDENTIAL_VERIFIERS, uses=("parts",))
    def verifier(self) -> CredentialVerifier:
        return KeyVerifier(self.parts.checks)

    @on(AccountDeleting)
    async def account_deleting(self, event: AccountDeleting) -> None:
        await self.parts.keys.forget_account(event.account_id)

    # --- in the background ------------------------------------------------------------------------

    @background(on_crash="restart")
    async def tidy(self) -> None:
        """Remove what has ended."""
        await self._again_and_again(lambda: sweep(self.dialect), self.config.sweep_every)

    @background(on_crash="restart")
    async def write_use(self) -> None:
        """Write when keys were used."""
        await self._again_and_again(self.parts.use.write, WRITTEN_EVERY)

    @lifespan
    async def write_last_use(self) -> AsyncIterator[None]:
        yield
        with anyio.move_on_after(LAST_WRITING):
            try:
                await self.parts.use.write()
            except DataError as error:
                self.log.warning("when keys were used last is not written: %s", error)

    async def _again_and_again(self, job: Callable[[], Awaitable[object]], every: float) -> None:
        while True:
            await anyio.sleep(every)
            try:
                await job()
            except DataError as error:
                self.log.warning("housekeeping has to wait: %s", error)

    # --- tables, secrets, scopes ------------------------------------------------------------------

    @contributes(SYSTEM_SCHEMAS, uses=())
    def key_schema(self) -> EntitySchema:
        return storage_keys.KEY

    @contributes(SYSTEM_SCHEMAS, uses=())
    def client_schema(self) -> EntitySchema:
        return storage_keys.CLIENT

    @contributes(SYSTEM_SCHEMAS, uses=())
    def code_schema(self) -> EntitySchema:
        return storage_codes.DEVICE_CODE

    @contributes(SYSTEM_SCHEMAS, uses=())
    def family_schema(self) -> EntitySchema:
        return storage_codes.FAMILY

    @contributes(SYSTEM_SCHEMAS, uses=())
    def refresh_schema(self) -> EntitySchema:
        return storage_codes.REFRESH_TOKEN

    @contributes(SYSTEM_SCHEMAS, uses=())
    def budget_schema(self) -> EntitySchema:
        return storage_codes.BUDGET

    @contributes(KEY_NAMES, uses=())
    def code_keys(self) -> str:
        return codes.CODE_KEYS

    @contributes(KEY_NAMES, uses=())
    def form_keys(self) -> str:
        return form_tokens.FORM_KEYS

    @contributes(SCOPES, uses=())
    def read_scope(self) -> GrantableScope:
        return key_scopes.MAY_READ

    @contributes(SCOPES, uses=())
    def write_scope(self) -> GrantableScope:
        return key_scopes.MAY_WRITE

    @contributes(SCOPES, uses=())
    def manage_scope(self) -> GrantableScope:
        return key_scopes.MAY_MANAGE

    # --- routes, commands, figures ----------------------------------------------------------------

    @contributes(ROUTERS, uses=("parts",))
    def key_routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_device_auth.key_http import key_router

            return key_router(self.parts.keys)

        return make

    @contributes(ROUTERS, uses=("parts",))
    def oauth_routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_device_auth.oauth_http import OAuthServer, oauth_router

            parts = self.parts
            return oauth_router(
                OAuthServer(flow=parts.flow, clients=parts.clients, scopes=parts.scopes, config=self.config)
            )

        return make

    @contributes(ROUTERS, uses=("parts", "identity", "keyring", "scopes"))
    def device_routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_device_auth.device_pages import device_router

            return device_router(self._pages(), self.parts.flow)

        return make

    @contributes(ROUTERS, uses=("parts", "identity", "keyring", "scopes"))
    def devices_routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_device_auth.devices_pages import devices_router

            devices = HostDevices(self.dialect, self.parts.keys, self.parts.endings, self.parts.checks.forget)
            return devices_router(self._pages(), devices, self.parts.clients)

        return make

    def _pages(self) -> Pages:
        from objectkernel_device_auth.pages_shared import Pages

        return Pages(self.identity, self.keyring, self.scopes)

    @contributes(COMMANDS, uses=())
    def keys_command(self) -> CommandMaker:
        return _keys_command

    @contributes(COMMANDS, uses=())
    def clients_command(self) -> CommandMaker:
        return _clients_command

    @contributes(METRICS, uses=("parts",))
    def figures(self) -> FigureSource:
        return self.parts.checks.figures

    @contributes(METRICS, uses=("parts",))
    def flow_figures(self) -> FigureSource:
        return self.parts.flow.ground.figures


def _keys_command() -> Command:
    from objectkernel_device_auth.key_commands import keys

    return keys


def _clients_command() -> Command:
    from objectkernel_device_auth.client_commands import clients

    return clients
