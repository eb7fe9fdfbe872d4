"""How anything of a package is changed: all at once, as the next number of its history, and told to the audit trail.

A change looks at the package, decides, and takes its number before it writes anything else. Of two at once only one
can have the number; of the other one nothing is done, and it looks again. That holds on every database, between any
number of hosts; the changes of one host to one package wait for each other besides, to spare each other the trouble.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar
from weakref import WeakValueDictionary

import anyio
import attrs
from objectkernel_contracts import Audit
from objectkernel_system_dialect.contracts import DatabaseBusy, Dialect, DuplicateKey, Row, ValueInvalid
from sqlalchemy import Delete, Insert, Update

from objectkernel_package_service.answering import answering
from objectkernel_package_service.calling import Caller
from objectkernel_package_service.contracts import HistoryAction, PackageDamaged, PackageInvalid, Problem
from objectkernel_package_service.integrity import Integrity
from objectkernel_package_service.queries import OF_HEAD, Queries, Query
from objectkernel_package_service.state import Head, State, States

T = TypeVar("T")

Step: TypeAlias = tuple[Insert | Update | Delete | Query, Mapping[str, Any]]
"""A statement and its parameters."""

PAUSE: Final = 0.02
"""Seconds that a change waits at most before it looks again, where another one of its package came first."""
PATIENCE: Final = 100
"""How often a change is tried: far more often than others can come first by chance."""


@attrs.frozen(kw_only=True)
class Entry:
    """What the history tells of one version, or with None of the package as a whole."""

    version: str | None
    hash: str | None = None
    action: HistoryAction | None = None
    """None: that of the change."""


@attrs.frozen(kw_only=True)
class Change(Generic[T]):
    """What is to be done, and what is told of it.

    Attributes:
        steps: statements, all of which run or none.
        answer: what to answer, from the rows of the last step.
        entries: of the history, in their order; none: there is nothing to do, and no step.
    """

    answer: Callable[[Sequence[Row]], T]
    steps: Sequence[Step] = ()
    action: HistoryAction = "repair"
    entries: tuple[Entry, ...] = ()
    details: Mapping[str, Any] = attrs.field(factory=dict)


def nothing_but(answer: T) -> Change[T]:
    """No change: the answer is known."""
    return Change(answer=lambda _: answer)


Plan: TypeAlias = Callable[[State], Awaitable[Change[T]]]


class Changes:
    """Makes changes in one dialect."""

    def __init__(self, dialect: Dialect, queries: Queries, integrity: Integrity, audit: Audit | None) -> None:
        self.dialect = dialect
        self.queries = queries
        self._states = States(dialect, queries, integrity)
        self.integrity = integrity
        self._audit = audit
        self._turns: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    async def make(self, doing: str, id: str, version: str | None, caller: Caller, plan: Plan[T]) -> T:
        """Look at a package and one version of it (None: at no one's), decide with `plan`, and do that."""
        turn = self._turns.get(id)
        if turn is None:
            turn = self._turns[id] = anyio.Lock(fast_acquire=True)
        async with turn:
            with answering(doing):
                try:
                    return await self._make(id, version, caller, plan)
                except PackageDamaged as error:
                    raise self.integrity.noted(error) from error
                except ValueInvalid as error:
                    raise _not_taken(doing, error) from error

    async def _make(self, id: str, version: str | None, caller: Caller, plan: Plan[T]) -> T:
        for attempt in range(1, PATIENCE + 1):
            state = await self._states.read(id, version or "")
            change = await plan(state)
            if not change.entries:
                return change.answer(())
            try:
                return change.answer(await self._write(state, version, change, caller))
            except (DuplicateKey, DatabaseBusy):
                if attempt == PATIENCE:
                    raise
            await anyio.sleep(random.uniform(0, PAUSE))
        raise AssertionError("the last attempt returns or raises")

    async def _write(self, state: State, version: str | None, change: Change[T], caller: Caller) -> list[Row]:
        numbers = [(self.queries.number, row) for row in _numbered(state, change, caller)]
        if self._audit is None:
            return (await self.dialect.execute_all([*numbers, *change.steps]))[-1]
        async with self.dialect.transaction():
            rows = await self.dialect.execute_all([*numbers, *change.steps])
            await self._tell(self._audit, state, version, change, caller)
        return rows[-1]

    async def _tell(self, audit: Audit, state: State, version: str | None, change: Change[T], caller: Caller) -> None:
        hashes = {entry.version: entry.hash for entry in change.entries if entry.hash is not None}
        await audit.record(
            f"package.{change.action}",
            state.id if version is None else f"{state.id}@{version}",
            principal=caller.principal,
            account_id=caller.account or (state.head.owner if state.head else None),
            details={**change.details, **({"hashes": hashes} if hashes else {})},
        )

    def head(self, state: State, columns: Mapping[str, Any], *, new_owner: str | None = None) -> tuple[Head, Step]:
        """The head of a package with other columns, and the step to it; its `latest` comes right in any case.

        To be taken behind those that change versions.

        Args:
            new_owner: of a package that has no head yet.
        """
        said = {name: value for name, value in columns.items() if name in OF_HEAD}
        if state.head is None:
            visibility = "private" if state.exists else "public"  # whose it was is lost: then better nobody sees it
            head = Head(**{"owner": new_owner, "visibility": visibility, "policy": "mutable", "tags": {}, **said})
            made = {"package": state.id, "id": state.id, "words": state.id, **columns}
            return head, (self.queries.make_head, {**made, **attrs.asdict(head)})
        mended: dict[str, Any] = {name: getattr(state.head, name) for name in OF_HEAD if name in state.illegible}
        return attrs.evolve(state.head, **said), (self.queries.settle, {"package": state.id, **mended, **columns})


def _not_taken(doing: str, error: ValueInvalid) -> PackageInvalid:
    """The error for what passed every check here, and is too large for this database all the same."""
    return PackageInvalid(
        f"{doing}: the database does not take it, and nothing was changed",
        [Problem("$", why) for why in error.why or (error.what,)],
        fix="make the package smaller, or let the server take more at once (MariaDB and MySQL: max_allowed_packet)",
    )


def _numbered(state: State, change: Change[T], caller: Caller) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {
            "id": state.id,
            "number": state.number + position,
            "action": entry.action or change.action,
            "version": entry.version,
            "hash": entry.hash,
            "details": dict(change.details),
            "by": caller.account,
            "at": now,
        }
        for position, entry in enumerate(change.entries, start=1)
    ]
