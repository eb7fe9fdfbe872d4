"""Projects with databases of their own to test with: files, and databases on real servers that end with the test."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from objectkernel import ObjectKernel, Secret
from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import ManagedProject
from objectkernel_project_life.manager import HostManager, host_manager
from objectkernel_system_dialect.contracts import DATA_PLUG, DataPlug, EntitySchema, Field
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.plugins.system_dialect.databases import MARIADB_URL, POSTGRES_URL, missing, run_on_mariadb, run_on_postgres

NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("text")})
TASK = EntitySchema(name="Task", collection="tasks", fields={"title": Field("string"), "done": Field("boolean")})


class AnyPlace:
    """A policy that lets projects have their databases anywhere; `asked` has who wanted to."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check(self, account: str, dialect: str, uri: Secret[str]) -> None:
        self.asked.append(account)


def in_files(folder: Path) -> dict[str, str]:
    """An environment whose business and system data are in SQLite files of a folder."""
    return {
        "OBJECTKERNEL_DATA_DIR": str(folder),
        "SGBD_URI": str(folder / "business.db"),
        "MOSTA_SYSTEM_DIALECT": "sqlite",
        "MOSTA_SYSTEM_URI": str(folder / "system.db"),
    }


@asynccontextmanager
async def plugged(environ: Mapping[str, str]) -> AsyncIterator[DataPlug]:
    """The data plug of a kernel with these settings."""
    async with ObjectKernel(plugins=[SystemDialectPlugin], discover=False, environ=environ) as kernel:
        yield kernel.get(DATA_PLUG)


@asynccontextmanager
async def managing(folder: Path, policy: AnyPlace | None = None, **settings: Any) -> AsyncIterator[HostManager]:
    """A manager on a host whose own data is in files of a folder."""
    folder.mkdir(exist_ok=True)
    config = ProjectLifeConfig(data_dir=folder, **{"pause_deadline": 5.0, "open_timeout": 30.0, **settings})
    async with plugged(in_files(folder)) as plug, host_manager(plug, policy or AnyPlace(), config) as manager:
        yield manager


def project(uri: str | Path, *schemas: EntitySchema, id: str | None = None, **given: Any) -> ManagedProject:
    """A project whose database is there."""
    own = id or str(uuid4())
    secret = Secret(str(uri))
    kind = urlsplit(str(uri)).scheme.replace("postgresql", "postgres").replace("mysql", "mariadb")
    values = {"account": "ada", "dialect": kind if "://" in str(uri) else "sqlite", **given}
    return ManagedProject(
        name=f"project_{UUID(own).hex}", project_id=own, reveal=lambda: secret, schemas=lambda: schemas, **values
    )


@contextmanager
def postgres_databases(count: int) -> Iterator[list[str]]:
    """The URLs of so many PostgreSQL databases, which are dropped at the end; whoever is in them is thrown out."""
    names = [f"objectkernel_test_{uuid4().hex}" for _ in range(count)]
    made: list[str] = []
    try:
        for name in names:
            try:
                run_on_postgres(POSTGRES_URL, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
            except OSError as error:
                missing(f"no PostgreSQL server answers: {error}")
            made.append(name)
        yield [urlsplit(POSTGRES_URL)._replace(path=f"/{name}").geturl() for name in names]
    finally:
        for name in made:
            run_on_postgres(POSTGRES_URL, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def mariadb_databases(count: int) -> Iterator[list[str]]:
    """The URLs of so many MariaDB databases, which are dropped at the end."""
    names = [f"objectkernel_test_{uuid4().hex}" for _ in range(count)]
    made: list[str] = []
    try:
        for name in names:
            try:
                run_on_mariadb(f"CREATE DATABASE {name}")
            except OSError as error:
                missing(f"no MariaDB server answers: {error}")
            made.append(name)
        yield [urlsplit(MARIADB_URL)._replace(path=f"/{name}").geturl() for name in names]
    finally:
        if made:
            run_on_mariadb(*(f"DROP DATABASE {name}" for name in made))


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.asyncio_only]),
        pytest.param("mariadb", marks=[pytest.mark.mariadb, pytest.mark.asyncio_only]),
    ]
)
def two_uris(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """The URIs of two databases of one kind, each kind in turn; the servers' drivers know asyncio alone."""
    if request.param == "sqlite":
        yield [str(tmp_path / "one.db"), str(tmp_path / "two.db")]
        return
    with postgres_databases(2) if request.param == "postgres" else mariadb_databases(2) as uris:
        yield uris


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on the loopback where connections are accepted and nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """A port on the loopback at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
