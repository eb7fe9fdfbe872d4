"""Entries of commands that change something while no kernel runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import anyio
from objectkernel.errors import KernelError
from objectkernel_contracts import CommandContext, OfflineAudit
from objectkernel_system_dialect.contracts import OFFLINE_SYSTEM, Dialect

from objectkernel_accounts.audit import AuditTrail


def record_offline(context: CommandContext, action: str, subject: str, details: Mapping[str, Any]) -> None:
    """Add an entry to the system database, which is opened for it; see `OFFLINE_AUDIT`."""
    try:
        for opened_for in context.kernel().contributions(OFFLINE_SYSTEM):
            opened = opened_for(context)
            if opened is not None:  # else there is no trail yet
                anyio.run(_record, opened, action, subject, details)
    except KernelError as error:
        print(f"the audit trail has no entry of {action} {subject}: [{error.code}] {error.what}", file=sys.stderr)


async def _record(
    opened: AbstractAsyncContextManager[Dialect], action: str, subject: str, details: Mapping[str, Any]
) -> None:
    async with opened as dialect:
        await AuditTrail(dialect).record(action, subject, details=details)


if TYPE_CHECKING:
    _is_offline_audit: OfflineAudit = record_offline
