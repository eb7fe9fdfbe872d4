"""Databases on real servers, for one test module each: made when it begins, emptied for each test, dropped at its end.

Where no server answers, tests are skipped with the reason; in continuous integration they fail.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit
from uuid import uuid4

import attrs
import pytest

from tests.plugins.system_dialect.proxy import CuttableProxy

POSTGRES_URL = os.environ.get("OBJECTKERNEL_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
MARIADB_URL = os.environ.get("OBJECTKERNEL_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306")
UNPRIVILEGED = "nobody"


def missing(why: str) -> NoReturn:
    """Skip the test because of something that this machine has not, or fail where it has to have it."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def postgres_database() -> Iterator[str]:
    """The URL of a PostgreSQL database of this module's own."""
    name = f"objectkernel_test_{uuid4().hex}"
    try:
        run_on_postgres(POSTGRES_URL, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    except OSError as error:
        missing(f"no PostgreSQL server answers: {error}")
    yield urlsplit(POSTGRES_URL)._replace(path=f"/{name}").geturl()
    run_on_postgres(POSTGRES_URL, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_database: str) -> str:
    """The URL of an empty PostgreSQL database."""
    run_on_postgres(postgres_database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return postgres_database


def run_on_postgres(url: str, sql: str) -> None:
    """Run statements on a connection of their own while the caller's event loop stands still.

    Raises:
        OSError: no server answers.
    """
    import asyncpg

    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(run())).result()


@attrs.frozen
class Cuttable:
    """A database behind a proxy: `url` leads through it."""

    url: str
    proxy: CuttableProxy

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        self.proxy.cut()

    def mend(self) -> None:
        """Let connections through again."""
        self.proxy.mend()


@pytest.fixture
def cuttable(postgres_url: str) -> Iterator[Cuttable]:
    """An empty PostgreSQL database, the way to which can be cut."""
    host, port = _address(urlsplit(postgres_url))
    with CuttableProxy(host, port) as proxy:
        yield Cuttable(_at_port(postgres_url, proxy.port), proxy)


@pytest.fixture(scope="module")
def pgbouncer_database(postgres_database: str) -> Iterator[str]:
    """The URL of this module's database through a pgbouncer that lends connections for one transaction each."""
    command = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if command is None:
        missing("pgbouncer is not installed")
    parts = urlsplit(postgres_database)
    host, server_port = _address(parts)
    password = f" password={parts.password}" if parts.password else ""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "pgbouncer.ini")
        settings.write_text(
            "[databases]\n"
            f"* = host={host} port={server_port} user={parts.username or 'postgres'}{password}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n"
        )
        is_root = os.geteuid() == 0  # which pgbouncer refuses to be
        if is_root:
            shutil.chown(folder, UNPRIVILEGED)
        process = subprocess.Popen(
            [command, "--quiet", str(settings)], user=UNPRIVILEGED if is_root else None, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port, process)
            yield _at_port(postgres_database, port)
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def pgbouncer_url(postgres_url: str, pgbouncer_database: str) -> str:
    """The URL of an empty PostgreSQL database through pgbouncer in transaction mode."""
    return pgbouncer_database


def _address(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "127.0.0.1", url.port or 5432


def _at_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}").geturl()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until something listens at a port."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                pytest.fail(f"pgbouncer ended with {process.returncode}")
            time.sleep(0.02)


@pytest.fixture(scope="module")
def mariadb_database() -> Iterator[str]:
    """The URL of a MariaDB database of this module's own."""
    name = f"objectkernel_test_{uuid4().hex}"
    try:
        run_on_mariadb(f"CREATE DATABASE {name}")
    except OSError as error:
        missing(f"no MariaDB server answers: {error}")
    yield urlsplit(MARIADB_URL)._replace(path=f"/{name}").geturl()
    run_on_mariadb(f"DROP DATABASE {name}")


@pytest.fixture
def mariadb_url(mariadb_database: str) -> str:
    """The URL of an empty MariaDB database."""
    name = urlsplit(mariadb_database).path.removeprefix("/")
    run_on_mariadb(f"DROP DATABASE {name}", f"CREATE DATABASE {name}")
    return mariadb_database


@pytest.fixture
def mariadb_cuttable(mariadb_url: str) -> Iterator[Cuttable]:
    """An empty MariaDB database, the way to which can be cut."""
    parts = urlsplit(mariadb_url)
    with CuttableProxy(parts.hostname or "127.0.0.1", parts.port or 3306) as proxy:
        yield Cuttable(_at_port(mariadb_url, proxy.port), proxy)


def run_on_mariadb(*statements: str, url: str = MARIADB_URL) -> None:
    """Run statements on a connection of their own while the caller's event loop stands still.

    Raises:
        OSError: no server answers.
    """
    import asyncmy

    parts = urlsplit(url)

    async def run() -> None:
        try:
            connection = await asyncmy.connect(
                host=parts.hostname,
                port=parts.port or 3306,
                user=parts.username,
                password=parts.password or "",
                database=parts.path.removeprefix("/") or None,
                autocommit=True,
            )
        except asyncmy.errors.OperationalError as error:
            raise OSError(f"error {error.args[0]}") from None
        try:
            for statement in statements:
                await connection.query(statement)
        finally:
            await connection.ensure_closed()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(run())).result()
