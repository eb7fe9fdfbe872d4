"""`SwitchableDialect`: a dialect that stays the same object while the database behind it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import DatabaseUnavailable, OperationUnsupported, StatementFailed
from objectkernel_system_dialect.forwarding import ForwardingDialect
from objectkernel_system_dialect.generations import Generation, Generations, Opening
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.telling import telling
from objectkernel_system_dialect.usage import TellsUsage, Usage

if TYPE_CHECKING:
    from anyio.abc import TaskGroup


class SwitchableDialect(ForwardingDialect[Generation]):
    """The dialect of a database that may be switched, lost and found again, while operations go on.

    An operation, a stream or a transaction stays with the database that it began with; all of a transaction's block
    goes there, in its task and those it starts. `switch`, `disconnect` and `aclose` change what later ones find.
    After a lost connection the next operation connects anew, and brings up the tables of every registered schema.
    """

    def __init__(self, generations: Generations) -> None:
        super().__init__()
        self._generations = generations

    @classmethod
    async def open(cls, opening: Opening, schemas: Sequence[EntitySchema], tasks: TaskGroup) -> SwitchableDialect:
        """Connect. Connections that are left later are closed in `tasks`, which ends after `aclose`.

        Raises:
            DataError: the database cannot be opened, or the schemas do not fit it.
        """
        return cls(Generations(await opening.open(schemas), opening, schemas, tasks))

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Generation]:
        """Count the block in the generation that it finds."""
        generations = self._generations
        generation = self.pinned() or await generations.connected()
        generation.users += 1
        try:
            yield generation
        except DatabaseUnavailable as error:
            generations.lost(generation, error)
            raise
        finally:
            generation.users -= 1
            if generation.retired:
                generations.left(generation)

    async def forward(self, operation: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Carry out one operation; once more, elsewhere, where it was for want of tables that it failed."""
        generations = self._generations
        pinned = self.pinned()
        generation = pinned or generations.current or await generations.connected()
        generation.users += 1
        try:
            return await getattr(self.seen(generation.dialect), operation)(*args, **kwargs)
        except DatabaseUnavailable as error:
            generations.lost(generation, error)
            raise
        except StatementFailed:
            # Of an operation on entities this is about a table, and nothing was changed: it may be done once more.
            if operation in ("execute", "execute_all") or not generations.doubts(generation):
                raise
            if pinned or any(isinstance(argument, Iterator) for argument in (*args, *kwargs.values())):
                # It is not repeated: within a transaction, or since it has used up what it was given.
                generations.trust()  # nobody will find out whether the doubt was right
                raise
        finally:
            generation.users -= 1
            if generation.retired:
                generations.left(generation)
        try:
            return await super().forward(operation, args, kwargs)
        except StatementFailed:
            generations.trust()
            raise

    def present(self) -> Dialect:
        """The present database's dialect, or the last one."""
        return self._generations.latest

    # --- what is behind it ----------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._generations.closed

    def gives(self, dialect: Dialect) -> bool:
        """Whether a dialect is this one, or a tenant's view of it."""
        return isinstance(dialect, SwitchableDialect) and dialect._generations is self._generations

    @property
    def opening(self) -> Opening:
        """What the present database was opened with, or was last."""
        return self._generations.opening

    async def switch(self, opening: Opening) -> None:
        """Open another database, bring up the tables of every registered schema and try it; then go there.

        What is under way ends where it began; that connection is closed behind the last operation.

        Raises:
            DataError: the other database cannot be opened, or the schemas do not fit it; nothing has changed.
        """
        await self._generations.switch(opening)

    async def disconnect(self, then: Callable[[], Opening] | None = None) -> None:
        """Close the connection behind the last operation; the next one connects, to the same or what `then` gives."""
        await self._generations.disconnect(then)

    async def connect(self) -> None:
        """Connect, if there is no connection."""
        await self._generations.connected()

    async def aclose(self) -> None:
        """Finish what is under way and close the connections."""
        await self._generations.aclose()

    def usage(self) -> Usage | None:
        """See `TellsUsage.usage`: of the present database, or the last one."""
        dialect = self._generations.latest
        return dialect.usage() if isinstance(dialect, TellsUsage) else None

    async def plan(self, schemas: Sequence[EntitySchema]) -> tuple[str, ...]:
        """See `TellsOfDatabase.plan`: of the present database."""
        async with self.held() as generation:
            return await telling(generation.dialect).plan(schemas)

    async def identity(self) -> str:
        """See `TellsOfDatabase.identity`: of the present database."""
        async with self.held() as generation:
            return await telling(generation.dialect).identity()

    # --- Dialect: what is answered without a connection ---------------------------------------------------

    def schemas(self) -> tuple[EntitySchema, ...]:
        """The schemas that were registered here, in order, and those that a lent dialect brought along."""
        lent = () if self.opening.owned else self._generations.latest.schemas()
        return tuple(dict.fromkeys((*self._generations.schemas.values(), *lent)))

    def forget_schemas(self, keep: Iterable[EntitySchema] = ()) -> None:
        """Forget the schemas that were registered here but for `keep`: no later connection brings up their tables."""
        kept = {schema.name for schema in keep}
        known = self._generations.schemas
        self._generations.schemas = {name: schema for name, schema in known.items() if name in kept}

    # --- its schemas ------------------------------------------------------------------------------------------

    async def register(self, *schemas: EntitySchema) -> None:
        """See `Dialect.register`: it holds for every database that follows.

        Raises:
            OperationUnsupported: within a transaction, for a schema that is not registered yet.
        """
        if self.pinned() is None:
            await self._generations.register(schemas)
        elif unknown := [schema for schema in schemas if schema not in self.schemas()]:
            raise self._within_a_transaction(unknown[0].name)

    async def exchange(
        self, remove: Sequence[EntitySchema], add: Sequence[EntitySchema], drop: Collection[str]
    ) -> tuple[str, ...]:
        """See `ExchangesSchemas.exchange`: it holds for every database that follows.

        Raises:
            OperationUnsupported: within a transaction, or the present dialect cannot.
        """
        if self.pinned() is not None:
            raise self._within_a_transaction(", ".join(schema.name for schema in (*remove, *add)))
        return await self._generations.exchange(remove, add, drop)

    def _within_a_transaction(self, what: str) -> OperationUnsupported:
        return OperationUnsupported(
            f"{what} cannot be registered within a transaction",
            why="to change tables is to wait for the end of all transactions, also of this one",
            fix="register it before the transaction begins",
            dialect=self.name,
            capability="transaction",
        )


@asynccontextmanager
async def switchable(opening: Opening, schemas: Sequence[EntitySchema] = ()) -> AsyncIterator[SwitchableDialect]:
    """A switchable dialect for the length of a block.

    Raises:
        DataError: the database cannot be opened, or the schemas do not fit it.
    """
    first = await opening.open(schemas)  # outside of the group, which would wrap what it raises
    async with anyio.create_task_group() as tasks:
        dialect = SwitchableDialect(Generations(first, opening, schemas, tasks))
        try:
            yield dialect
        finally:
            await dialect.aclose()


if TYPE_CHECKING:
    _is_a_dialect: type[Dialect] = SwitchableDialect
