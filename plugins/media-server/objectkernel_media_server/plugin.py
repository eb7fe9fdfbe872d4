"""The plugin: what media-server needs, provides and contributes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final

import anyio
from objectkernel import (
    Plugin,
    PluginContext,
    background,
    configured_by,
    contributes,
    hookimpl,
    needs,
    on,
    provides,
    wants,
)
from objectkernel.errors import KernelError
from objectkernel_contracts import (
    AUDIT,
    COMMANDS,
    KEY_NAMES,
    KEYRING,
    METRICS,
    ROUTERS,
    SCOPES,
    AccountDeleting,
    CommandMaker,
    Figure,
    FigureSource,
    GrantableScope,
    RouterMaker,
)
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, SYSTEM_SCHEMAS, DataError, EntitySchema

from objectkernel_media_server import entities, scopes, upload_entities
from objectkernel_media_server.config import MediaServerConfig
from objectkernel_media_server.contracts import MEDIA, STORAGE, MediaService, Storage
from objectkernel_media_server.findings import link_findings
from objectkernel_media_server.opening import LINK_KEYS, open_storage
from objectkernel_media_server.parts import PARTS, Parts, assemble, links_of

if TYPE_CHECKING:
    from click import Command
    from fastapi import APIRouter

SPREAD: Final = 0.2
"""By how much the time between collections varies, so that several hosts do not collect at once."""


class MediaServerPlugin(Plugin):
    """Recordings of each account, and the store that holds their bytes."""

    name = "media-server"
    config = configured_by(MediaServerConfig)
    dialect = needs(SYSTEM_DIALECT)
    storage = needs(STORAGE)
    parts = needs(PARTS)
    keyring = wants(KEYRING)
    audit = wants(AUDIT)

    @provides(STORAGE, uses=("keyring",))
    async def store(self) -> AsyncIterator[Storage]:
        storage = await open_storage(self.config, self.keyring)
        try:
            yield storage
        finally:
            await storage.aclose()

    @provides(PARTS, uses=("dialect", "storage", "audit"))
    def make_parts(self) -> Parts:
        return assemble(self.dialect, self.storage, self.config, audit=self.audit)

    @provides(MEDIA, uses=("parts",))
    def media(self) -> MediaService:
        return self.parts.media

    @on(AccountDeleting)
    async def account_deleting(self, event: AccountDeleting) -> None:
        await self.parts.leaving.leave(event.account_id, event.successor_id)

    @hookimpl
    def kernel_findings(self, kernel: PluginContext) -> Iterable[KernelError]:
        return link_findings(self.config, self.storage)

    # --- in the background ------------------------------------------------------------------------

    @background(on_crash="restart")
    async def deliver_events(self) -> None:
        """Tell whoever subscribed what happened to recordings."""
        await self.parts.outbox.run(self.context.notify, self.config.events_every)

    @background(on_crash="restart")
    async def collect_garbage(self) -> None:
        """Remove what nobody needs."""
        while every := self.config.collect_every:
            await anyio.sleep(every * random.uniform(1 - SPREAD, 1 + SPREAD))
            try:
                report = await self.parts.collector.collect()
            except DataError as error:
                self.log.warning("garbage collection has to wait: %s", error)
                continue
            for trouble in report.trouble:
                self.log.warning("garbage collection could not do all: %s", trouble)
            if report.total:
                self.log.info("collected %s", {kind: count for kind, count in report.counts.items() if count})

    # --- tables, secrets, scopes ------------------------------------------------------------------

    @contributes(SYSTEM_SCHEMAS, uses=())
    def media_schema(self) -> EntitySchema:
        return entities.MEDIA

    @contributes(SYSTEM_SCHEMAS, uses=())
    def usage_schema(self) -> EntitySchema:
        return entities.USAGE

    @contributes(SYSTEM_SCHEMAS, uses=())
    def outbox_schema(self) -> EntitySchema:
        return entities.OUTBOX

    @contributes(SYSTEM_SCHEMAS, uses=())
    def upload_schema(self) -> EntitySchema:
        return upload_entities.UPLOAD

    @contributes(KEY_NAMES, uses=())
    def link_keys(self) -> str:
        return LINK_KEYS

    @contributes(SCOPES, uses=())
    def may_read(self) -> GrantableScope:
        return scopes.MAY_READ

    @contributes(SCOPES, uses=())
    def may_write(self) -> GrantableScope:
        return scopes.MAY_WRITE

    # --- routes, commands, figures ----------------------------------------------------------------

    @contributes(ROUTERS, uses=("parts",))
    def routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_media_server.http import media_router

            parts = self.parts
            return media_router(parts.media, parts.uploads, links=links_of(parts.storage))

        return make

    @contributes(METRICS, uses=("parts",))
    def figures(self) -> FigureSource:
        parts = self.parts

        def tell() -> Iterable[Figure]:
            yield from parts.tally.figures()
            yield from parts.outbox.figures()

        return tell

    @contributes(COMMANDS, uses=())
    def commands(self) -> CommandMaker:
        return media_command


def media_command() -> Command:
    """Make ``objectkernel media``; click is imported here and not with the plugin."""
    from objectkernel_media_server.commands import media

    return media
