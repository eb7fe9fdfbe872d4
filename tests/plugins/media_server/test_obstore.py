"""obstore's stores go through the published suites. Google's and Azure's cannot be had here: a folder, memory and an S3
server stand for them, with the same calls behind the same client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from objectkernel_media_server.errors import StorageUnavailable
from objectkernel_media_server.object_store import ObstoreDriver
from objectkernel_media_server.testing.resumable_suite import ResumableSuite
from objectkernel_media_server.testing.signs_suite import SignsSuite
from objectkernel_media_server.testing.storage_suite import StorageSuite
from objectkernel_media_server.testing.stores import Stores
from obstore.store import LocalStore, MemoryStore, S3Store

from tests.plugins.media_server.object_servers import (  # noqa: F401 - fixture
    ACCESS_KEY,
    BUCKETS,
    SECRET_KEY,
    ObjectServer,
    server,
)

SECRET = "a secret of the tests that is long enough for HMAC"
BASE = "https://shop.example"


@pytest.fixture(params=["folder", "memory", "server"])
async def stores(anyio_backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    client: LocalStore | MemoryStore | S3Store
    if request.param == "server":
        running: ObjectServer = request.getfixturevalue("server")
        client = S3Store(
            BUCKETS[0],
            endpoint=running.url,
            region="us-east-1",
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            copy_if_not_exists="multipart",
            client_options={"allow_http": True},
        )
    else:
        client = LocalStore(tmp_path) if request.param == "folder" else MemoryStore()
    async with Stores(lambda: ObstoreDriver(client, SECRET, BASE)) as stores:
        yield stores


@pytest.mark.slow
class TestStorage(StorageSuite):
    """Objects put whole."""


@pytest.mark.slow
class TestResumable(ResumableSuite):
    """Objects that come in several goes."""


@pytest.mark.slow
class TestSigns(SignsSuite):
    """Links."""


@pytest.mark.anyio
async def test_no_server() -> None:
    """A provider that does not answer is `StorageUnavailable`."""
    client = S3Store(
        "bucket",
        endpoint="http://127.0.0.1:9",
        access_key_id="a",
        secret_access_key="b",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    store = ObstoreDriver(client, SECRET, BASE)
    with pytest.raises(StorageUnavailable):
        await store.ping()
    with pytest.raises(StorageUnavailable):
        await store.begin("bucket", "a")
    await store.aclose()
