"""How close the data path comes to the bare drivers, and how far ahead of SQLAlchemy's asyncio engine it is.

    python tests/benchmarks/bench_data.py [--only sqlite ...] [--seconds 0.2] [--rounds 9] [--check]

All contenders do the same work in turn, in every round. The figures are those of each one's best round; ratios, which
are what counts, are of the best rounds and, as the median, of the rounds one by one. PostgreSQL is the server of
`OBJECTKERNEL_TEST_POSTGRES_URL`, on which the benchmark makes and drops a database of its own.

Exits with 0 when it ran; with `--check`, with 1 where ours misses a target.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from itertools import count, islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import attrs
import peers_postgres
import peers_sqlite
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from people import ASYNC_ENGINE, PERSON, ROWS, Contender, Ours, person

BULK = 1_000
STOCK = 60_000
STREAMED = 1_000_000
STREAM_LIMIT = 50.0
KEYS = [person(number * 37 % ROWS)["id"] for number in range(ROWS)]

Work = Callable[[Contender, int], Awaitable[Any]]
"""Does the work once; the number is another at each call."""


@attrs.frozen
class Figure:
    """One row of the table.

    Attributes:
        tasks: that do the work at the same time.
        per: what one call counts.
        targets: peer → the least that ours has to be, as a part of it or times it.
    """

    name: str
    work: Work
    tasks: int = 1
    per: int = 1
    targets: dict[str, float] = attrs.field(factory=dict)


async def get(contender: Contender, number: int) -> Any:
    """A row by its id."""
    return await contender.get(KEYS[number % ROWS])


async def page(contender: Contender, number: int) -> Any:
    """Fifty rows, typed."""
    return await contender.page()


class Inserting:
    """Inserts so many rows at once, with ids that nobody had; the rows are made before the time is taken."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.stock: list[list[dict[str, Any]]] = []
        self.numbers = count(ROWS)

    def prepare(self) -> None:
        while len(self.stock) * self.rows < STOCK:
            self.stock.append([person(number) for number in islice(self.numbers, self.rows)])

    async def __call__(self, contender: Contender, number: int) -> Any:
        if not self.stock:
            self.prepare()
        return await contender.insert(self.stock.pop())


async def rate(figure: Figure, contender: Contender, seconds: float) -> float:
    """What the contender does a second, in about so many seconds."""
    calls = 0
    if isinstance(figure.work, Inserting):
        figure.work.prepare()
    gc.collect()
    gc.freeze()
    start = perf_counter()
    end = start + seconds

    async def task() -> None:
        nonlocal calls
        while perf_counter() < end:
            calls += 1
            await figure.work(contender, calls)

    await asyncio.gather(*(task() for _ in range(figure.tasks)))
    took = perf_counter() - start
    gc.unfreeze()
    return calls * figure.per / took


async def measure(
    title: str, figures: Sequence[Figure], contenders: Sequence[Contender], rounds: int, seconds: float
) -> list[str]:
    """Print all figures; returns the targets that are missed."""
    missed: list[str] = []
    names = [contender.name for contender in contenders]
    print(f"\n{f'{title}, a second':<28}" + "".join(f"{name:>24}" for name in names))
    for figure in figures:
        rates: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(rounds):
            for contender in contenders if turn % 2 else reversed(contenders):
                rates[contender.name].append(await rate(figure, contender, seconds))
        print(f"{figure.name:<28}" + "".join(f"{max(rates[name]):>24,.0f}" for name in names))
        for peer, least in figure.targets.items():
            best = max(rates[Ours.name]) / max(rates[peer])
            middle = median(ours / theirs for ours, theirs in zip(rates[Ours.name], rates[peer], strict=True))
            met = best >= least
            print(f"  {'ok  ' if met else 'MISS'} {best:.2f} of {peer}, median {middle:.2f} (at least {least:g})")
            missed += [] if met else [f"{title}: {figure.name}"]
    return missed


