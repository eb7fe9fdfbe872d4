"""The S3 driver against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from objectkernel_media_server.s3 import S3Driver
from objectkernel_media_server.testing.resumable_suite import ResumableSuite
from objectkernel_media_server.testing.signs_suite import SignsSuite
from objectkernel_media_server.testing.storage_suite import StorageSuite
from objectkernel_media_server.testing.stores import Stores

from tests.plugins.media_server.object_servers import ObjectServer, server  # noqa: F401 - fixture

pytestmark = pytest.mark.slow


@pytest.fixture
async def stores(anyio_backend: str, server: ObjectServer) -> AsyncIterator[Stores]:  # noqa: F811
    async with Stores(lambda: S3Driver(server.place)) as stores:
        yield stores


class TestStorage(StorageSuite):
    """Objects put whole."""


class TestResumable(ResumableSuite):
    """Objects that come in several goes."""


class TestSigns(SignsSuite):
    """Links."""
