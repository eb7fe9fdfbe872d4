"""The stores of this machine's own go through the published suites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.memory_store import MemoryDriver
from objectkernel_media_server.storage_contracts import Storage
from objectkernel_media_server.testing.resumable_suite import ResumableSuite
from objectkernel_media_server.testing.signs_suite import SignsSuite
from objectkernel_media_server.testing.storage_suite import StorageSuite
from objectkernel_media_server.testing.stores import Stores

SECRET = "a secret of the tests that is long enough for HMAC"
BASE = "https://shop.example"


@pytest.fixture(params=["filesystem", pytest.param("memory", marks=pytest.mark.slow)])
async def stores(anyio_backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    memory = MemoryDriver(BASE)
    kinds: dict[str, Callable[[], Storage]] = {
        "filesystem": lambda: FilesystemDriver(tmp_path, SECRET, BASE, fsync=False),
        "memory": lambda: memory,
    }
    async with Stores(kinds[request.param]) as stores:
        yield stores


class TestStorage(StorageSuite):
    """Objects put whole."""


class TestResumable(ResumableSuite):
    """Objects that come in several goes."""


class TestSigns(SignsSuite):
    """Links."""
