"""Repositories: the published suite in memory and on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from objectkernel_media_server.contracts import MediaRepository
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.testing import MemoryMediaRepository, RepositorySuite

from tests.plugins.media_server.databases import opened


class TestInMemory(RepositorySuite):
    @pytest.fixture
    def repository(self) -> MediaRepository:
        return MemoryMediaRepository()


class TestOnSqlite(RepositorySuite):
    @pytest.fixture
    async def repository(self, anyio_backend: str) -> AsyncIterator[MediaRepository]:
        dialect = await opened("sqlite", ":memory:")
        yield DialectMediaRepository(dialect)
        await dialect.aclose()
