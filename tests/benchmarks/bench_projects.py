"""What projects with databases of their own cost a host when it starts, beside the least that this can cost.

    python tests/benchmarks/bench_projects.py [--rounds 5] [--only lazy eager broken] [--check]

Every boot is one of the real register, with encrypted URIs, and the real manager, in one run:

- lazy: 1,000 registered projects that are opened when somebody needs them, beside a bare select of their rows; and the
  memory of each, measured with tracemalloc in a process of its own.
- eager: 60 projects on PostgreSQL, 16 opened at once, beside one after another; meanwhile the server is asked how many
  connections it has. It is that of `OBJECTKERNEL_TEST_POSTGRES_URL`, on which 60 databases are made and dropped.
- broken: 180 projects in files, and the same with 20 more that cannot be reached: at a port that is closed, and at one
  that accepts connections and never answers.

Exits with 0 when it ran; with `--check`, with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import attrs
from objectkernel import ObjectKernel, Secret
from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import PROJECT_SCHEMA, BootReport
from objectkernel_project_life.encryption import UriCipher
from objectkernel_project_life.encryption_keys import UriKey, generate_encryption_key, parse_keys
from objectkernel_project_life.manager import HostManager, host_manager
from objectkernel_project_life.projects import HostProjects
from objectkernel_project_life.uri_policy import UriPolicy
from objectkernel_system_dialect.contracts import DATA_PLUG, SYSTEM_DIALECT, DataPlug, Dialect
from objectkernel_system_dialect.plugin import SystemDialectPlugin

POSTGRES_URL: Final = os.environ.get("OBJECTKERNEL_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
REGISTERED, EAGER, REACHABLE, UNREACHABLE = 1000, 60, 180, 20
LONGEST_BOOT, LARGEST, FASTER, SLOWER = 0.3, 50_000, 2.0, 2.0
SCHEMA: Final = {
    "name": "Contact",
    "collection": "contacts",
    "fields": {
        "name": {"type": "string", "required": True},
        "email": {"type": "string", "unique": True},
        "age": {"type": "integer"},
        "tags": {"type": "array"},
    },
}
ACCOUNT: Final = "acme"


@attrs.frozen
class Host:
    """What a host has before it knows any project."""

    plug: DataPlug
    system: Dialect
    folder: Path
    keys: tuple[UriKey, ...]

    async def register(self, uris: Sequence[str]) -> None:
        """Write a row for each URI, and take away those that were there."""
        cipher = UriCipher(self.keys)
        rows: list[dict[str, Any]] = []
        for number, uri in enumerate(uris):
            id = str(uuid4())
            stored, key = cipher.encrypt(Secret(uri), id)
            rows.append(
                {
                    "id": id, "account": ACCOUNT, "name": f"Project {number}", "slug": f"project-{number}",
                    "dialect": "postgres" if uri.startswith("postgres") else "sqlite", "uri": stored, "uri_key": key,
                    "place": uuid4().hex, "schemas": [SCHEMA], "transports": ["rest"], "pool_size": 5, "pool_min": 0,
                    "status": "active", "mproject_name": f"project_{UUID(id).hex}",
                }
            )  # fmt: skip
        await self.system.delete_many(PROJECT_SCHEMA, {}, all=True)
        await self.system.create_many(PROJECT_SCHEMA, rows)

    @asynccontextmanager
    async def projects(
        self, uris: Sequence[str] = (), **settings: Any
    ) -> AsyncIterator[tuple[HostProjects, HostManager]]:
        """A register and a manager that know nothing yet; `uris` are where they may go. All is closed at the end."""
        places = [urlsplit(uri) for uri in uris if not uri.startswith("sqlite")]
        hosts, ports = {place.hostname or "" for place in places}, {place.port or 5432 for place in places}
        config = ProjectLifeConfig(
            data_dir=self.folder, allowed_hosts=tuple(hosts), allowed_ports=tuple(ports), **settings
        )
        policy = UriPolicy(config)
        async with host_manager(self.plug, policy, config) as manager:
            projects = HostProjects(self.system, manager, self.plug, keys=self.keys, policy=policy, config=config)
            yield projects, manager

    def file(self, name: str) -> str:
        """The URI of a file in the account's folder."""
        return f"sqlite:///{self.folder / 'projects' / ACCOUNT / name}"


@asynccontextmanager
async def host(folder: Path) -> AsyncIterator[Host]:
    """A host with its own data in files of a folder."""
    (folder / "projects" / ACCOUNT).mkdir(parents=True, exist_ok=True)
    environ = {
        "OBJECTKERNEL_DATA_DIR": str(folder),
        "SGBD_URI": str(folder / "business.db"),
        "MOSTA_SYSTEM_DIALECT": "sqlite",
        "MOSTA_SYSTEM_URI": str(folder / "system.db"),
    }
    keys = parse_keys(os.environ.get("PROJECT_ENCRYPTION_KEY") or generate_encryption_key())
    async with ObjectKernel(plugins=[SystemDialectPlugin], discover=False, environ=environ) as kernel:
        system = kernel.get(SYSTEM_DIALECT)
        await system.register(PROJECT_SCHEMA)
        yield Host(kernel.get(DATA_PLUG), system, folder, keys)


