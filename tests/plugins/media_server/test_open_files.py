"""Files that are kept open for a little while."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest
from objectkernel_media_server import open_files
from objectkernel_media_server.errors import ObjectMissing, StorageUnavailable
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.open_files import OpenFiles, Opening
from objectkernel_media_server.testing import FilesSuite, Stores

from tests.plugins.media_server.test_stores import BASE, SECRET

pytestmark = pytest.mark.anyio
asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
"""Elsewhere nothing is kept."""


@pytest.fixture
async def stores(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Stores]:
    async with Stores(lambda: FilesystemDriver(tmp_path, SECRET, BASE, fsync=False)) as stores:
        yield stores


class TestFiles(FilesSuite):
    """The store in a folder."""


@pytest.fixture
def file(tmp_path: Path) -> Callable[[], int]:
    """Makes descriptors of a file that is there."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return lambda: os.open(path, os.O_RDONLY)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def closed(fd: int) -> None:
    """Wait until it is."""
    with anyio.fail_after(10):
        while is_open(fd):
            await anyio.sleep(0.01)


@asyncio_only
async def test_one_that_is_open_is_not_opened_again(file: Callable[[], int]) -> None:
    """Neither while somebody reads it, nor a moment later."""
    files, fd = OpenFiles(), file()
    first = files.add(("a", "b"), fd)
    assert files.take(("a", "b")) is first
    files.release(first)
    files.release(first)
    assert files.take(("a", "b")) is first
    assert files.take(("a", "other")) is None
    files.release(first)
    files.end()
    await closed(fd)


@asyncio_only
async def test_what_nobody_uses_is_closed(file: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, and not before the last one is done."""
    monkeypatch.setattr(open_files, "IDLE", 0.05)
    files, fd, other = OpenFiles(), file(), file()
    used, idle = files.add(("a", "b"), fd), files.add(("a", "c"), other)
    files.release(idle)
    await closed(other)
    assert is_open(fd)
    assert files.take(("a", "c")) is None
    files.release(used)
    await closed(fd)
    assert files.take(("a", "b")) is None


@asyncio_only
async def test_few_are_kept(file: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was used longest ago goes first; one that is in use is closed when it is not."""
    monkeypatch.setattr(open_files, "MOST", 2)
    files, fds = OpenFiles(), [file() for _ in range(4)]
    in_use = files.add(("a", "0"), fds[0])
    for number in (1, 2):
        files.release(files.add(("a", str(number)), fds[number]))
    assert is_open(fds[0])
    files.release(in_use)
    await closed(fds[0])
    again = files.take(("a", "1"))
    assert again is not None
    files.release(files.add(("a", "3"), fds[3]))
    await closed(fds[2])
    assert is_open(fds[1])
    files.release(again)
    files.end()
    for fd in fds:
        await closed(fd)


@asyncio_only
async def test_one_that_two_have_opened(file: Callable[[], int]) -> None:
    """The first one is kept, the other one closed when its reader is done."""
    files, fd, other = OpenFiles(), file(), file()
    kept, spare = files.add(("a", "b"), fd), files.add(("a", "b"), other)
    files.release(kept)
    files.release(spare)
    await closed(other)
    assert files.take(("a", "b")) is kept
    files.release(kept)
    files.end()
    await closed(fd)


@asyncio_only
async def test_one_without_a_name_is_found_by_nobody(file: Callable[[], int], tmp_path: Path) -> None:
    """Whoever has removed it."""
    files, fd = OpenFiles(), file()
    files.release(files.add(("a", "b"), fd))
    (tmp_path / "file").unlink()
    assert files.take(("a", "b")) is None
    await closed(fd)


async def test_nothing_is_kept_behind_the_end(file: Callable[[], int]) -> None:
    """Who reads at the end reads on."""
    files, fd = OpenFiles(), file()
    files.end()
    late = files.add(("a", "b"), fd)
    assert files.take(("a", "b")) is None
    assert is_open(fd)
    files.release(late)
    await closed(fd)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_one_that_nobody_waits_for(tmp_path: Path, when: str) -> None:
    """It is closed, whether it was opened before nobody waited, or after."""
    (tmp_path / "file").write_bytes(b"content")
    before = set(os.listdir("/dev/fd"))
    opening = Opening(tmp_path / "file")
    if when == "before":
        assert opening.run() >= 0
        opening.give_up()
    else:
        opening.give_up()
        assert opening.run() == -1
    with anyio.fail_after(10):
        while set(os.listdir("/dev/fd")) - before:
            await anyio.sleep(0.01)


async def test_what_is_no_file(tmp_path: Path) -> None:
    """Folders, and links that lead elsewhere, are not opened."""
    (tmp_path / "file").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert Opening(tmp_path).run() == -1
    with pytest.raises(OSError, match="symbolic link"):
        Opening(tmp_path / "link").run()


async def test_a_store_that_is_not_there(stores: Stores, tmp_path: Path) -> None:
    """It is away, and its objects are not missing."""
    store = stores.another()
    assert isinstance(store, FilesystemDriver)
    with pytest.raises(ObjectMissing):
        async with store.open_file("one", "a"):
            raise AssertionError("there is none")
    (tmp_path / ".uploads").rename(tmp_path / "elsewhere")
    with pytest.raises(StorageUnavailable):
        async with store.open_file("one", "a"):
            raise AssertionError("there is none")


@asyncio_only
async def test_a_reader_that_is_cancelled_while_it_opens(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays open."""
    store = stores.another()
    assert isinstance(store, FilesystemDriver)

    async def body() -> AsyncIterator[bytes]:
        yield b"content"

    await store.put_stream("one", "a", body())
    opened: list[int] = []
    begun, go_on = anyio.Event(), asyncio.Event()
    run = Opening.run

    def slow(opening: Opening) -> int:
        opened.append(run(opening))
        anyio.from_thread.run_sync(begun.set)
        anyio.from_thread.run(go_on.wait)
        return opened[0]

    monkeypatch.setattr(Opening, "run", slow)

    async def read() -> None:
        async with store.open_file("one", "a"):
            raise AssertionError("it is cancelled")

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await closed(opened[0])
    go_on.set()
