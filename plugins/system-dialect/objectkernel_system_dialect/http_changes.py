"""What a request changes, for the audit trail: which row and which fields, never their values, or which database."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import anyio
import attrs
from objectkernel_contracts import Audit, Principal

from objectkernel_system_dialect.errors import DatabaseBusy, DataError
from objectkernel_system_dialect.http_entities import Asked
from objectkernel_system_dialect.http_idempotency import Answer
from objectkernel_system_dialect.rest_api import TENANT_HEADER, key_path, path_name

T = TypeVar("T")

LOG: Final = logging.getLogger("objectkernel.plugin.system-dialect")
PATIENCE: Final = 10.0
"""Seconds that an entry may take: where the trail is in another database, whoever holds that one may be waiting for the
very write that the entry tells of.
"""


@attrs.define
class Change:
    """A write, told in parts while it is made.

    Attributes:
        operation: its name among the routes.
        key: of the one row, as JSON has it.
        details: what else there is to say.
    """

    operation: str
    key: Iterable[Any] | None = None
    details: dict[str, Any] = attrs.field(factory=dict)

    @property
    def action(self) -> str:
        """What the trail calls it."""
        return f"data.{self.operation.replace('_', '-')}"


class Changes:
    """Makes writes together with their entries; without an audit trail, alone."""

    def __init__(self, audit: Audit | None) -> None:
        self._audit = audit

    async def made(self, asked: Asked, change: Change, run: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `run` answers. Its entry is made before its transaction ends: no change is without one.

        Where the trail is in another database, an entry may stay of a change that was undone at its very end.
        """
        if self._audit is None:
            return await run()
        atomic = "transaction" in asked.dialect.capabilities
        async with asked.dialect.transaction() if atomic else nullcontext():
            answer = await run()
            await self._record(self._audit, asked, change)
        return answer

    async def _record(self, audit: Audit, asked: Asked, change: Change) -> None:
        tenant = asked.request.headers.get(TENANT_HEADER)
        await _in_time(
            audit.record,
            change.action,
            "/".join((path_name(asked.schema), *(() if change.key is None else (key_path(change.key),)))),
            principal=asked.principal,
            account_id=None if tenant is None else unquote(tenant),
            details={**asked.database, **change.details} or None,
        )


class Switches:
    """Changes which database is used, between two entries; without an audit trail, alone."""

    def __init__(self, audit: Audit | None) -> None:
        self._audit = audit

    async def made(
        self,
        principal: Principal,
        action: str,
        subject: str,
        switch: Callable[[], Awaitable[T]],
        told: Callable[[T], dict[str, Any]] = lambda outcome: {},
    ) -> T:
        """What `switch` returns.

        Its first entry is made where the trail is before, so that no switch is without one. The second says that it is
        done, and may be in another database: that of the system moves along where it is no other than the business one.

        Args:
            told: what the second entry says of what `switch` has returned.
        """
        if self._audit is None:
            return await switch()
        record = self._audit.record
        await _in_time(record, action, subject, principal=principal, details={"state": "begun"})
        outcome = await switch()
        details = {"state": "done", **told(outcome)}
        try:
            await _in_time(record, action, subject, principal=principal, details=details)
        except DataError as error:  # it is done, and its first entry is there
            LOG.warning("the audit trail does not say that %s %s is done: %s", action, subject, error.what)
        return outcome


async def _in_time(record: Callable[..., Awaitable[None]], action: str, subject: str, **more: Any) -> None:
    """Make an entry.

    Raises:
        DatabaseBusy: it would have to wait for too long.
    """
    with anyio.move_on_after(PATIENCE):
        await record(action, subject, **more)
        return
    raise DatabaseBusy(
        "the audit trail could not be added to",
        why=f"its database did not take the entry within {PATIENCE:g} seconds",
        fix="try again; in a transaction of the system database nobody may wait for a write of the business data",
        database="the system database",
        reason="timeout",
    )