async def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that something takes, and its answer."""
    gc.collect()
    start = perf_counter()
    answer = await work()
    return perf_counter() - start, answer


def told(met: bool, text: str) -> bool:
    """Print a line with what became of a target."""
    print(f"  {'ok  ' if met else 'MISS'} {text}")
    return met


# --- 1,000 that nobody needs yet -----------------------------------------------------------------------------


async def lazy(folder: Path, rounds: int) -> bool:
    """Boot 1,000 lazy projects."""
    boots: list[float] = []
    selects: list[float] = []
    async with host(folder) as here:
        await here.register([here.file(f"{number}.db") for number in range(REGISTERED)])
        for _ in range(rounds):
            async with here.projects() as (projects, manager):
                seconds, report = await timed(projects.boot_all_projects)
                boots.append(seconds)
                expect(len(report.loaded) == REGISTERED and manager.tally().closed == REGISTERED, report)
            selects.append((await timed(lambda: here.system.find(PROJECT_SCHEMA)))[0])
    ratio = median(boot / select for boot, select in zip(boots, selects, strict=True))
    print(f"\n{REGISTERED:,} lazy projects: boot {min(boots):.3f} s (median {median(boots):.3f} s)")
    print(f"  {ratio:.1f} times a bare select of their rows ({min(selects):.3f} s)")
    each = memory_of_each(folder)
    return all(
        [
            told(min(boots) < LONGEST_BOOT, f"under {LONGEST_BOOT:g} s"),
            told(each < LARGEST, f"{each / 1000:.1f} kB of memory each (under {LARGEST / 1000:g} kB)"),
        ]
    )


def memory_of_each(folder: Path) -> float:
    """Bytes for each lazy project, as tracemalloc counts them in another process."""
    command = [sys.executable, __file__, "--measure-memory", str(folder)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(answer)) / REGISTERED


async def measured_memory(folder: Path) -> int:
    """What a boot leaves in memory, in bytes."""
    async with host(folder) as here:
        await here.register([here.file(f"{number}.db") for number in range(REGISTERED)])
        async with here.projects() as (projects, _):
            await projects.boot_all_projects()  # what is made once is not counted
        gc.collect()
        tracemalloc.start()
        async with here.projects() as (projects, manager):
            await projects.boot_all_projects()
            gc.collect()
            used = tracemalloc.get_traced_memory()[0]
            expect(manager.tally().closed == REGISTERED, manager.tally())
        return used


# --- 60 on a server ------------------------------------------------------------------------------------------


async def eager(folder: Path, rounds: int) -> bool:
    """Boot 60 projects on PostgreSQL, many at once and one after another."""
    import asyncpg

    try:
        server = await asyncpg.connect(POSTGRES_URL, timeout=10)
    except (OSError, TimeoutError) as error:
        print(f"\nprojects on PostgreSQL are left out: no server answers: {error}")
        return True
    names = [f"objectkernel_bench_{uuid4().hex}" for _ in range(EAGER)]
    times: dict[int, list[float]] = {1: [], 16: []}
    most = ProjectLifeConfig().max_connections_total
    try:
        for name in names:
            await server.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        async with host(folder) as here:
            uris = [urlsplit(POSTGRES_URL)._replace(path=f"/{name}").geturl() for name in names]
            await here.register(uris)
            for turn in range(rounds + 1):  # the first one makes the tables
                for at_once in (1, 16) if turn % 2 else (16, 1):
                    seconds = await boot_time(here, uris, at_once)
                    times[at_once] += [seconds] if turn else []
            async with watched(server) as seen:  # not while it counts: whoever asks so often takes time too
                await boot_time(here, uris, 16)
            peak = max(seen)
            tight = await tightly(here, uris, server)
    finally:
        for name in names:
            await server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await server.close()
    best = {at_once: min(seconds) for at_once, seconds in times.items()}
    ratio, middle = best[1] / best[16], median(one / many for one, many in zip(times[1], times[16], strict=True))
    print(f"\n{EAGER} eager projects on PostgreSQL: 16 at once {best[16]:.2f} s, one after another {best[1]:.2f} s")
    return all(
        [
            told(ratio >= FASTER, f"{ratio:.2f} times as fast, median {middle:.2f} (at least {FASTER:g})"),
            told(0 < peak <= most, f"the server saw {peak} connections (at most {most})"),
            told(0 < tight <= TIGHT, f"and with `max_connections_total` at {TIGHT}: {tight} (at most {TIGHT})"),
        ]
    )


async def boot_time(here: Host, uris: Sequence[str], at_once: int) -> float:
    """The seconds that a host takes to open all of them."""
    async with here.projects(uris, opening="eager", open_timeout=60.0, boot_concurrency=at_once) as (projects, _):
        seconds, report = await timed(projects.boot_all_projects)
        expect(len(report.loaded) == EAGER, report)
        return seconds


TIGHT: Final = 12
"""Connections for 60 projects, all of which are at work."""


async def tightly(here: Host, uris: Sequence[str], server: Any) -> int:
    """The most connections that the server saw while all projects worked, with few for all of them."""
    async with here.projects(uris, opening="eager", open_timeout=60.0, max_connections_total=TIGHT) as (
        projects,
        manager,
    ):
        async with watched(server) as seen:
            expect(len((await projects.boot_all_projects()).loaded) == EAGER, manager.tally())
            services = [manager.get(state.name) for state in manager.list()]
            contacts = [service.repository("Contact") for service in services for _ in range(3)]
            await asyncio.gather(*(one.count() for one in contacts))
        return max(seen)


@asynccontextmanager
async def watched(server: Any) -> AsyncIterator[list[int]]:
    """Ask the server, again and again, how many connections it has for the benchmark's databases."""
    seen: list[int] = [0]
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname LIKE 'objectkernel\\_bench\\_%' AND backend_type = 'client backend'"
    )

    async def watch() -> None:
        while True:
            seen.append(await server.fetchval(query))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


