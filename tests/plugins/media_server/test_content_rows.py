"""Contents are found without the rest of their rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel_media_server import entities
from objectkernel_media_server.content_rows import ContentRow
from objectkernel_media_server.contracts import MediaRow
from objectkernel_media_server.memory_store import MemoryDriver
from objectkernel_media_server.powers import FindsBlobs
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.service import HostMedia, create_media
from objectkernel_media_server.testing import MemoryMediaRepository
from objectkernel_system_dialect.contracts import OperationUnsupported, StatementFailed
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.media_server.upload_hosts import BASE

pytestmark = pytest.mark.anyio
BORN = datetime(2026, 1, 1, tzinfo=UTC)
ROW = MediaRow(
    id="one",
    account_id="ada",
    bucket="media-recordings",
    key="ada/one.webm",
    mime_type="video/webm",
    size_bytes=7,
    kind="video",
    status="ready",
    checksum="0" * 64,
    created_at=BORN,
)
CONTENT = ContentRow("media-recordings", "ada/one.webm", 7, "video/webm", "0" * 64, BORN)


@pytest.fixture(params=["database", "memory"])
async def media(anyio_backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HostMedia]:
    dialect = await open_sqlite(str(tmp_path / "rows.db"))
    await dialect.register(*entities.SCHEMAS)
    kinds: dict[str, Any] = {"database": lambda: DialectMediaRepository(dialect), "memory": MemoryMediaRepository}
    try:
        yield create_media(MemoryDriver(BASE), kinds[request.param]())
    finally:
        await dialect.aclose()


async def test_what_is_told(media: HostMedia) -> None:
    """The same by its id and by its blob, where the repository knows blobs; the last change counts."""
    knows_blobs = isinstance(media.recordings.repo, FindsBlobs)
    await media.recordings.repo.insert("ada", ROW)
    assert await media.content("ada", "one") == CONTENT
    assert await media.content_of_blob("media-recordings", "ada/one.webm") == (CONTENT if knows_blobs else None)
    later = datetime(2026, 1, 2, tzinfo=UTC)
    await media.recordings.repo.update("ada", "one", {"updated_at": later})
    changed = attrs.evolve(CONTENT, modified_at=later)
    assert await media.content("ada", "one") == changed
    assert await media.content_of_blob("media-recordings", "ada/one.webm") == (changed if knows_blobs else None)


@pytest.mark.parametrize(
    "changes", [{"status": "uploading"}, {"status": "failed"}, {"status": "deleted"}, {"checksum": None}]
)
async def test_what_is_not_ready(media: HostMedia, changes: dict[str, Any]) -> None:
    """It has no content yet, or no longer, for anybody."""
    await media.recordings.repo.insert("ada", attrs.evolve(ROW, **changes))
    assert await media.content("ada", "one") is None
    assert await media.content_of_blob("media-recordings", "ada/one.webm") is None


async def test_what_is_another_s(media: HostMedia) -> None:
    """It is as if it were not there."""
    await media.recordings.repo.insert("ada", ROW)
    assert await media.content("eve", "one") is None
    assert await media.content("ada", "two") is None
    assert await media.content_of_blob("media-recordings", "ada/two.webm") is None
    assert await media.content_of_blob("other", "ada/one.webm") is None


@pytest.fixture
async def repository(anyio_backend: str, tmp_path: Path) -> AsyncIterator[DialectMediaRepository]:
    dialect = await open_sqlite(str(tmp_path / "rows.db"))
    await dialect.register(*entities.SCHEMAS)
    repository = DialectMediaRepository(dialect)
    await repository.insert("ada", ROW)
    try:
        yield repository
    finally:
        await dialect.aclose()


async def test_no_thread_is_asked(repository: DialectMediaRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in a file that lies in memory answers at once."""

    async def fetch(*_: Any, **__: Any) -> Any:
        raise AssertionError("this goes to a thread")

    dialect: Any = repository.dialect
    monkeypatch.setattr(dialect.engine.executor, "fetch", fetch)
    assert await repository.find_content("ada", "one") == CONTENT
    assert await repository.find_content_by_blob("media-recordings", "ada/one.webm") == CONTENT
    assert await repository.find_by_id("ada", "one") == ROW


@pytest.mark.parametrize("kind", [OperationUnsupported, StatementFailed])
async def test_a_dialect_that_runs_no_statement(
    repository: DialectMediaRepository, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    """Its other operations are asked."""

    async def execute(*_: Any) -> Any:
        raise kind("it does not")

    monkeypatch.setattr(repository.dialect, "execute", execute)
    assert await repository.find_content("ada", "one") == CONTENT
    assert await repository.find_content("eve", "one") is None
    assert await repository.find_content_by_blob("media-recordings", "ada/one.webm") == CONTENT
    assert await repository.find_content_by_blob("other", "ada/one.webm") is None
