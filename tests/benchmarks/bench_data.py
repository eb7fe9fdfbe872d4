"""How close the data path on SQLite comes to the bare driver, and how far ahead of the AsyncEngine it is.

All contenders do the same work in the same run on the same kind of file; the ratios count, not the figures.
SQLAlchemy's AsyncEngine takes part when aiosqlite is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from objectkernel_system_dialect.contracts import EntitySchema, Field, Repository
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.sqlite_executor import SqliteOptions

ROWS = 10_000
COLUMNS = ("id", "name", "email", "age", "active", "joined", "meta")
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
BY_ID = "SELECT id, name, email, age, active, joined, meta FROM people WHERE id = ?"
PAGE = "SELECT id, name, email, age, active, joined, meta FROM people WHERE age >= ? ORDER BY id LIMIT ?"
INSERT = "INSERT INTO people (id, name, email, age, active, joined, meta) VALUES (?, ?, ?, ?, ?, ?, ?)"


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


def encoded(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row as the bare driver takes it."""
    moment = row["joined"].isoformat(timespec="microseconds")
    return (row["id"], row["name"], row["email"], row["age"], row["active"], moment, json.dumps(row["meta"]))


def typed(values: tuple[Any, ...]) -> dict[str, Any]:
    """A row as the bare driver gives it, made typed."""
    row = dict(zip(COLUMNS, values, strict=True))
    row["active"] = bool(row["active"])
    row["joined"] = datetime.fromisoformat(row["joined"])
    row["meta"] = json.loads(row["meta"])
    return row


class Ours:
    """The repository on `SqlDialect`."""

    name = "objectkernel"

    async def open(self, path: Path, stack: AsyncExitStack, *, durable: bool) -> None:
        options = SqliteOptions(synchronous="FULL" if durable else "NORMAL")
        self.dialect = await open_sqlite(str(path), options)
        stack.push_async_callback(self.dialect.aclose)
        await self.dialect.register(PERSON)
        self.people = Repository(self.dialect, PERSON)

    async def get(self, key: str) -> Any:
        return await self.people.find_by_id(key)

    async def page(self) -> Any:
        return await self.people.find_all({"age": {"$gte": 20}}, sort={"id": 1}, limit=50)

    async def insert(self, rows: list[dict[str, Any]]) -> Any:
        return await self.people.create_many(rows)


class Raw:
    """The bare driver in a thread of its own, one commit for each write."""

    name = "sqlite3 in a thread"

    async def open(self, path: Path, stack: AsyncExitStack, *, durable: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.jobs: SimpleQueue[Any] = SimpleQueue()
        self.durable = durable
        self.path = path
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
        return await self._do(lambda c: [typed(row) for row in c.execute(PAGE, (20, 50)).fetchall()])

    async def insert(self, rows: list[dict[str, Any]]) -> Any:
        values = [encoded(row) for row in rows]

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, values)
            connection.execute("COMMIT")

        return await self._do(job)


class AsyncEngine:
    """SQLAlchemy Core on its asyncio engine."""

    name = "SQLAlchemy AsyncEngine"

    async def open(self, path: Path, stack: AsyncExitStack, *, durable: bool) -> None:
        import sqlalchemy as sa
        from sqlalchemy.ext.asyncio import create_async_engine

        self.engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        stack.push_async_callback(self.engine.dispose)
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
        self.by_id = sa.select(table).where(table.c.id == sa.bindparam("key"))
        self.first = sa.select(table).where(table.c.age >= 20).order_by(table.c.id).limit(50)
        self.into = sa.insert(table)

    async def get(self, key: str) -> Any:
        async with self.engine.connect() as connection:
            return (await connection.execute(self.by_id, {"key": key})).mappings().first()

    async def page(self) -> Any:
        async with self.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(self.first)).mappings()]

    async def insert(self, rows: list[dict[str, Any]]) -> Any:
        async with self.engine.begin() as connection:
            await connection.execute(self.into, [{**row, "joined": row["joined"].isoformat()} for row in rows])


