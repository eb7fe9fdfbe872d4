"""The plugin `audit`: who changed what, in the system database."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
from objectkernel import Plugin, background, configured_by, contributes, needs, provides
from objectkernel_contracts import (
    AUDIT,
    COMMANDS,
    OFFLINE_AUDIT,
    ROUTERS,
    SCOPES,
    Audit,
    CommandMaker,
    GrantableScope,
    OfflineAudit,
    RouterMaker,
)
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, SYSTEM_SCHEMAS, DataError, EntitySchema

from objectkernel_accounts.audit import AUDIT_ENTRY, AuditTrail
from objectkernel_accounts.audit_config import AuditConfig
from objectkernel_accounts.audit_expiry import AuditExpiry
from objectkernel_accounts.audit_offline import record_offline

if TYPE_CHECKING:
    from click import Command
    from fastapi import APIRouter


class AuditPlugin(Plugin):
    """Provides `AUDIT`, removes what is too old, and shows the trail."""

    name = "audit"
    config = configured_by(AuditConfig)
    dialect = needs(SYSTEM_DIALECT)

    @provides(AUDIT)
    def audit(self) -> Audit:
        return AuditTrail(self.dialect)

    @background(on_crash="restart")
    async def expire(self) -> None:
        expiry = AuditExpiry(self.dialect, timedelta(days=self.config.lifetime_days))
        while True:
            await anyio.sleep(self.config.sweep_seconds)
            try:
                await expiry.sweep()
            except DataError as error:
                self.log.warning("old entries of the audit trail are not removed for now: %s", error)

    @contributes(SYSTEM_SCHEMAS, uses=())
    def entry(self) -> EntitySchema:
        return AUDIT_ENTRY

    @contributes(SCOPES, uses=())
    def read_scope(self) -> GrantableScope:
        return GrantableScope(
            name="audit:read",
            description="Read who changed what in the account",
            role="admin",
            translations={"fr": "Lire qui a changé quoi dans le compte"},
        )

    @contributes(OFFLINE_AUDIT, uses=())
    def offline(self) -> OfflineAudit:
        return record_offline

    @contributes(COMMANDS, uses=())
    def audit_command(self) -> CommandMaker:
        return _audit_command

    @contributes(ROUTERS, uses=("dialect",))
    def routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_accounts.audit_http import audit_router

            return audit_router(self.dialect)

        return make


def _audit_command() -> Command:
    from objectkernel_accounts.audit_commands import audit

    return audit
