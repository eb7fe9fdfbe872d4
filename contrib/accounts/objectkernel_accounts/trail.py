"""Changes that leave an entry in the audit trail, and nothing in memory of how things were."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from objectkernel_contracts import Audit, Principal
from objectkernel_system_dialect.contracts import Dialect


class Trail:
    """Makes changes of the system database, each together with its entry.

    Args:
        audit: None: there is no trail.
        forget: called after each change.
    """

    def __init__(self, dialect: Dialect, audit: Audit | None, forget: Callable[[], None]) -> None:
        self._dialect = dialect
        self._audit = audit
        self._forget = forget

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """A transaction; once it is over, every session is looked up anew."""
        try:
            async with self._dialect.transaction():
                yield
        finally:
            self._forget()

    async def note(
        self, action: str, subject: str, *, by: Principal | None, account_id: str | None = None, **details: Any
    ) -> None:
        """Add an entry, within the transaction of what it tells."""
        if self._audit is not None:
            told = {name: value for name, value in details.items() if value is not None}
            await self._audit.record(action, subject, principal=by, account_id=account_id, details=told or None)
