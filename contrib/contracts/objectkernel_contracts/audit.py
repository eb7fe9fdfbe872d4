"""The audit trail: who changed what, written once and never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from objectkernel.keys import Extension, Service

from objectkernel_contracts.commands import CommandContext
from objectkernel_contracts.identity import Principal


class Audit(Protocol):
    """Writes the audit trail, in the system database."""

    async def record(
        self,
        action: str,
        subject: str,
        *,
        principal: Principal | None = None,
        account_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an entry. Within a transaction of the system dialect it is kept or undone with the change itself.

        Args:
            action: what was done, as ``noun.verb``: ``package.publish``, ``account.delete``.
            subject: what it was done to, such as ``crm@1.2.0``.
            principal: who did it; None: the host itself, or its operator at a command line.
            account_id: whose it is; without it, the principal's account.
            details: JSON values; never a secret.
        """
        ...


AUDIT = Service[Audit]("audit")
"""The audit trail. A plugin wants it, and records nothing where there is none."""

OfflineAudit: TypeAlias = Callable[[CommandContext, str, str, Mapping[str, Any]], None]
"""Adds an entry (action, subject, details) for a command that has changed something while no kernel ran.

What keeps it from the trail is told on standard error: the change itself is made.
"""

OFFLINE_AUDIT = Extension[OfflineAudit]("offline-audit")
"""The audit trail of commands that need no running kernel."""
