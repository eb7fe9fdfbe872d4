"""Changes that leave an entry in the audit trail."""

from __future__ import annotations

from typing import Any

from objectkernel_contracts import Audit, Principal


class Trail:
    """Writes entries, each within the transaction of what it tells.

    Args:
        audit: None: there is no trail.
    """

    def __init__(self, audit: Audit | None) -> None:
        self._audit = audit

    async def note(
        self, action: str, subject: str, *, by: Principal | None = None, account_id: str | None = None, **details: Any
    ) -> None:
        """Add an entry; details that are None are left out."""
        if self._audit is not None:
            told = {name: value for name, value in details.items() if value is not None}
            await self._audit.record(action, subject, principal=by, account_id=account_id, details=told or None)
