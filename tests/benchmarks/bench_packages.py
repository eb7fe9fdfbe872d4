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
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, size INTEGER NOT NULL, deprecated VARCHAR(1000),
  yanked INTEGER NOT NULL, sequence INTEGER PRIMARY KEY AUTOINCREMENT, manifest TEXT NOT NULL, metadata TEXT NOT NULL,
  UNIQUE (id, version));
CREATE INDEX by_time ON sys_packages (id, created_at DESC);
CREATE INDEX by_sequence ON sys_packages (id, sequence DESC);
CREATE TABLE sys_package_heads (
  id VARCHAR(200) PRIMARY KEY NOT NULL, owner VARCHAR(255), visibility VARCHAR(7) NOT NULL, policy VARCHAR(9) NOT NULL,
  tags TEXT NOT NULL, words VARCHAR(401) NOT NULL, latest INTEGER);
CREATE INDEX heads_latest ON sys_package_heads (latest DESC);
CREATE INDEX heads_seen ON sys_package_heads (visibility, latest DESC);
CREATE INDEX heads_own ON sys_package_heads (owner, visibility, latest DESC);
CREATE TABLE sys_package_history (
  id VARCHAR(200) NOT NULL, number INTEGER NOT NULL, action VARCHAR(20) NOT NULL, version VARCHAR(100),
  hash VARCHAR(64), details TEXT NOT NULL, "by" VARCHAR(255), at TEXT NOT NULL, PRIMARY KEY (id, number));
"""
ROUNDS = 5
SAME = 1.3
"""Times the cost of the small registry that counts as the same: what a busy machine adds."""
NOW = "2024-05-01T00:00:00.000000+00:00"
STATE = """
SELECT (SELECT max(number) FROM sys_package_history WHERE id = :id),
  (SELECT sequence FROM sys_packages WHERE id = :id ORDER BY sequence DESC LIMIT 1),
  h.id, h.owner, h.visibility, h.policy, h.tags, p.version, p.created_at, p.hash, p.sequence, p.deprecated, p.yanked
FROM (SELECT 1) LEFT JOIN sys_package_heads AS h ON h.id = :id LEFT JOIN sys_packages AS p
ON p.id = :id AND p.version = :version
"""
RECORD = """
INSERT INTO sys_package_history (id, number, action, version, hash, details, "by", at)
VALUES (?, ?, 'publish', ?, ?, '{}', NULL, ?)
"""
INSERT = """
INSERT INTO sys_packages (id, version, manifest, metadata, hash, created_at, updated_at, size, yanked)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)
"""
HEAD = """
INSERT INTO sys_package_heads (id, visibility, policy, tags, words) VALUES (:id, 'public', 'mutable', '{}', :id)
"""
SETTLE = """
UPDATE sys_package_heads SET words = :id, latest = (SELECT sequence FROM sys_packages
WHERE id = :id AND yanked = 0 ORDER BY sequence DESC LIMIT 1) WHERE id = :id
"""
SUMMARY = """
p.id, p.version, p.hash, p.previous_hash, p.created_at, p.updated_at, p.sequence, p.size, p.deprecated, p.yanked,
h.owner, h.visibility, h.policy, h.tags
"""
LATEST = f"""
SELECT {SUMMARY}, p.manifest, p.metadata FROM sys_packages AS p LEFT JOIN sys_package_heads AS h ON h.id = p.id
WHERE p.id = ? AND p.yanked = 0 ORDER BY p.sequence DESC LIMIT 1
"""
NEWEST = f"""
SELECT {SUMMARY} FROM sys_package_heads AS h LEFT JOIN sys_packages AS p ON p.sequence = h.latest AND p.id = h.id
WHERE h.latest < 9223372036854775807 ORDER BY h.latest DESC LIMIT 51
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
            this = {"id": id, "version": version}
            state = connection.execute(STATE, this).fetchone()
            connection.execute(RECORD, (id, (state[0] or 0) + 1, version, hash, NOW))
            size = len(manifest) + len(metadata)
            connection.execute(INSERT, (id, version, manifest, metadata, hash, NOW, NOW, size))
            if state[2] is None:
                connection.execute(HEAD, this)
            connection.execute(SETTLE, this)
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
    reached = "ok" if target is None or ours / raw >= target else "MISSED"
    wanted = "" if target is None else f"   target >= {target} of raw: {reached}"
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
            (f"p{n}", f"1.{step}.0", "{}", "{}", "0" * 64, NOW, NOW, 4)
            for n in range(packages)
            for step in range(versions)
        )
        connection.executemany(INSERT, rows)
        connection.executemany(HEAD, ({"id": f"p{n}"} for n in range(packages)))
        connection.execute(SETTLE.replace(":id", "sys_package_heads.id"))
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
        reached = "ok" if many / few <= SAME else "MISSED"
        print(
            f"{name:<32}{few * 1e6:>10,.0f} {many * 1e6:>14,.0f}     {many / few:>8.2f}x  target <= {SAME}x: {reached}"
        )


if __name__ == "__main__":
    asyncio.run(main())