async def on_sqlite(rounds: int, seconds: float) -> list[str]:
    """Ours on files, beside the bare driver and SQLAlchemy."""
    raw = peers_sqlite.RAW
    missed: list[str] = []
    kinds: list[list[Any]] = [
        [peers_sqlite.OursOnSqlite(), peers_sqlite.Raw(), peers_sqlite.SqliteAsyncEngine()],
        [peers_sqlite.OursOnSqlite(durable=True), peers_sqlite.Raw(durable=True)],
    ]
    figures = [
        [
            Figure("get by id", get, targets={raw: 0.6, ASYNC_ENGINE: 8.0}),
            Figure("get by id, 16 tasks", get, tasks=16),
            Figure("page of 50", page, targets={raw: 0.65}),
            Figure("rows, 1,000 at once", Inserting(BULK), per=BULK, targets={raw: 0.4}),
        ],
        [Figure("durable rows, 64 writers", Inserting(1), tasks=64, targets={raw: 5.0})],
    ]
    for contenders, work in zip(kinds, figures, strict=True):
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            for number, contender in enumerate(contenders):
                path = str(Path(folder, f"{number}.db"))
                await fill(path)
                await contender.open(path, stack)
            missed += await measure("SQLite", work, contenders, rounds, seconds)
    return missed


async def fill(path: str) -> None:
    """A file with the table and its rows."""
    dialect = await open_sqlite(path)
    await dialect.register(PERSON)
    await dialect.create_many(PERSON, [person(number) for number in range(ROWS)])
    await dialect.aclose()


async def on_postgres(rounds: int, seconds: float) -> list[str]:
    """Ours on a database, beside the bare pool and SQLAlchemy; all on one table."""
    raw = peers_postgres.RAW
    figures = [
        Figure("get by id", get),
        Figure("get by id, 16 tasks", get, tasks=16, targets={raw: 0.7, ASYNC_ENGINE: 3.0}),
        Figure("page of 50", page),
        Figure("page of 50, 16 tasks", page, tasks=16, targets={raw: 0.7}),
        Figure("rows, 1,000 at once", Inserting(BULK), per=BULK, targets={raw: 0.7}),
    ]
    async with AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(peers_postgres.database())
        except OSError as error:
            print(f"\nPostgreSQL is left out: no server answers ({type(error).__name__})")
            return []
        ours = peers_postgres.OursOnPostgres()
        contenders = [ours, peers_postgres.Raw(), peers_postgres.PostgresAsyncEngine()]
        for contender in contenders:
            await contender.open(url, stack)
        await ours.insert([person(number) for number in range(ROWS)])
        return await measure("PostgreSQL", figures, contenders, rounds, seconds)


def streaming() -> list[str]:
    """The memory of a stream over a large SQLite file, in a process of its own."""
    if not sys.platform.startswith("linux"):
        print("\nthe stream is left out: only Linux tells the most memory that a process had")
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "large.db"))
        asyncio.run(fill(path))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            rows = (peers_sqlite.encoded(person(number)) for number in range(ROWS, STREAMED))
            connection.executemany(peers_sqlite.INSERT, rows)
            connection.commit()
        script = Path(__file__).with_name("stream_memory.py")
        told = subprocess.run([sys.executable, script, path], check=True, capture_output=True, text=True).stdout.split()
    rows, memory, seconds = int(told[0]), float(told[1]), float(told[2])
    assert rows == STREAMED
    met = memory < STREAM_LIMIT
    print(f"\nstream of {rows:,} rows, {rows / seconds:,.0f} a second")
    print(f"  {'ok  ' if met else 'MISS'} {memory:.1f} MB above idle (below {STREAM_LIMIT:g})")
    return [] if met else ["stream: memory"]


def main() -> int:
    """Measure, print, and tell by the exit code what `--check` asks."""
    sections = ("sqlite", "postgres", "stream")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sections, default=sections, metavar="SECTION")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each figure of each contender in each round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a target is missed")
    options = parser.parse_args()
    missed: list[str] = []
    if "sqlite" in options.only:
        missed += asyncio.run(on_sqlite(options.rounds, options.seconds))
    if "postgres" in options.only:
        missed += asyncio.run(on_postgres(options.rounds, options.seconds))
    if "stream" in options.only:
        missed += streaming()
    print(f"\n{len(missed)} targets are missed" + (f": {'; '.join(missed)}" if missed else ""))
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
