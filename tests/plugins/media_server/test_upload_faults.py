"""The database goes away, or the store has no room left, in the middle of an upload: what was acknowledged stays."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest
from objectkernel_media_server.errors import StorageFull
from objectkernel_media_server.memory_store import MemoryDriver
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.service import create_media
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.upload_needs import NewUpload
from objectkernel_media_server.uploads import UploadService
from objectkernel_system_dialect.contracts import DatabaseUnavailable, Dialect

from tests.plugins.media_server.databases import opened
from tests.plugins.media_server.test_uploads import CONTENT, Sender
from tests.plugins.media_server.upload_hosts import BASE, BUCKET
from tests.plugins.system_dialect.databases import Cuttable, cuttable, postgres_database, postgres_url

__all__ = ["cuttable", "postgres_database", "postgres_url"]  # fixtures

pytestmark = pytest.mark.anyio
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The driver of PostgreSQL knows asyncio alone."""
    return "asyncio"


def service(dialect: Dialect, storage: MemoryDriver) -> UploadService:
    """A host that records what comes in small steps."""
    media = create_media(storage, DialectMediaRepository(dialect))
    limits = UploadLimits(acknowledge_bytes=100)
    return UploadService(dialect, media, storage, limits, bucket=BUCKET, file_bytes=10**6)


class Cutting(Sender):
    """A sender in the middle of whose body something happens."""

    def __init__(self, first: bytes, happens: object, rest: bytes) -> None:
        super().__init__(first, rest)
        self._left = len(first)
        self._happens = happens

    async def receive(self) -> dict[str, object]:
        message = await super().receive()
        if len(message.get("body", b"")) != self._left and callable(self._happens):
            self._happens()
            self._happens = None
        return message


@pytest.mark.postgres
async def test_database_goes(cuttable: Cuttable, anyio_backend: str) -> None:
    """The sender gets an error; when the database is back, it goes on where its last acknowledged byte was."""
    dialect = await opened("postgres", cuttable.url)
    try:
        uploads = service(dialect, MemoryDriver(BASE))
        upload = await uploads.create("ada", NewUpload(length=len(CONTENT)))
        await uploads.append("ada", upload.id, 0, Sender(CONTENT[:250]).body)
        with pytest.raises(DatabaseUnavailable):
            await uploads.append("ada", upload.id, 250, Cutting(CONTENT[250:400], cuttable.cut, CONTENT[400:]).body)
        with pytest.raises(DatabaseUnavailable):
            await uploads.look("ada", upload.id)
        cuttable.mend()
        offset = (await uploads.look("ada", upload.id)).offset
        assert offset >= 250
        await uploads.append("ada", upload.id, offset, Sender(CONTENT[offset:]).body)
        assert (await uploads.finish("ada", upload.id)).checksum == SHA256
    finally:
        await dialect.aclose()


@pytest.fixture(name="dialect")
async def _dialect(anyio_backend: str) -> AsyncIterator[Dialect]:
    dialect = await opened("sqlite", ":memory:")
    yield dialect
    await dialect.aclose()


async def some(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_store_is_full(dialect: Dialect) -> None:
    """507, as often as it is tried; with room again the upload goes on, and is whole."""
    storage = MemoryDriver(BASE, room=1600)
    await storage.put_stream(BUCKET, "in-the-way", some(bytes(1000)))
    uploads = service(dialect, storage)
    upload = await uploads.create("ada", NewUpload(length=len(CONTENT)))
    with pytest.raises(StorageFull):
        await uploads.append("ada", upload.id, 0, Sender(CONTENT).body)
    offset = (await uploads.look("ada", upload.id)).offset
    assert 500 <= offset <= 600
    with pytest.raises(StorageFull):
        await uploads.append("ada", upload.id, offset, Sender(CONTENT[offset:]).body)
    await storage.delete(BUCKET, "in-the-way")
    offset = (await uploads.look("ada", upload.id)).offset
    await uploads.append("ada", upload.id, offset, Sender(CONTENT[offset:]).body)
    assert (await uploads.finish("ada", upload.id)).checksum == SHA256
