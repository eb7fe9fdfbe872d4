"""Rows in PostgreSQL: ours, a bare pool of asyncpg's, SQLAlchemy's asyncio engine on it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.postgres_executor import PostgresOptions
from objectkernel_system_dialect.sql_dialect import SqlDialect
from people import COLUMNS, LEAST_AGE, PAGE_SIZE, Ours, OverAsyncEngine, dumped

RAW = "asyncpg pool"
URL = os.environ.get("OBJECTKERNEL_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
CONNECTIONS = 10
SELECT = f"SELECT {', '.join(COLUMNS)} FROM people"


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """The URL of a new database, dropped at the end.

    Raises:
        OSError: no server answers.
    """
    name = f"objectkernel_bench_{uuid4().hex}"
    server = await asyncpg.connect(URL, timeout=10)
    try:
        await server.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        try:
            yield urlsplit(URL)._replace(path=f"/{name}").geturl()
        finally:
            await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await server.close()


class OursOnPostgres(Ours):
    """Ours on a database."""

    async def open(self, place: str, stack: AsyncExitStack) -> None:
        engine = await PostgresEngine.open(place, PostgresOptions(pool_size=CONNECTIONS))
        await self.use(SqlDialect(engine), stack)


class Raw:
    """The bare pool; COPY for bulk."""

    name = RAW

    async def open(self, place: str, stack: AsyncExitStack) -> None:
        self.pool = await stack.enter_async_context(asyncpg.create_pool(place, min_size=0, max_size=CONNECTIONS))

    async def get(self, key: str) -> Any:
        return await self.pool.fetchrow(f"{SELECT} WHERE id = $1", key)

    async def page(self) -> Any:
        rows = await self.pool.fetch(f"{SELECT} WHERE age >= $1 ORDER BY id LIMIT $2", LEAST_AGE, PAGE_SIZE)
        return [{**row, "meta": json.loads(row["meta"])} for row in rows]

    async def insert(self, rows: list[dict[str, Any]]) -> Any:
        records = [(*list(row.values())[:-1], dumped(row["meta"])) for row in rows]
        return await self.pool.copy_records_to_table("people", records=records, columns=COLUMNS)


class PostgresAsyncEngine(OverAsyncEngine):
    """SQLAlchemy on asyncpg."""

    async def open(self, place: str, stack: AsyncExitStack) -> None:
        import sqlalchemy as sa
        from sqlalchemy.ext.asyncio import create_async_engine

        table = sa.Table(
            "people",
            sa.MetaData(),
            sa.Column("id", sa.String, primary_key=True),
            *(sa.Column(name, sa.String) for name in ("name", "email")),
            sa.Column("age", sa.BigInteger),
            sa.Column("active", sa.Boolean),
            sa.Column("joined", sa.DateTime(timezone=True)),
            sa.Column("meta", sa.JSON),
        )
        url = place.replace("postgresql://", "postgresql+asyncpg://", 1)
        self.use(create_async_engine(url, pool_size=CONNECTIONS, max_overflow=0), table, stack)
