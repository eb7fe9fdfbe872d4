"""`ProjectDialect`: the dialect of a project, the same object for as long as anybody holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from anyio import CancelScope
from objectkernel_system_dialect.contracts import (
    DATA_PLANE_SCHEMAS,
    Capability,
    Dialect,
    EntitySchema,
    Filter,
    ForwardingDialect,
    OperationUnsupported,
    Page,
    Row,
    Sort,
)

from objectkernel_project_life.errors import ProjectNotServed
from objectkernel_project_life.gate import Gate, not_served
from objectkernel_project_life.opened import Opened

ALL: Final[frozenset[Capability]] = frozenset({"execute", "json", "regex", "transaction"})
CAPABILITIES: Final[Mapping[str, frozenset[Capability]]] = {
    "sqlite": frozenset({"execute", "json", "transaction"}),
    "postgres": ALL,
    "mariadb": ALL,
    "mysql": ALL,
}
"""What kinds of databases can, for as long as no connection has told."""


class ProjectDialect(ForwardingDialect[Opened]):
    """A project's own database. It is connected to when somebody needs it, and no other is ever behind it.

    An operation, a stream or a transaction stays with the connection that it began with; all of a transaction's block
    goes there, in its task and those it starts. While the project is not served, operations raise `ProjectNotServed`;
    where its database cannot be opened, `ProjectUnavailable`.
    """

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Opened]:
        """Count the block in the connection that it finds; it is cancelled when its time is over."""
        gate = self._gate
        opened = self.pinned() or gate.current or await gate.connected()
        scope = CancelScope()
        opened.enter(scope)
        try:
            with scope:
                yield opened
        finally:
            opened.leave(scope)
        if scope.cancelled_caught:
            raise _cut_off(gate)

    async def forward(self, operation: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Carry out one operation as within `held`, at half its cost; `is_quick` saves the scope too."""
        opened = self.pinned() or self._gate.current or await self._gate.connected()
        if not opened.is_quick:
            return await self._within_scope(opened, operation, args, kwargs)
        opened.begin()
        try:
            return await getattr(self.seen(opened.dialect), operation)(*args, **kwargs)
        finally:
            opened.finish()

    async def _within_scope(
        self, opened: Opened, operation: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """An operation on this connection; it is cancelled when its time is over."""
        scope = CancelScope()
        opened.enter(scope)
        try:
            with scope:
                return await getattr(self.seen(opened.dialect), operation)(*args, **kwargs)
        finally:
            opened.leave(scope)
        raise _cut_off(self._gate)

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

    def present(self) -> Dialect:
        """The connection's dialect.

        Raises:
            ProjectNotServed: there is no connection yet that could tell.
        """
        opened = self.pinned() or self._gate.current
        if opened is None:
            raise ProjectNotServed(
                f"{self._gate.name} is not open",
                why="what only its database can tell is known once there is a connection",
                fix="await `ping` of this dialect before",
                project=self._gate.name,
            )
        return opened.dialect

    def as_tenant(self, tenant: Any) -> ProjectDialect:
        """See `Dialect.as_tenant`. Where there is no connection the first operation refuses what is no tenant."""
        return self.view(tenant) if (self.pinned() or self._gate.current) is None else super().as_tenant(tenant)

    # --- Dialect: operations ------------------------------------------------------------------------------

    async def register(self, *schemas: EntitySchema) -> None:
        """See `Dialect.register`: it holds for every connection that follows, until the project has others so named.

        Raises:
            OperationUnsupported: within a transaction, for a schema that is not registered yet.
        """
        gate = self._gate
        if self.pinned() is not None:
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
            async with self.held() as opened:
                await opened.dialect.register(*schemas)
            gate.remember([schema for schema in schemas if schema not in opened.schemas])
            if gate.current is opened or gate.current is None:  # otherwise it was replaced meanwhile
                return

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
        opened = self.pinned() or gate.current or await gate.connected()
        opened.begin()
        try:
            options = {"sort": sort, "limit": batch, "select": select, "exclude": exclude}
            after: str | None = None
            while not opened.cut:
                page: Page = await self._within_scope(
                    opened, "find_page", (schema, filter), {**options, "after": after}
                )
                for row in page.rows:
                    if opened.cut:
                        break
                    yield row
                else:
                    after = page.next
                    if after is None:
                        return
        finally:
            opened.finish()
        raise _cut_off(gate)

    async def aclose(self) -> None:
        """Finish what is under way and close the connections; whoever needs them opens them again.

        The end of the project is its manager's affair.
        """
        opened = self._gate.let_go()
        if opened is not None:
            await opened.ended.wait()


def _cut_off(gate: Gate) -> ProjectNotServed:
    return not_served(gate.name, "it was paused, moved or ended, and what was under way took longer than the deadline")


if TYPE_CHECKING:
    _is_a_dialect: type[Dialect] = ProjectDialect
