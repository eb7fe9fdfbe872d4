"""The published suite of repositories on the servers' databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from objectkernel_media_server.contracts import MediaRepository
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.testing import RepositorySuite

from tests.plugins.media_server.databases import opened
from tests.plugins.system_dialect.databases import mariadb_database, postgres_database

__all__ = ["mariadb_database", "postgres_database"]  # fixtures


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The drivers of the servers know asyncio alone."""
    return "asyncio"


@pytest.mark.postgres
class TestOnPostgres(RepositorySuite):
    @pytest.fixture
    async def repository(self, anyio_backend: str, postgres_database: str) -> AsyncIterator[MediaRepository]:
        dialect = await opened("postgres", postgres_database)
        yield DialectMediaRepository(dialect)
        await dialect.aclose()


@pytest.mark.mariadb
class TestOnMariadb(RepositorySuite):
    @pytest.fixture
    async def repository(self, anyio_backend: str, mariadb_database: str) -> AsyncIterator[MediaRepository]:
        dialect = await opened("mariadb", mariadb_database)
        yield DialectMediaRepository(dialect)
        await dialect.aclose()
