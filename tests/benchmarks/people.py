"""The rows that data benchmarks work on, and what every contender offers."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Protocol

from objectkernel_system_dialect.contracts import EntitySchema, Field, Repository
from objectkernel_system_dialect.sql_dialect import SqlDialect

ROWS = 10_000
PAGE_SIZE = 50
LEAST_AGE = 20
PERSON = EntitySchema(
    name="Person",
    collection="people",
    fields={
        "id": Field("string", length=36),
        "name": Field("string"),
        "email": Field("string"),
        "age": Field("integer"),
        "active": Field("boolean"),
        "joined": Field("datetime"),
        "meta": Field("json"),
    },
)
COLUMNS = tuple(PERSON.fields)
ASYNC_ENGINE = "SQLAlchemy AsyncEngine"


def person(number: int) -> dict[str, Any]:
    """One row, typed."""
    return {
        "id": f"{number:036d}",
        "name": f"Person {number}",
        "email": f"person{number}@example.org",
        "age": number % 90,
        "active": number % 2 == 0,
        "joined": datetime(2026, 1, 1 + number % 28, tzinfo=UTC),
        "meta": {"level": number % 7, "tags": ["a", "b"]},
    }


def dumped(meta: object) -> str:
    """JSON as ours stores it."""
    return json.dumps(meta, ensure_ascii=False, separators=(",", ":"))


class Contender(Protocol):
    """One way to do the work, on a table of people that it has for itself."""

    name: str

    async def open(self, place: str, stack: AsyncExitStack) -> None:
        """Connect; closed with `stack`."""
        ...

    async def get(self, key: str) -> Any:
        """One row by its key."""
        ...

    async def page(self) -> Any:
        """The first `PAGE_SIZE` people of at least `LEAST_AGE` years, typed."""
        ...

    async def insert(self, rows: list[dict[str, Any]]) -> Any:
        """Insert typed rows, all or none."""
        ...


class Ours:
    """The repository on `SqlDialect`; a subclass opens it."""

    name = "objectkernel"

    async def use(self, dialect: SqlDialect, stack: AsyncExitStack) -> None:
        stack.push_async_callback(dialect.aclose)
        await dialect.register(PERSON)
        self.people = Repository(dialect, PERSON)

    async def get(self, key: str) -> Any:
        return await self.people.find_by_id(key)

    async def page(self) -> Any:
        return await self.people.find_all({"age": {"$gte": LEAST_AGE}}, sort={"id": 1}, limit=PAGE_SIZE)

    async def insert(self, rows: list[dict[str, Any]]) -> Any:
        return await self.people.create_many(rows)


class OverAsyncEngine:
    """SQLAlchemy Core on its asyncio engine; a subclass makes that and the table."""

    name = ASYNC_ENGINE

    def use(self, engine: Any, table: Any, stack: AsyncExitStack) -> None:
        import sqlalchemy as sa

        stack.push_async_callback(engine.dispose)
        self.engine = engine
        self.by_id = sa.select(table).where(table.c.id == sa.bindparam("key"))
        self.first = sa.select(table).where(table.c.age >= LEAST_AGE).order_by(table.c.id).limit(PAGE_SIZE)
        self.into = sa.insert(table)

    async def get(self, key: str) -> Any:
        async with self.engine.connect() as connection:
            return (await connection.execute(self.by_id, {"key": key})).mappings().first()

    async def page(self) -> Any:
        async with self.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(self.first)).mappings()]

    async def insert(self, rows: list[dict[str, Any]]) -> Any:
        async with self.engine.begin() as connection:
            await connection.execute(self.into, rows)
