"""A make-believe database server: it can be cut off, emptied and held up, and counts who connects and who leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from objectkernel_system_dialect.contracts import DatabaseUnavailable, Dialect, EntitySchema, StatementFailed


class Server:
    """A database server with tables of rows.

    Attributes:
        up: whether it answers.
        opened, closed: the connections that were made to it, and those that have ended.
        pings: how often it was asked for a sign of life.
        hold: while it is set, `count` and `ping` wait for it.
    """

    def __init__(self, name: str = "server") -> None:
        self.name = name
        self.up = True
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.opened: list[Connection] = []
        self.closed: list[Connection] = []
        self.pings = 0
        self.hold: anyio.Event | None = None

    def opening(self, **options: Any) -> ServerOpening:
        """What opens a connection to it."""
        return ServerOpening(self, **options)

    def expect_up(self) -> None:
        if not self.up:
            raise DatabaseUnavailable("no answer", database=self.name, reason="test")

    def table(self, schema: EntitySchema) -> list[dict[str, Any]]:
        self.expect_up()
        if schema.collection not in self.tables:
            raise StatementFailed("no such table", entity=schema.name)
        return self.tables[schema.collection]

    async def held(self) -> None:
        if self.hold is not None:
            await self.hold.wait()


class Connection:
    """A dialect on the server; what `calls` has was passed on to it."""

    capabilities: frozenset[str] = frozenset({"transaction"})

    def __init__(self, server: Server) -> None:
        self.server = server
        self.name = server.name
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.known: list[EntitySchema] = []
        self.tenant: Any = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any other operation: it is noted."""
        if name.startswith("_"):
            raise AttributeError(name)

        async def noted(*args: Any, **kwargs: Any) -> str:
            self.calls.append((name, args, kwargs))
            return name

        return noted

    def schemas(self) -> tuple[EntitySchema, ...]:
        return tuple(self.known)

    def table(self, schema: EntitySchema) -> str:
        return f"{schema.collection} of {self.name}"

    def as_tenant(self, tenant: Any) -> Connection:
        assert self.tenant is None, "a tenant's view has no other"
        view = Connection(self.server)
        view.tenant = tenant
        return view

    async def register(self, *schemas: EntitySchema) -> None:
        self.server.expect_up()
        for schema in schemas:
            if schema not in self.known:
                self.known.append(schema)
                self.server.tables.setdefault(schema.collection, [])

    async def ping(self) -> None:
        self.server.pings += 1
        await self.server.held()
        self.server.expect_up()

    async def create(self, schema: EntitySchema, data: dict[str, Any]) -> dict[str, Any]:
        row = {**data, "tenant": self.tenant} if self.tenant else dict(data)
        self.server.table(schema).append(row)
        return row

    async def count(self, schema: EntitySchema, filter: Any = None) -> int:
        await self.server.held()
        return len(self.server.table(schema))

    async def stream(self, schema: EntitySchema, filter: Any = None, **options: Any) -> AsyncIterator[dict[str, Any]]:
        for row in self.server.table(schema):
            yield row

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    async def aclose(self) -> None:
        assert self not in self.server.closed, "closed twice"
        self.server.closed.append(self)


class ServerOpening:
    """An opening of the server, which counts the attempts."""

    def __init__(self, server: Server, *, owned: bool = True, renewable: bool = True) -> None:
        self.server = server
        self.owned = owned
        self.renewable = renewable
        self.attempts = 0

    async def open(self, schemas: Sequence[EntitySchema]) -> Dialect:
        self.attempts += 1
        await anyio.lowlevel.checkpoint()
        await self.server.held()
        self.server.expect_up()
        connection = Connection(self.server)
        self.server.opened.append(connection)
        try:
            await connection.register(*schemas)
        except BaseException:
            await connection.aclose()
            raise
        return cast("Dialect", connection)
