"""The audit trail of recordings: who has made and deleted them, and nothing of their content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from objectkernel_contracts import Audit, Principal

from objectkernel_media_server.contracts import MediaDeleted, MediaEvent, MediaReady

_acting: ContextVar[Principal | None] = ContextVar("acting", default=None)


@contextmanager
def acting_as(principal: Principal) -> Iterator[None]:
    """What is done within the block, by this task and those it starts, is done by somebody."""
    token = _acting.set(principal)
    try:
        yield
    finally:
        _acting.reset(token)


class Trail:
    """Writes entries, each within the transaction of what it tells.

    Args:
        audit: None: there is no trail.
    """

    def __init__(self, audit: Audit | None) -> None:
        self._audit = audit

    async def note(self, event: MediaEvent) -> None:
        """Note that a recording was made, or deleted."""
        action = {MediaReady: "media.create", MediaDeleted: "media.delete"}.get(type(event))
        if self._audit is None or action is None:
            return
        row, by = event.row, _acting.get()
        is_of_account = by is not None and by.account_id == row.account_id
        await self._audit.record(
            action,
            row.id,
            principal=by if is_of_account else None,
            account_id=row.account_id,
            details={"type": row.mime_type, "bytes": row.size_bytes},
        )
