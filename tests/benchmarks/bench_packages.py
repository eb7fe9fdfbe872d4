"""The package registry against the same SQL through the bare driver, in one run.

    python tests/benchmarks/bench_packages.py [--packages 200] [--versions 10] [--large 20000]

Prints operations a second and ratios: publish, get latest, a page of 50, each beside sqlite3 in one dedicated
thread with the same journal and the same `synchronous`; what a page costs in a small and a large registry.
`--packages 1000 --large 100000` is the size that the targets are stated for.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from objectkernel import ObjectKernel
from objectkernel_package_service import PACKAGES, PackageServicePlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin

TABLE = """
CREATE TABLE sys_packages (
  id VARCHAR(200) NOT NULL, version VARCHAR(100) NOT NULL, hash VARCHAR(64) NOT NULL, previous_hash VARCHAR(64),
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, latest INTEGER NOT NULL,
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, manifest TEXT NOT NULL, metadata TEXT NOT NULL, UNIQUE (id, version));
CREATE INDEX by_time ON sys_packages (id, created_at DESC);
CREATE INDEX by_sequence ON sys_packages (id, sequence DESC);
CREATE INDEX by_mark ON sys_packages (latest, sequence DESC);
"""
ROUNDS = 5
NOW = "2024-05-01T00:00:00.000000+00:00"
INSERT = """
INSERT INTO sys_packages (id, version, manifest, metadata, hash, created_at, updated_at, latest)
VALUES (?, ?, ?, ?, ?, ?, ?, 1)
"""
SUPERSEDE = """
UPDATE sys_packages SET latest = 0 WHERE sequence =
  (SELECT sequence FROM sys_packages WHERE id = ? AND sequence < ? ORDER BY sequence DESC LIMIT 1)
"""
LATEST = """
SELECT id, version, hash, previous_hash, created_at, updated_at, manifest, metadata FROM sys_packages
WHERE id = ? ORDER BY sequence DESC LIMIT 1
"""
NEWEST = """
SELECT id, version, hash, previous_hash, created_at, updated_at, sequence FROM sys_packages AS p
WHERE latest = 1 AND NOT EXISTS (SELECT 1 FROM sys_packages AS q WHERE q.id = p.id AND q.sequence > p.sequence)
ORDER BY sequence DESC LIMIT 50
"""


def package(id: str, version: str) -> dict[str, Any]:
    """A small package: one object of six fields."""
    fields = {f"field_{n}": {"type": "text", "label": f"Field {n}", "maxLength": 100} for n in range(6)}
    return {
        "manifest": {"id": id, "version": version, "name": f"Package {id}", "dependencies": {}},
        "metadata": {"objects": [{"name": "thing", "label": "Thing", "fields": fields}], "views": []},
    }


class Raw:
    """sqlite3 in one thread, one commit a write: what is left when everything of ours is taken away."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + TABLE)

    async def run(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job, self._connection)

    async def publish(self, package: dict[str, Any]) -> object:
        manifest, metadata = (json.dumps(package[part], separators=(",", ":")) for part in ("manifest", "metadata"))
        hash = hashlib.sha256((manifest + metadata).encode()).hexdigest()
        id, version = package["manifest"]["id"], package["manifest"]["version"]

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute(INSERT, (id, version, manifest, metadata, hash, NOW, NOW))
            connection.execute(SUPERSEDE, (id, row.lastrowid))
            connection.execute("COMMIT")

        return await self.run(job)

    async def get(self, id: str) -> object:
        return await self.run(lambda connection: connection.execute(LATEST, (id,)).fetchone())

    async def page(self) -> object:
        return await self.run(lambda connection: connection.execute(NEWEST).fetchall())

    def close(self) -> None:
        self._thread.shutdown()
        self._connection.close()


async def rate(count: int, call: Callable[[int], Awaitable[object]]) -> float:
    """Calls a second, one after another."""
    start = perf_counter()
    for number in range(count):
        await call(number)
    return count / (perf_counter() - start)


async def best_of_turns(
    raw: Callable[[int], Awaitable[float]], ours: Callable[[int], Awaitable[float]]
) -> tuple[float, float]:
    """The best rate of each in turns, so that a busy moment of the machine meets both."""
    turns = [(await raw(turn), await ours(turn)) for turn in range(ROUNDS)]
    return max(rate for rate, _ in turns), max(rate for _, rate in turns)


