"""`ProjectDialect`: the dialect of a project, the same object for as long as anybody holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast

from anyio import CancelScope
from objectkernel_system_dialect.contracts import (
    DATA_PLANE_SCHEMAS,
    Capability,
    Dialect,
    EntitySchema,
    Filter,
    OperationUnsupported,
    Page,
    Row,
    Sort,
)

from objectkernel_project_life.errors import ProjectNotServed
from objectkernel_project_life.gate import Gate, not_served
from objectkernel_project_life.opened import Opened

if TYPE_CHECKING:
    from sqlalchemy import Table

P = ParamSpec("P")
Answer = TypeVar("Answer", bound=Coroutine[Any, Any, Any])

ALL: Final[frozenset[Capability]] = frozenset({"execute", "json", "regex", "transaction"})
CAPABILITIES: Final[Mapping[str, frozenset[Capability]]] = {
    "sqlite": frozenset({"execute", "json", "transaction"}),
    "postgres": ALL,
    "mariadb": ALL,
    "mysql": ALL,
}
"""What kinds of databases can, for as long as no connection has told."""


class _Pin:
    """Says that a block runs in a transaction: what happens in it goes to the connection that has begun it."""

    __slots__ = ("gate", "opened", "outer")

    def __init__(self, gate: Gate, opened: Opened, outer: _Pin | None) -> None:
        self.gate = gate
        self.opened: Opened | None = opened
        self.outer = outer


_pins: Final[ContextVar[_Pin | None]] = ContextVar("objectkernel-project-transactions", default=None)


def _pinned(gate: Gate) -> Opened | None:
    """The connection of the transaction of this project that the task is in."""
    pin = _pins.get()
    while pin is not None:
        if pin.gate is gate and pin.opened is not None:
            return pin.opened
        pin = pin.outer
    return None


def _passed_on(
    operation: Callable[Concatenate[Dialect, P], Answer],
) -> Callable[Concatenate[ProjectDialect, P], Answer]:
    """The operation of the same name on the connection that it finds when it is awaited, and is counted in."""
    name = operation.__name__

    @wraps(operation)
    async def passed_on(self: ProjectDialect, *args: P.args, **kwargs: P.kwargs) -> Any:
        gate = self._gate
        pinned = None if _pins.get() is None else _pinned(gate)
        opened = pinned or gate.current or await gate.connected()
        if opened.is_quick:
            opened.begin()
            try:
                dialect = opened.dialect if self._tenant is None else self._seen_by_tenant(opened)
                return await getattr(dialect, name)(*args, **kwargs)
            finally:
                opened.finish()
        scope = CancelScope()
        opened.enter(scope)
        try:
            with scope:
                dialect = opened.dialect if self._tenant is None else self._seen_by_tenant(opened)
                return await getattr(dialect, name)(*args, **kwargs)
        finally:
            opened.leave(scope)
        raise _cut_off(gate)

    return cast("Callable[Concatenate[ProjectDialect, P], Answer]", passed_on)


class ProjectDialect:
    """A project's own database. It is connected to when somebody needs it, and no other is ever behind it.

    An operation, a stream or a transaction stays with the connection that it began with; all of a transaction's block
    goes there, in its task and those it starts. While the project is not served, operations raise `ProjectNotServed`;
    where its database cannot be opened, `ProjectUnavailable`.
    """

    def __init__(self, gate: Gate, tenant: tuple[Any] | None = None) -> None:
        self._gate = gate
        self._tenant = tenant
        self._seen: tuple[Opened | None, Dialect | None] = (None, None)

    def _behind(self, opened: Opened) -> Dialect:
        return opened.dialect if self._tenant is None else self._seen_by_tenant(opened)

    def _seen_by_tenant(self, opened: Opened) -> Dialect:
        """A connection as the tenant sees it; the last one is kept."""
        assert self._tenant is not None
        of, dialect = self._seen
        if dialect is None or of is not opened:
            dialect = opened.dialect.as_tenant(*self._tenant)
            self._seen = opened, dialect
        return dialect

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[Opened]:
        """Count the block in the connection that it finds; it is cancelled when its time is over."""
        gate = self._gate
        opened = _pinned(gate) or gate.current or await gate.connected()
        scope = CancelScope()
        opened.enter(scope)
        try:
            with scope:
                yield opened
        finally:
            opened.leave(scope)
        if scope.cancelled_caught:
            raise _cut_off(gate)

    # --- Dialect: what is answered without a connection, where there is none --------------------------------

    @property
    def name(self) -> str:
        """Which kind of database this is."""
        opened = self._gate.current
        return self._gate.kind if opened is None else opened.dialect.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the database can beyond the operations that all have."""
        opened = self._gate.current
        return CAPABILITIES.get(self._gate.kind, frozenset()) if opened is None else opened.dialect.capabilities

    def schemas(self) -> tuple[EntitySchema, ...]:
        """The project's entities, what the data plane keeps beside them, and what was registered here.

        Raises:
            ProjectNotServed: the project is not served.
        """
        gate = self._gate
        if gate.current is not None:
            return gate.current.dialect.schemas()
        return tuple(dict.fromkeys((*gate.schemas(), *DATA_PLANE_SCHEMAS, *gate.more())))

    def table(self, schema: EntitySchema) -> Table:
        """See `Dialect.table`.

        Raises:
            ProjectNotServed: there is no connection yet that could tell.
        """
        opened = _pinned(self._gate) or self._gate.current
        if opened is None:
            raise ProjectNotServed(
                f"{self._gate.name} is not open",
                why="tables are known once there is a connection",
                fix="await `ping` of this dialect before",
                project=self._gate.name,
            )
        return opened.dialect.table(schema)

    def as_tenant(self, tenant: Any) -> Dialect:
        """See `Dialect.as_tenant`."""
        opened = _pinned(self._gate) or self._gate.current
        if opened is not None:  # what is no tenant is refused here and not by every operation
            seen = self._behind(opened).as_tenant(tenant)
            if self._tenant is not None:
                return seen
        return ProjectDialect(self._gate, (tenant,))

    # --- Dialect: operations ------------------------------------------------------------------------------

    async def register(self, *schemas: EntitySchema) -> None:
        """See `Dialect.register`: it holds for every connection that follows, until the project has others so named.

        Raises:
            OperationUnsupported: within a transaction, for a schema that is not registered yet.
        """
        gate = self._gate
        if _pinned(gate) is not None:
            if unknown := [schema for schema in schemas if schema not in self.schemas()]:
                raise OperationUnsupported(
                    f"{unknown[0].name} cannot be registered within a transaction",
                    why="to change tables is to wait for the end of all transactions, also of this one",
                    fix="register it before the transaction begins",
                    dialect=self.name,
                    capability="transaction",
                )
            return
        while True:
            async with self._held() as opened:
                await opened.dialect.register(*schemas)
            gate.remember([schema for schema in schemas if schema not in opened.schemas])
            if gate.current is opened or gate.current is None:  # otherwise it was replaced meanwhile
                return

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """See `Dialect.transaction`."""
        async with self._held() as opened:
            pin = _Pin(self._gate, opened, _pins.get())
            token = _pins.set(pin)
            try:
                async with self._behind(opened).transaction():
                    yield
            finally:
                pin.opened = None  # tasks that were started in the block may outlive it
                _pins.reset(token)

    async def stream(
        self,
        schema: EntitySchema,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        select: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        batch: int = 1000,
    ) -> AsyncIterator[Row]:
        """See `Dialect.stream`: page by page, since each can be cancelled, and the reader between them cannot."""
        gate = self._gate
        opened = _pinned(gate) or gate.current or await gate.connected()
        opened.begin()
        try:
            after: str | None = None
            while not opened.cut:
                page = await self._page(
                    opened, schema, filter, sort=sort, limit=batch, after=after, select=select, exclude=exclude
                )
                for row in () if page is None else page.rows:
                    if opened.cut:
                        break
                    yield row
                else:
                    after = None if page is None else page.next
                    if page is not None and after is None:
                        return
        finally:
            opened.finish()
        raise _cut_off(gate)

    async def _page(self, opened: Opened, schema: EntitySchema, filter: Filter | None, **options: Any) -> Page | None:
        """A page from this connection; None: it was cancelled, since its time is over."""
        scope = CancelScope()
        opened.enter(scope)
        try:
            with scope:
                return await self._behind(opened).find_page(schema, filter, **options)
        finally:
            opened.leave(scope)
        return None

    async def aclose(self) -> None:
        """Finish what is under way and close the connections; whoever needs them opens them again.

        The end of the project is its manager's affair.
        """
        opened = self._gate.let_go()
        if opened is not None:
            await opened.ended.wait()

    find = _passed_on(Dialect.find)
    find_page = _passed_on(Dialect.find_page)
    find_one = _passed_on(Dialect.find_one)
    find_by_id = _passed_on(Dialect.find_by_id)
    find_by_ids = _passed_on(Dialect.find_by_ids)
    count = _passed_on(Dialect.count)
    exists = _passed_on(Dialect.exists)
    distinct = _passed_on(Dialect.distinct)
    aggregate = _passed_on(Dialect.aggregate)
    search = _passed_on(Dialect.search)
    create = _passed_on(Dialect.create)
    create_many = _passed_on(Dialect.create_many)
    update = _passed_on(Dialect.update)
    update_many = _passed_on(Dialect.update_many)
    upsert = _passed_on(Dialect.upsert)
    increment = _passed_on(Dialect.increment)
    add_to_set = _passed_on(Dialect.add_to_set)
    pull = _passed_on(Dialect.pull)
    delete = _passed_on(Dialect.delete)
    delete_many = _passed_on(Dialect.delete_many)
    undelete = _passed_on(Dialect.undelete)
    execute = _passed_on(Dialect.execute)
    execute_all = _passed_on(Dialect.execute_all)
    ping = _passed_on(Dialect.ping)


def _cut_off(gate: Gate) -> ProjectNotServed:
    return not_served(gate.name, "it was paused, moved or ended, and what was under way took longer than the deadline")


if TYPE_CHECKING:
    _is_a_dialect: type[Dialect] = ProjectDialect
