"""Rows in SQLite: ours, the bare driver in a thread of its own, SQLAlchemy's asyncio engine."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from queue import SimpleQueue
from typing import Any

from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.sqlite_executor import SqliteOptions
from people import COLUMNS, LEAST_AGE, PAGE_SIZE, Ours, OverAsyncEngine, dumped

RAW = "sqlite3 in a thread"
SELECT = f"SELECT {', '.join(COLUMNS)} FROM people"
BY_ID = f"{SELECT} WHERE id = ?"
PAGE = f"{SELECT} WHERE age >= ? ORDER BY id LIMIT ?"
INSERT = f"INSERT INTO people ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


class OursOnSqlite(Ours):
    """Ours on a file."""

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable

    async def open(self, place: str, stack: AsyncExitStack) -> None:
        options = SqliteOptions(synchronous="FULL" if self.durable else "NORMAL")
        await self.use(await open_sqlite(place, options), stack)


class Raw:
    """The bare driver in a thread of its own, one commit for each write."""

    name = RAW

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable

    async def open(self, place: str, stack: AsyncExitStack) -> None:
        self.path = place
        self.loop = asyncio.get_running_loop()
        self.jobs: SimpleQueue[Any] = SimpleQueue()
        thread = threading.Thread(target=self._run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(self.jobs.put, None)

    def _run(self) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self.durable else 'NORMAL'}")
        while (item := self.jobs.get()) is not None:
            job, future = item
            self.loop.call_soon_threadsafe(future.set_result, job(connection))
        connection.close()

    def _do(self, job: Callable[[sqlite3.Connection], Any]) -> asyncio.Future[Any]:
        future = self.loop.create_future()
        self.jobs.put((job, future))
        return future

    async def get(self, key: str) -> Any:
        return await self._do(lambda c: c.execute(BY_ID, (key,)).fetchone())

    async def page(self) -> Any:
        return await self._do(lambda c: [typed(row) for row in c.execute(PAGE, (LEAST_AGE, PAGE_SIZE)).fetchall()])

    async def insert(self, rows: list[dict[str, Any]]) -> Any:
        values = [encoded(row) for row in rows]

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, values)
            connection.execute("COMMIT")

        return await self._do(job)


class SqliteAsyncEngine(OverAsyncEngine):
    """SQLAlchemy on aiosqlite."""

    async def open(self, place: str, stack: AsyncExitStack) -> None:
        import sqlalchemy as sa
        from sqlalchemy.ext.asyncio import create_async_engine

        table = sa.Table(
            "people",
            sa.MetaData(),
            sa.Column("id", sa.String, primary_key=True),
            *(sa.Column(name, sa.String) for name in ("name", "email")),
            sa.Column("age", sa.Integer),
            sa.Column("active", sa.Boolean),
            sa.Column("joined", sa.String),
            sa.Column("meta", sa.JSON),
        )
        self.use(create_async_engine(f"sqlite+aiosqlite:///{place}"), table, stack)

    async def insert(self, rows: list[dict[str, Any]]) -> Any:
        return await super().insert([{**row, "joined": row["joined"].isoformat()} for row in rows])


def encoded(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row as the bare driver takes it."""
    moment = row["joined"].isoformat(timespec="microseconds")
    return (row["id"], row["name"], row["email"], row["age"], row["active"], moment, dumped(row["meta"]))


def typed(values: tuple[Any, ...]) -> dict[str, Any]:
    """A row as the bare driver gives it, made typed."""
    row = dict(zip(COLUMNS, values, strict=True))
    row["active"] = bool(row["active"])
    row["joined"] = datetime.fromisoformat(row["joined"])
    row["meta"] = json.loads(row["meta"])
    return row
