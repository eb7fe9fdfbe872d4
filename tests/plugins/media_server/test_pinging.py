"""A sign of life of a store that hangs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_media_server.errors import StorageUnavailable
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.pinging import Pinging
from objectkernel_media_server.s3 import S3Driver, S3Place

from tests.plugins.media_server.upload_hosts import BASE, SECRET

pytestmark = pytest.mark.anyio


@pytest.fixture(name="silent")
def _silent() -> Iterator[str]:
    """A server that takes connections, and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def test_nobody_waits_for_one_that_hangs() -> None:
    """Whoever asks can give up; until there is an answer the others are told at once, and no threads pile up."""
    pinging, go_on, begun = Pinging("s3"), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        assert go_on.wait(30)

    try:
        with anyio.move_on_after(0.2) as limit:
            await pinging.ask(hang)
        assert limit.cancelled_caught
        assert begun.is_set()
        with pytest.raises(StorageUnavailable):
            await pinging.ask(hang)
    finally:
        go_on.set()
    with anyio.fail_after(30):
        while True:
            try:
                return await pinging.ask(lambda: None)
            except StorageUnavailable:
                await anyio.sleep(0.01)


async def test_server_that_hangs(silent: str) -> None:
    """A health check of a host has its own patience, which is less than that of the client of S3."""
    driver = S3Driver(S3Place(endpoint_url=silent, access_key="a", secret_key="b", read_timeout=3, attempts=1))
    with anyio.move_on_after(0.2) as limit:
        await driver.ping()
    assert limit.cancelled_caught
    with pytest.raises(StorageUnavailable):
        await driver.ping()
    await driver.aclose()


@pytest.mark.parametrize("gone", [False, True])
async def test_folder(tmp_path: Path, gone: bool) -> None:
    """A folder that is there answers; one that has gone does not."""
    driver = FilesystemDriver(tmp_path / "blobs", SECRET, BASE)
    if gone:
        for folder in (driver.root / ".uploads", driver.root):
            folder.rmdir()
        with pytest.raises(StorageUnavailable):
            await driver.ping()
    else:
        await driver.ping()
    await driver.aclose()


def test_folder_that_cannot_be(tmp_path: Path) -> None:
    """Where there can be no folder, it is said as of any store that is not there, with what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable) as caught:
        FilesystemDriver(tmp_path / "file" / "blobs", SECRET, BASE)
    told: Any = caught.value
    assert (told.reason, told.store) == ("Not a directory", "filesystem")
