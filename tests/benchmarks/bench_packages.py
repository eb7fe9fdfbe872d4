"""The package registry against the same SQL through the bare driver, in one run.

    python tests/benchmarks/bench_packages.py [--packages 200] [--versions 10] [--large 20000]

Prints operations a second and ratios: publish, get latest, a page of 50, each beside sqlite3 in one dedicated
thread with the same tables, journal and `synchronous`, one commit a publish; then what a page and a get cost in a
small and a large registry. `--packages 1000 --large 100000` is the size that the targets are stated for.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from objectkernel import ObjectKernel
from objectkernel_package_service import PACKAGES, PackageService, PackageServicePlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin

SPREAD = 500
"""Packages that are read one after another, spread over the whole registry."""
ROUNDS = 20
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


def schema(database: Path) -> str:
    """The tables and indexes of a database, as a script."""
    connection = sqlite3.connect(database)
    created = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    script = ";".join(sql for (sql,) in connection.execute(created))
    connection.close()
    return script


class Raw:
    """sqlite3 in one thread, one commit a write: what is left when everything of ours is taken away."""

    def __init__(self, path: Path, tables_of: Path) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + schema(tables_of))

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
    one: Callable[[int], Awaitable[float]], other: Callable[[int], Awaitable[float]]
) -> tuple[float, float]:
    """The best rate of each in turns, so that a busy moment of the machine meets both."""
    turns = [(await one(turn), await other(turn)) for turn in range(ROUNDS)]
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
    async with host(folder / "ours.db") as kernel:
        raw = Raw(folder / "raw.db", folder / "ours.db")
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
            lambda _: rate(500, lambda n: raw.get(f"acme.p{n % packages}")),
            lambda _: rate(500, lambda n: service.get(f"acme.p{n % packages}")),
        )
        report("get latest", ours, bare, 0.5)
        bare, ours = await best_of_turns(
            lambda _: rate(20, lambda n: raw.page()), lambda _: rate(20, lambda n: service.list())
        )
        report("page of 50", ours, bare)
        page = await service.list(limit=500)
        assert len({item.id for item in page.items}) == len(page.items) == min(packages, 500)
        assert all(item.version == f"1.{versions - 1}.0" for item in page.items)
        raw.close()


def stored(id: str, version: str) -> tuple[object, ...]:
    """The values of `INSERT` for a package of nothing, as publishing it would store it."""
    manifest = json.dumps({"id": id, "version": version}, separators=(",", ":"))
    content = f'{{"manifest":{manifest},"metadata":{{}}}}'
    return id, version, manifest, "{}", hashlib.sha256(content.encode()).hexdigest(), NOW, NOW, len(content)


async def filled(folder: Path, packages: int, versions: int) -> Path:
    """A registry of that size, filled past the service.

    The versions of each package lie together, so that old ones fill the space between the last few latest ones.
    """
    path = folder / f"{packages}x{versions}.db"
    async with host(path):
        pass
    with sqlite3.connect(path) as connection:
        rows = (stored(f"p{n}", f"1.{step}.0") for n in range(packages) for step in range(versions))
        connection.executemany(INSERT, rows)
        connection.executemany(HEAD, ({"id": f"p{n}"} for n in range(packages)))
        connection.execute(SETTLE.replace(":id", "sys_package_heads.id"))
    connection.close()
    return path


async def reads(service: PackageService, packages: int, versions: int) -> dict[str, Callable[[int], Awaitable[float]]]:
    """What reads a page, or packages that are spread over the whole registry: each a turn, which gives the rate."""

    def page(number: int) -> Callable[[int], Awaitable[float]]:
        cursor = str(number * versions + 1)
        return lambda _: rate(20, lambda _: service.list(after=cursor))

    ids = [f"p{n * packages // SPREAD}" for n in range(SPREAD)]
    assert None not in [await service.get(id) for id in ids]
    assert len((await service.list(after=str(50 * versions + 1))).items) == 50
    return {
        "first page of 50": page(packages),
        "middle page": page(packages // 2),
        "last page": page(50),
        "get latest": lambda _: rate(SPREAD, lambda n: service.get(ids[n])),
        "get a version": lambda _: rate(SPREAD, lambda n: service.get(ids[n], "1.1.0")),
    }


async def sizes(folder: Path, large: int, versions: int) -> None:
    """What reading costs in a small registry and in a large one."""
    few, many = await filled(folder, 1_000, 2), await filled(folder, large, versions)
    print(f"\nmicroseconds: 1,000 packages x 2 versions -> {large:,} x {versions}")
    async with host(few) as one, host(many) as other:
        small = await reads(one.get(PACKAGES), 1_000, 2)
        big = await reads(other.get(PACKAGES), large, versions)
        for name in small:
            rates = await best_of_turns(small[name], big[name])
            before, after = (1e6 / best for best in rates)
            reached = "ok" if after / before <= SAME else "MISSED"
            print(f"{name:<32}{before:>10,.0f} {after:>14,.0f} {after / before:>12.2f}x  target <= {SAME}x: {reached}")


async def main() -> None:
    """Run everything once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("packages", 200), ("versions", 10), ("large", 20_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    size = parser.parse_args()
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"SQLite file, WAL, synchronous NORMAL: {size.packages} packages x {size.versions} versions; {load}")
    with tempfile.TemporaryDirectory() as folder:
        await compare(Path(folder), size.packages, size.versions)
        await sizes(Path(folder), size.large, size.versions)


if __name__ == "__main__":
    asyncio.run(main())
