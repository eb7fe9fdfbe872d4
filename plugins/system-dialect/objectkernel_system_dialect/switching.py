"""`SwitchableDialect`: a dialect that stays the same object while the database behind it changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast

import anyio

from objectkernel_system_dialect.dialect import Capability, Dialect, Filter, Row, Sort
from objectkernel_system_dialect.errors import DatabaseUnavailable, OperationUnsupported, StatementFailed
from objectkernel_system_dialect.generations import Generation, Generations, Opening
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.telling import telling
from objectkernel_system_dialect.usage import TellsUsage, Usage

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from sqlalchemy import Table

P = ParamSpec("P")
Answer = TypeVar("Answer", bound=Coroutine[Any, Any, Any])


class _Pin:
    """Says that a block runs in a transaction: what happens in it goes to the generation that has begun it."""

    __slots__ = ("generation", "generations", "outer")

    def __init__(self, generations: Generations, generation: Generation, outer: _Pin | None) -> None:
        self.generations = generations
        self.generation: Generation | None = generation
        self.outer = outer


_pins: Final[ContextVar[_Pin | None]] = ContextVar("objectkernel-dialect-generations", default=None)


def _passed_on(
    operation: Callable[Concatenate[Dialect, P], Answer],
) -> Callable[Concatenate[SwitchableDialect, P], Answer]:
    """The operation of the same name on the generation that it finds when it is awaited, and is counted in."""
    name = operation.__name__

    @wraps(operation)
    async def passed_on(self: SwitchableDialect, *args: P.args, **kwargs: P.kwargs) -> Any:
        generations = self._generations
        pin = _pins.get()
        pinned = None if pin is None else self._pinned(pin)
        generation = pinned or generations.current or await generations.connected()
        generation.users += 1
        try:
            dialect = generation.dialect if self._tenant is None else self._seen_by_tenant(generation)
            return await getattr(dialect, name)(*args, **kwargs)
        except DatabaseUnavailable as error:
            generations.lost(generation, error)
            raise
        except StatementFailed:
            # Of an operation on entities this is about a table, and nothing was changed: it may be done once more.
            if name in ("execute", "execute_all") or not generations.doubts(generation):
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
            async with self._held() as generation:
                return await getattr(self._behind(generation), name)(*args, **kwargs)
        except StatementFailed:
            generations.trust()
            raise

    return cast("Callable[Concatenate[SwitchableDialect, P], Answer]", passed_on)


class SwitchableDialect:
    """The dialect of a database that may be switched, lost and found again, while operations go on.

    An operation, a stream or a transaction stays with the database that it began with; all of a transaction's block
    goes there, in its task and those it starts. `switch`, `disconnect` and `aclose` change what later ones find.
    After a lost connection the next operation connects anew, and brings up the tables of every registered schema.
    """

    def __init__(self, generations: Generations, tenant: tuple[Any] | None = None) -> None:
        self._generations = generations
        self._tenant = tenant
        self._seen: tuple[Generation | None, Dialect | None] = (None, None)

    @classmethod
    async def open(cls, opening: Opening, schemas: Sequence[EntitySchema], tasks: TaskGroup) -> SwitchableDialect:
        """Connect. Connections that are left later are closed in `tasks`, which ends after `aclose`.

        Raises:
            DataError: the database cannot be opened, or the schemas do not fit it.
        """
        return cls(Generations(await opening.open(schemas), opening, schemas, tasks))

    def _pinned(self, pin: _Pin | None) -> Generation | None:
        """The generation of the transaction that the task is in, if it is one of this dialect."""
        while pin is not None:
            if pin.generations is self._generations and pin.generation is not None:
                return pin.generation
            pin = pin.outer
        return None

    def _behind(self, generation: Generation) -> Dialect:
        return generation.dialect if self._tenant is None else self._seen_by_tenant(generation)

    def _seen_by_tenant(self, generation: Generation) -> Dialect:
        """A generation's dialect as the tenant sees it; the last one is kept."""
        assert self._tenant is not None
        of, dialect = self._seen
        if dialect is None or of is not generation:
            dialect = generation.dialect.as_tenant(*self._tenant)
            self._seen = generation, dialect
        return dialect

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[Generation]:
        """Count the block in the generation that it finds."""
        generations = self._generations
        generation = self._pinned(_pins.get()) or await generations.connected()
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
        async with self._held() as generation:
            return await telling(generation.dialect).plan(schemas)

    async def identity(self) -> str:
        """See `TellsOfDatabase.identity`: of the present database."""
        async with self._held() as generation:
            return await telling(generation.dialect).identity()

    # --- Dialect: what is answered without a connection ---------------------------------------------------

    @property
    def name(self) -> str:
        """Which kind of database this is at present."""
        return self._generations.latest.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the present database can beyond the operations that all have."""
        return self._generations.latest.capabilities

    def schemas(self) -> tuple[EntitySchema, ...]:
        """The schemas that were registered here, in order, and those that a lent dialect brought along."""
        lent = () if self.opening.owned else self._generations.latest.schemas()
        return tuple(dict.fromkeys((*self._generations.schemas.values(), *lent)))

    def forget_schemas(self, keep: Iterable[EntitySchema] = ()) -> None:
        """Forget the schemas that were registered here but for `keep`: no later connection brings up their tables."""
        kept = {schema.name for schema in keep}
        known = self._generations.schemas
        self._generations.schemas = {name: schema for name, schema in known.items() if name in kept}

    def table(self, schema: EntitySchema) -> Table:
        """See `Dialect.table`."""
        return self._generations.latest.table(schema)

    def as_tenant(self, tenant: Any) -> Dialect:
        """See `Dialect.as_tenant`."""
        if self._tenant is not None:
            return self._generations.latest.as_tenant(*self._tenant).as_tenant(tenant)  # which is refused
        self._generations.latest.as_tenant(tenant)  # what is no tenant is refused here and not by every operation
        return SwitchableDialect(self._generations, (tenant,))

    # --- Dialect: operations ------------------------------------------------------------------------------

    async def register(self, *schemas: EntitySchema) -> None:
        """See `Dialect.register`: it holds for every database that follows.

        Raises:
            OperationUnsupported: within a transaction, for a schema that is not registered yet.
        """
        if self._pinned(_pins.get()) is None:
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
        if self._pinned(_pins.get()) is not None:
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
    async def transaction(self) -> AsyncIterator[None]:
        """See `Dialect.transaction`."""
        async with self._held() as generation:
            pin = _Pin(self._generations, generation, _pins.get())
            token = _pins.set(pin)
            try:
                async with self._behind(generation).transaction():
                    yield
            finally:
                pin.generation = None  # tasks that were started in the block may outlive it
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
        """See `Dialect.stream`."""
        async with self._held() as generation:
            rows = self._behind(generation).stream(
                schema, filter, sort=sort, select=select, exclude=exclude, batch=batch
            )
            try:
                async for row in rows:
                    yield row
            finally:
                if isinstance(rows, AsyncGenerator):
                    await rows.aclose()

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