async def rate(work: Callable[[int], Awaitable[Any]], tasks: int, seconds: float) -> float:
    """Calls a second of `tasks` tasks that call `work` with rising numbers for about `seconds`."""
    done = 0
    end = time.perf_counter() + seconds

    async def task() -> None:
        nonlocal done
        while time.perf_counter() < end:
            done += 1
            await work(done)

    start = time.perf_counter()
    await asyncio.gather(*(task() for _ in range(tasks)))
    return done / (time.perf_counter() - start)


async def measure(contender: Any, folder: Path, seconds: float) -> dict[str, float]:
    """All figures of one contender, each on a file of its own."""
    figures: dict[str, float] = {}
    async with AsyncExitStack() as stack:
        path = folder / "people.db"
        await prepare(path, ROWS)
        await contender.open(path, stack, durable=False)
        await contender.get(person(1)["id"])
        keys = [person(number * 37 % ROWS)["id"] for number in range(ROWS)]
        figures["get by id"] = await rate(lambda n: contender.get(keys[n % ROWS]), 1, seconds)
        figures["get by id, 16 tasks"] = await rate(lambda n: contender.get(keys[n % ROWS]), 16, seconds)
        figures["page of 50"] = await rate(lambda n: contender.page(), 1, seconds)
        bulk = [[person(ROWS + n * 1000 + m) for m in range(1000)] for n in range(int(60 * seconds))]
        start = time.perf_counter()
        for rows in bulk:
            await contender.insert(rows)
        figures["rows of bulk inserts"] = len(bulk) * 1000 / (time.perf_counter() - start)
    async with AsyncExitStack() as stack:
        path = folder / "durable.db"
        await prepare(path, 0)
        if not isinstance(contender, AsyncEngine):
            await contender.open(path, stack, durable=True)
            figures["64 durable writers"] = await rate(lambda n: contender.insert([person(n)]), 64, seconds)
    return figures


async def prepare(path: Path, rows: int) -> None:
    """The table with so many rows in a new file."""
    path.unlink(missing_ok=True)
    dialect = await open_sqlite(str(path))
    await dialect.register(PERSON)
    await dialect.create_many(PERSON, [person(number) for number in range(rows)])
    await dialect.aclose()


TARGETS = (
    ("get by id", Raw.name, 0.6),
    ("get by id", AsyncEngine.name, 8.0),
    ("page of 50", Raw.name, 0.65),
    ("rows of bulk inserts", Raw.name, 0.4),
    ("64 durable writers", Raw.name, 5.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.6, help="time for each figure of each round")
    parser.add_argument("--rounds", type=int, default=3, help="the best round of each figure counts")
    options = parser.parse_args()
    kinds: list[Any] = [Ours, Raw] + ([AsyncEngine] if find_spec("aiosqlite") else [])
    best: dict[str, dict[str, float]] = {kind.name: {} for kind in kinds}
    for _ in range(options.rounds):
        for kind in kinds:
            with tempfile.TemporaryDirectory() as folder:
                for work, figure in asyncio.run(measure(kind(), Path(folder), options.seconds)).items():
                    best[kind.name][work] = max(figure, best[kind.name].get(work, 0.0))
    works = list(best[Ours.name])
    print(f"{'a second':<24}" + "".join(f"{name:>26}" for name in best))
    for work in works:
        print(f"{work:<24}" + "".join(f"{figures.get(work, 0):>26,.0f}" for figures in best.values()))
    print()
    for work, peer, least in TARGETS:
        if peer in best:
            ratio = best[Ours.name][work] / best[peer][work]
            print(f"{'ok  ' if ratio >= least else 'MISS'} {work}: {ratio:.2f} of {peer} (at least {least})")


if __name__ == "__main__":
    main()
