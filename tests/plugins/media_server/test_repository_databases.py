"""The published suite of repositories on the servers' databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import attrs
import pytest
from objectkernel_media_server.contracts import MediaRepository
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.testing import RepositorySuite

from tests.plugins.media_server.databases import opened
from tests.plugins.media_server.test_content_rows import CONTENT, ROW
from tests.plugins.system_dialect.databases import mariadb_database, postgres_database

__all__ = ["mariadb_database", "postgres_database"]  # fixtures


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The drivers of the servers know asyncio alone."""
    return "asyncio"


class ContentSuite:
    """What is found of a content by a statement of SQLAlchemy."""

    async def test_time_of_a_content(self, repository: DialectMediaRepository) -> None:
        """That of the last change; before the first one, that of the row."""
        await repository.insert("ada", ROW)
        assert await repository.find_content("ada", "one") == CONTENT
        later = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
        await repository.update("ada", "one", {"updated_at": later})
        changed = attrs.evolve(CONTENT, modified_at=later)
        assert await repository.find_content("ada", "one") == changed
        assert await repository.find_content_by_blob(CONTENT.bucket, CONTENT.key) == changed


@pytest.mark.postgres
class TestOnPostgres(RepositorySuite, ContentSuite):
    @pytest.fixture
    async def repository(self, anyio_backend: str, postgres_database: str) -> AsyncIterator[MediaRepository]:
        dialect = await opened("postgres", postgres_database)
        yield DialectMediaRepository(dialect)
        await dialect.aclose()


@pytest.mark.mariadb
class TestOnMariadb(RepositorySuite, ContentSuite):
    @pytest.fixture
    async def repository(self, anyio_backend: str, mariadb_database: str) -> AsyncIterator[MediaRepository]:
        dialect = await opened("mariadb", mariadb_database)
        yield DialectMediaRepository(dialect)
        await dialect.aclose()