# --- 200 of which 20 are out of reach --------------------------------------------------------------------------


async def broken(folder: Path, rounds: int) -> bool:
    """Boot 180 projects alone, and with 20 that cannot be reached."""
    alone: list[float] = []
    beside: list[float] = []
    with silent_port() as silent:
        async with host(folder) as here:
            files = [here.file(f"broken{number}.db") for number in range(REACHABLE)]
            nowhere = [
                f"postgresql://postgres@127.0.0.1:{silent if number % 2 else closed_port()}/nowhere{number}"
                for number in range(UNREACHABLE)
            ]
            every = REACHABLE // UNREACHABLE
            mixed = [uri for number, one in enumerate(nowhere) for uri in (one, *files[number * every :][:every])]
            for turn in range(rounds + 1):  # the first one makes the files
                for uris, times in ((files, alone), (mixed, beside)):
                    await here.register(uris)
                    async with here.projects(uris, opening="eager", open_timeout=3.0) as (projects, manager):
                        seconds, report = await until_up(projects, manager)
                    expect(len(report.loaded) == REACHABLE, report)
                    expect(len(report.failed) == len(uris) - REACHABLE, report)
                    rows = await here.system.find(PROJECT_SCHEMA, {"status": "error"})
                    expect(len(rows) == len(report.failed), report)
                    times += [seconds] if turn else []
    ratio = min(beside) / min(alone)
    middle = median(with_them / without for with_them, without in zip(beside, alone, strict=True))
    print(f"\n{REACHABLE} eager projects: up within {min(alone):.2f} s alone, {min(beside):.2f} s beside {UNREACHABLE}")
    return told(ratio < SLOWER, f"{ratio:.2f} times their time alone, median {middle:.2f} (under {SLOWER:g})")


async def until_up(projects: HostProjects, manager: HostManager) -> tuple[float, BootReport]:
    """The seconds until all reachable projects are open, and what became of the rest."""
    gc.collect()
    start = perf_counter()
    booting = asyncio.create_task(projects.boot_all_projects())
    while manager.tally().open < REACHABLE and not booting.done():
        await asyncio.sleep(0.005)
    seconds = perf_counter() - start
    return seconds, await booting


@contextmanager
def silent_port() -> Iterator[int]:
    """A port where connections are accepted and nobody answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def expect(holds: bool, otherwise: object) -> None:
    """Be sure that what is measured is what was to be measured."""
    if not holds:
        raise RuntimeError(f"the benchmark did not do its work: {str(otherwise)[:2000]}")


KINDS: Final = {"lazy": lazy, "eager": eager, "broken": broken}


def main() -> int:
    """Measure, print, and tell by the exit code what `--check` asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--check", action="store_true", help="exit with 1 where a target is missed")
    parser.add_argument("--measure-memory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure_memory:
        print(json.dumps(asyncio.run(measured_memory(options.measure_memory))))
        return 0
    logging.getLogger("objectkernel").setLevel(logging.CRITICAL)  # of what cannot be reached the report tells
    met: list[bool] = []
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            met.append(asyncio.run(KINDS[name](Path(folder), options.rounds)))
    return 0 if all(met) or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