async def rate_at_once(count: int, tasks: int, call: Callable[[int], Awaitable[object]]) -> float:
    """Calls a second from `tasks` tasks at once."""
    start = perf_counter()

    async def work(first: int) -> None:
        for number in range(first, count, tasks):
            await call(number)

    await asyncio.gather(*(work(first) for first in range(tasks)))
    return count / (perf_counter() - start)


def host(path: Path) -> ObjectKernel:
    """A kernel of the two plugins on one file."""
    return ObjectKernel(
        plugins=[SystemDialectPlugin(), PackageServicePlugin()],
        discover=False,
        config={"plugins": {"system-dialect": {"sgbd_uri": str(path)}}},
    )


def report(name: str, ours: float, raw: float, target: float | None = None) -> None:
    wanted = "" if target is None else f"   target >= {target} of raw"
    print(f"{name:<32}{ours:>10,.0f}/s {raw:>12,.0f}/s raw {ours / raw:>8.2f}{wanted}")


async def compare(folder: Path, packages: int, versions: int) -> None:
    """Publish, get latest and a page, ours and raw."""
    work = [package(f"acme.p{number}", f"1.{step}.0") for step in range(versions) for number in range(packages)]
    raw = Raw(folder / "raw.db")
    async with host(folder / "ours.db") as kernel:
        service = kernel.get(PACKAGES)
        per_round = len(work) // ROUNDS
        bare, ours = await best_of_turns(
            lambda turn: rate(per_round, lambda n: raw.publish(work[turn * per_round + n])),
            lambda turn: rate(per_round, lambda n: service.publish(work[turn * per_round + n])),
        )
        report("publish, one after another", ours, bare, 0.5)
        ours = await rate_at_once(len(work), 64, lambda n: service.publish(work[n]))
        report("publish again, 64 at once", ours, bare)
        bare, ours = await best_of_turns(
            lambda _: rate(1_000, lambda n: raw.get(f"acme.p{n % packages}")),
            lambda _: rate(1_000, lambda n: service.get(f"acme.p{n % packages}")),
        )
        report("get latest", ours, bare, 0.5)
        bare, ours = await best_of_turns(
            lambda _: rate(200, lambda n: raw.page()), lambda _: rate(200, lambda n: service.list())
        )
        report("page of 50", ours, bare)
        page = await service.list(limit=500)
        assert len({item.id for item in page.items}) == len(page.items) == min(packages, 500)
        assert all(item.version == f"1.{versions - 1}.0" for item in page.items)
    raw.close()


async def page_costs(folder: Path, packages: int, versions: int) -> list[float]:
    """Seconds for the first, the middle and the last page of a registry of that size, filled past the service.

    The versions of each package lie together, so that old ones fill the space between the last few latest ones.
    """
    path = folder / f"{packages}x{versions}.db"
    async with host(path):
        pass
    with sqlite3.connect(path) as connection:
        rows = (
            (f"p{n}", f"1.{step}.0", "{}", "{}", "0" * 64, NOW, NOW, step == versions - 1)
            for n in range(packages)
            for step in range(versions)
        )
        connection.executemany(INSERT.replace("1)", "?)"), rows)
    connection.close()
    costs = []
    async with host(path) as kernel:
        service = kernel.get(PACKAGES)
        cursors = [str(number * versions + 1) for number in (packages, packages // 2, 50)]
        for cursor in cursors:
            assert len((await service.list(after=cursor)).items) == 50
            rates = [await rate(100, lambda _: service.list(after=cursor)) for _ in range(ROUNDS)]  # noqa: B023 awaited here
            costs.append(1 / max(rates))
    return costs


async def main() -> None:
    """Run everything once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("packages", 200), ("versions", 10), ("large", 20_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    size = parser.parse_args()
    print(f"SQLite file, WAL, synchronous NORMAL: {size.packages} packages x {size.versions} versions")
    with tempfile.TemporaryDirectory() as folder:
        await compare(Path(folder), size.packages, size.versions)
        small = await page_costs(Path(folder), 1_000, 2)
        large = await page_costs(Path(folder), size.large, size.versions)
    print(f"\na page of 50, us: 1,000 packages x 2 versions -> {size.large:,} x {size.versions}")
    for name, few, many in zip(("first", "middle", "last"), small, large, strict=True):
        print(f"{name:<32}{few * 1e6:>10,.0f} {many * 1e6:>14,.0f}     {many / few:>8.2f}x  target 1x")


if __name__ == "__main__":
    asyncio.run(main())
