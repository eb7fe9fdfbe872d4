"""`ForwardingDialect`: a dialect that stands before others, and asks for each call which of them it is for."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, Protocol, Self, TypeVar, cast

from objectkernel_system_dialect.dialect import Capability, Dialect, Filter, Row, Sort
from objectkernel_system_dialect.schema import EntitySchema

if TYPE_CHECKING:
    from sqlalchemy import Table


class HasDialect(Protocol):
    """What a call holds while it lasts: at least the dialect that it goes to."""

    @property
    def dialect(self) -> Dialect: ...


P = ParamSpec("P")
Answer = TypeVar("Answer", bound=Coroutine[Any, Any, Any])
Held = TypeVar("Held", bound=HasDialect)


class _Pin:
    """Says that a block runs in a transaction: what happens in it goes to what has begun it."""

    __slots__ = ("held", "outer", "whose")

    def __init__(self, whose: object, held: HasDialect, outer: _Pin | None) -> None:
        self.whose = whose
        self.held: HasDialect | None = held
        self.outer = outer


_pins: Final[ContextVar[_Pin | None]] = ContextVar("objectkernel-forwarded-transactions", default=None)


def _forwarded(
    operation: Callable[Concatenate[Dialect, P], Answer],
) -> Callable[Concatenate[ForwardingDialect[Any], P], Answer]:
    """The operation of the same name on the dialect that is found when it is awaited."""
    name = operation.__name__

    @wraps(operation)
    async def forwarded(self: ForwardingDialect[Any], *args: P.args, **kwargs: P.kwargs) -> Any:
        return await self.forward(name, args, kwargs)

    return cast("Callable[Concatenate[ForwardingDialect[Any], P], Answer]", forwarded)


class ForwardingDialect(ABC, Generic[Held]):
    """Forwards each operation, stream and transaction to the dialect that `held` gives for it.

    An operation, a stream or a transaction stays with what it began with; all of a transaction's block goes there, in
    its task and those it starts. `as_tenant` copies the object: what changes while it is in use lies in one that the
    copies share.

    A subclass gives `held`, `present` and `aclose`. It overrides `register` and `schemas` where schemas have to follow
    from one dialect to the next.
    """

    def __init__(self) -> None:
        self._whole = object()  # shared by the views of all tenants: a transaction through one holds for the others
        self._tenants: tuple[Any, ...] = ()
        self._seen: tuple[Dialect, Dialect] | None = None

    @abstractmethod
    def held(self) -> AbstractAsyncContextManager[Held]:
        """What a block goes to for as long as it lasts: what is `pinned`, or, where that is None, what is in use now.

        Raises:
            DataError: there is nothing that it could go to.
        """

    @abstractmethod
    def present(self) -> Dialect:
        """The dialect that answers what is asked without waiting."""

    @abstractmethod
    async def aclose(self) -> None:
        """See `Dialect.aclose`."""

    async def forward(self, operation: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Carry out one operation, by its name.

        To be overridden where one has to be done differently than a stream or a transaction, or where its 10
        microseconds are too short for a context manager.
        """
        async with self.held() as held:
            return await getattr(self.seen(held.dialect), operation)(*args, **kwargs)

    def pinned(self) -> Held | None:
        """What the transaction of this dialect holds that the task is in."""
        pin = _pins.get()
        while pin is not None:
            if pin.whose is self._whole and pin.held is not None:
                return cast("Held", pin.held)
            pin = pin.outer
        return None

    # --- tenants ------------------------------------------------------------------------------------------

    def as_tenant(self, tenant: Any) -> Self:
        """See `Dialect.as_tenant`."""
        view = self.view(tenant)
        view.seen(self.present())  # what is no tenant is refused here and not by every operation
        return view

    def view(self, tenant: Any) -> Self:
        """`as_tenant` that leaves it to the first operation to refuse a tenant."""
        view = copy.copy(self)
        view._tenants = (*self._tenants, tenant)
        view._seen = None
        return view

    def seen(self, dialect: Dialect) -> Dialect:
        """A dialect as this one's tenant sees it; the last one is kept.

        Raises:
            TenantRequired: it is no tenant, or another than the one whose view this is.
        """
        if not self._tenants:
            return dialect
        if self._seen is None or self._seen[0] is not dialect:
            view = dialect
            for tenant in self._tenants:
                view = view.as_tenant(tenant)
            self._seen = dialect, view
        return self._seen[1]

    # --- what is answered without waiting -----------------------------------------------------------------

    @property
    def name(self) -> str:
        """Which kind of database this is at present."""
        return self.present().name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the present database can beyond the operations that all have."""
        return self.present().capabilities

    def schemas(self) -> tuple[EntitySchema, ...]:
        """See `Dialect.schemas`."""
        return self.present().schemas()

    def table(self, schema: EntitySchema) -> Table:
        """See `Dialect.table`."""
        return self.present().table(schema)

    # --- operations ---------------------------------------------------------------------------------------

    async def register(self, *schemas: EntitySchema) -> None:
        """See `Dialect.register`."""
        async with self.held() as held:
            await held.dialect.register(*schemas)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """See `Dialect.transaction`."""
        async with self.held() as held:
            pin = _Pin(self._whole, held, _pins.get())
            token = _pins.set(pin)
            try:
                async with self.seen(held.dialect).transaction():
                    yield
            finally:
                pin.held = None  # tasks that were started in the block may outlive it
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
        async with self.held() as held:
            rows = self.seen(held.dialect).stream(
                schema, filter, sort=sort, select=select, exclude=exclude, batch=batch
            )
            try:
                async for row in rows:
                    yield row
            finally:
                if isinstance(rows, AsyncGenerator):
                    await rows.aclose()

    find = _forwarded(Dialect.find)
    find_page = _forwarded(Dialect.find_page)
    find_one = _forwarded(Dialect.find_one)
    find_by_id = _forwarded(Dialect.find_by_id)
    find_by_ids = _forwarded(Dialect.find_by_ids)
    count = _forwarded(Dialect.count)
    exists = _forwarded(Dialect.exists)
    distinct = _forwarded(Dialect.distinct)
    aggregate = _forwarded(Dialect.aggregate)
    search = _forwarded(Dialect.search)
    create = _forwarded(Dialect.create)
    create_many = _forwarded(Dialect.create_many)
    update = _forwarded(Dialect.update)
    update_many = _forwarded(Dialect.update_many)
    upsert = _forwarded(Dialect.upsert)
    increment = _forwarded(Dialect.increment)
    add_to_set = _forwarded(Dialect.add_to_set)
    pull = _forwarded(Dialect.pull)
    delete = _forwarded(Dialect.delete)
    delete_many = _forwarded(Dialect.delete_many)
    undelete = _forwarded(Dialect.undelete)
    execute = _forwarded(Dialect.execute)
    execute_all = _forwarded(Dialect.execute_all)
    ping = _forwarded(Dialect.ping)
